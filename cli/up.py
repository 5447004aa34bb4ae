"""`doorstep up`: the whole stack on this machine, with our schema, keys and orders in it, until Ctrl-C."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated

import psutil
import typer
from temporalio.service import RPCError

from cli.demo import run_demo
from db import keys, webhooks
from db.session import create_sessions, dispose
from devstack.children import ROOT
from devstack.credentials import KEY_SCOPES, Credentials
from devstack.errors import StackError
from devstack.processes import Say
from devstack.stack import Hooks, Stack, StackOptions, start_stack
from runtime import engine, recovery, settings

DEFAULT_BASE_PORT = 8700
_WAREHOUSE_EVENTS = ["fulfillment.released", "request.sent"]
_STOREFRONT_EVENTS = ["order.*"]
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up(
    *,
    data: Annotated[Path, typer.Option(help="Folder that keeps the stack's data.")] = Path(".doorstep"),
    demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Load the sample and show its orders move.")] = True,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the data of an earlier run first.")] = False,
    speed: Annotated[
        float, typer.Option(min=0, help="How fast floor and carriers work: 1 takes seconds a step, 0 no time.")
    ] = 1.0,
    hands_off: Annotated[
        bool, typer.Option("--hands-off", help="Floor and carriers do nothing by themselves: you play them.")
    ] = False,
    base_port: Annotated[
        int, typer.Option(min=1, max=65_530, help="The API's port; the five after it are used too.")
    ] = DEFAULT_BASE_PORT,
) -> None:
    """Start everything on this machine: database, engine, outside world, API and worker; Ctrl-C stops it."""
    options = StackOptions(data=data, base_port=base_port, speed=speed, hands_off=hands_off, fresh=fresh)
    try:
        asyncio.run(_run(options, with_demo=demo))
    except StackError as error:
        typer.echo(f"doorstep up: {error}", err=True)
        raise typer.Exit(1) from None
    except asyncio.CancelledError:
        say("stopped")


def running_stack(options: StackOptions, say: Say) -> AbstractAsyncContextManager[Stack]:
    """A running stack of this program, stopped at the end of the block; what `up` and the end-to-end tests use.

    Raises:
        StackError: it cannot start; one line says why.
    """
    hooks = Hooks(migrate=migrate, seed=seed, prepare_engine=prepare_engine, recover_orders=recover_orders)
    return start_stack(options, hooks, say)


async def migrate(environment: Mapping[str, str], log: Path) -> None:
    """Bring the schema of DATABASE_URL up to date.

    Raises:
        StackError: a migration failed; the message has its last line.
    """
    with log.open("ab") as file:
        alembic = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "alembic", "-c", str(ROOT / "alembic.ini"), "upgrade", "head"),
            cwd=ROOT,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
        try:
            status = await alembic.wait()
        finally:
            if alembic.returncode is None:
                alembic.kill()
                await alembic.wait()
    if status != 0:
        words = [line for line in log.read_text(errors="replace").split("\n") if line.strip()]
        raise StackError(f"the database cannot be migrated: {words[-1] if words else f'status {status}'} (log: {log})")


async def seed(environment: Mapping[str, str], credentials: Credentials, world_url: str) -> None:
    """Store the development keys, and the endpoints at which the world's warehouse and its shop listen; repeatable."""
    sessions = create_sessions(environment["DATABASE_URL"], pool_size=1)
    try:
        async with sessions.begin() as session:
            for name, scopes in KEY_SCOPES.items():
                secret = credentials.keys[name]
                await keys.ensure_key(session, name=name, secret=secret, scopes=list(scopes), sources=None)
            await webhooks.ensure_endpoint(
                session,
                key_name="warehouse",
                url=f"{world_url}/warehouse/webhook",
                secret=credentials.warehouse_webhook_secret,
                events=_WAREHOUSE_EVENTS,
                quick=True,
            )
            await webhooks.ensure_endpoint(
                session,
                key_name="storefront",
                url=f"{world_url}/storefront/webhooks",
                secret=credentials.storefront_webhook_secret,
                events=_STOREFRONT_EVENTS,
                quick=True,
            )
    finally:
        await dispose(sessions)


async def prepare_engine(environment: Mapping[str, str]) -> None:
    """Create the search attributes that the workflows set; repeatable.

    Raises:
        StackError: the engine cannot be reached or refuses.
    """
    read = settings.load(environment)
    try:
        await engine.ensure_search_attributes(await engine.connect(read))
    except (RPCError, RuntimeError) as error:
        raise StackError(f"Temporal at {read.temporal_address} cannot be prepared: {error}") from error


async def recover_orders(environment: Mapping[str, str]) -> int:
    """Restart every open order from its stored state; returns how many."""
    read = settings.load(environment)
    sessions = create_sessions(read.database_url, pool_size=2)
    try:
        return await recovery.restart_open_orders(sessions, await engine.connect(read), read.task_queue)
    finally:
        await dispose(sessions)


def say(line: str) -> None:
    """Print *line* at once; above the live table where one is shown."""
    with contextlib.suppress(BrokenPipeError):  # Who read it has left; the stack goes on.
        print(line, flush=True)


async def _run(options: StackOptions, *, with_demo: bool) -> None:
    _stop_on_signals(asyncio.current_task())
    async with running_stack(options, say) as stack:
        say(f"everything is ready after {time.time() - psutil.Process().create_time():.1f} s")
        if with_demo:
            file = stack.data / "stack.json"
            await run_demo(stack.info, live=sys.stdout.isatty(), stack_file=file)
        _summary(stack)
        await asyncio.Event().wait()


def _stop_on_signals(main: asyncio.Task[None] | None) -> None:
    """The first signal ends *main* in good order, the second kills every child."""
    signals = 0

    def received() -> None:
        nonlocal signals
        signals += 1
        if signals == 1 and main is not None:
            say("stopping: worker, api, world, temporal, postgres (once more kills them)")
            main.cancel()
            return
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()

    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, received)


def _summary(stack: Stack) -> None:
    info = stack.info
    say(f"API docs      {info['api_url']}/docs")
    if info["temporal_ui_url"]:
        say(f"Temporal UI   {info['temporal_ui_url']}")
    say(f"keys          {stack.data / 'stack.json'} (only you can read it)")
    say(f"logs          {stack.data / 'logs'}")
    say("Ctrl-C stops everything; `doorstep up` goes on with the same data")
