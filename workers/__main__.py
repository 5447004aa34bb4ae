"""The worker process: workflows and activities on one queue, and the relays beside them."""

import asyncio
import os
import signal
import sys

import structlog
import uvloop

from contracts import names
from db.listening import listen
from db.session import create_sessions, dispose
from providers.outward import Outward
from runtime import engine, logs, settings
from runtime.dispatch import Dispatcher
from workers.freezing import Freezer
from workers.notices import NoticeRelay
from workers.relays import Housekeeper, OutboxRelay, Publisher, Relay, waking
from workers.webhooks import WebhookRelay
from workers.wiring import create_worker, open_providers

log = structlog.get_logger(__name__)


async def serve(config: settings.Settings) -> None:
    """Work until told to stop; then finish what is under way and leave."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    sessions = create_sessions(config.database_url, pool_size=config.database_pool)
    client = await engine.connect_now(config)
    outward = Outward(allow_loopback=config.webhooks_allow_loopback)
    freezer = Freezer(config)
    async with open_providers(config) as providers:
        dispatcher = Dispatcher(sessions, client, config.task_queue)
        webhooks = WebhookRelay(sessions, outward, freezer)
        notices = NoticeRelay(sessions, providers.messages, config)

        def published() -> None:
            webhooks.wake()
            notices.wake()

        relays: list[Relay] = [
            OutboxRelay(sessions, dispatcher),
            Publisher(sessions, queue=freezer.queue, published=published),
            webhooks,
            notices,
            Housekeeper(sessions),
        ]
        tasks = [asyncio.create_task(relay.run(), name=relay.name) for relay in relays]
        tasks.append(asyncio.create_task(listen(config.database_url, [names.WORK_CHANNEL], waking(relays))))
        async with create_worker(client, sessions, providers, task_queue=config.task_queue):
            log.info("worker_ready", task_queue=config.task_queue)
            await _until_stopped(stop, tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await outward.close()
    await dispose(sessions)


async def _until_stopped(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Return when told to stop; a relay that ended by itself ends the process, for the supervisor to restart it."""
    stopped = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    for task in done:
        task.result()


def main() -> None:
    """Run; leave by ``os._exit``, for the SDK can crash at interpreter exit after all work succeeded (sdk-python #300)."""
    config = settings.load()
    logs.configure(config)
    uvloop.run(serve(config))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
