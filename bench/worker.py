"""A worker under measurement as its own process: the bare workflow's, or the order's real one with the world at 0 ms.

It says on standard output what the driver waits for: ``ready``, ``at WORKFLOW_ID VERSION`` (the bare one), and on SIGUSR1
``sql STATEMENTS`` (the order's).
"""

import asyncio
import os
import signal
import sys

import uvloop
from sqlalchemy import event
from temporalio.client import Client
from temporalio.worker import Worker

from bench.bare import BareActivities, BareOrder
from bench.providers import yes_providers
from contracts import names
from db.listening import listen
from db.session import Sessions, create_sessions
from runtime import engine, logs, settings
from runtime.dispatch import Dispatcher
from workers.freezing import Freezer
from workers.relays import OutboxRelay, Publisher, waking
from workers.wiring import create_worker, runner, tuning


def tell(line: str) -> None:
    """One line to the driver."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def serve(kind: str, config: settings.Settings) -> None:
    """Work until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await engine.connect_now(config)
    if kind == "bare":
        async with _bare_worker(client, config):
            tell("ready")
            await stop.wait()
        return
    sessions = create_sessions(config.database_url, pool_size=config.database_pool)
    _count_statements(sessions)
    relay = OutboxRelay(sessions, Dispatcher(sessions, client, config.task_queue))
    publisher = Publisher(sessions, queue=Freezer(config).queue, published=lambda: None)

    tasks = [
        asyncio.create_task(relay.run()),
        asyncio.create_task(publisher.run()),
        asyncio.create_task(listen(config.database_url, [names.WORK_CHANNEL], waking([relay, publisher]))),
    ]
    async with create_worker(client, sessions, yes_providers(), task_queue=config.task_queue):
        tell("ready")
        await stop.wait()
    for task in tasks:
        task.cancel()


def _bare_worker(client: Client, config: settings.Settings) -> Worker:
    """The bare workflow's worker, tuned as the order's is."""
    bare = BareActivities(wrote=lambda workflow_id, version: tell(f"at {workflow_id} {version}"))
    return Worker(
        client,
        task_queue=config.task_queue,
        workflows=[BareOrder],
        activities=[bare.bare_reserve, bare.bare_write, bare.bare_call],
        workflow_runner=runner(),
        **tuning(),
    )


def _count_statements(sessions: Sessions) -> None:
    statements = 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    event.listen(sessions.kw["bind"].sync_engine, "before_cursor_execute", count)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: tell(f"sql {statements}"))


def main() -> None:
    """Run what the first argument names; leave by ``os._exit``, as the real worker does."""
    config = settings.load()
    logs.configure(config)
    uvloop.run(serve(sys.argv[1], config))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
