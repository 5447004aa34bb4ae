"""The whole stack as one object: PostgreSQL, Temporal, the outside world, the API and the worker."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from devstack import postgres, temporal_server
from devstack.children import (
    PORT_COUNT,
    WORKER_GRACE,
    Addresses,
    addresses,
    caller_environment,
    environment,
    python_child,
    world_config,
)
from devstack.credentials import Credentials, load_or_create
from devstack.errors import StackError
from devstack.files import write_private
from devstack.folder import DataFolder, open_folder
from devstack.ports import check_free, free_base
from devstack.processes import Say, end_left_over
from devstack.supervisor import ChildSpec, Supervisor

STOP_ORDER = ("worker", "api", "world", "temporal", "postgres")
_READY_WITHIN = 60.0
_POLL = 0.1

Environment = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """How a stack is started.

    ``base_port`` None picks free ports; ``speed`` and ``hands_off`` are the outside world's; ``seed`` makes it fail at
    random; ``fresh`` deletes what is there before the start, ``discard`` what is there after the end; ``env`` overrides
    variables of this process's environment (an empty value takes one away).
    """

    data: Path
    base_port: int | None = None
    speed: float = 1.0
    hands_off: bool = False
    seed: int | None = None
    fresh: bool = False
    discard: bool = False
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What the stack asks of the program that it runs; every call gets the environment of the processes."""

    migrate: Callable[[Environment, Path], Awaitable[None]]
    """Bring the database's schema up to date, writing what happens to the log file given."""
    seed: Callable[[Environment, Credentials, str], Awaitable[None]]
    """Store the development keys and the endpoint of the world whose address is given; repeatable."""
    prepare_engine: Callable[[Environment], Awaitable[None]]
    """Create what the engine must know; repeatable."""
    recover_orders: Callable[[Environment], Awaitable[int]]
    """Restart open orders from their stored state in an engine that has forgotten them; returns how many."""


class Stack:
    """A stack that runs; made by ``start_stack``."""

    def __init__(
        self,
        *,
        options: StackOptions,
        hooks: Hooks,
        folder: DataFolder,
        credentials: Credentials,
        where: Addresses,
        environ: Mapping[str, str],
        say: Say,
    ) -> None:
        self._options = options
        self._hooks = hooks
        self._folder = folder
        self._credentials = credentials
        self._where = where
        self._say = say
        self._env = environment(where, environ, credentials)
        self._supervisor = Supervisor(logs=folder.logs, say=say, changed=self._write)
        self._schema_ready = asyncio.Event()
        self._started_at = datetime.now(UTC)
        self._complete = False

    @property
    def info(self) -> dict[str, Any]:
        """What ``stack.json`` says now."""
        return {
            "api_url": self._where.api_url,
            "temporal_address": self._where.temporal_address,
            "temporal_ui_url": self._where.temporal_ui_url,
            "database_url": self._where.database_url,
            "world_url": self._where.world_url,
            "keys": dict(self._credentials.keys),
            "carrier_secrets": dict(self._credentials.carrier_secrets),
            "stripe_webhook_secret": self._credentials.stripe_webhook_secret,
            "pids": self._supervisor.pids,
            "started_at": self._started_at.isoformat(),
        }

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the API and the worker, for another process beside them."""
        return dict(self._env)

    @property
    def data(self) -> Path:
        """The data folder."""
        return self._folder.path

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a child; returns the pid that got it. A child that dies of it is started again."""
        return self._supervisor.signal(name, number)

    async def stop_child(self, name: str) -> None:
        """Stop a child and keep it down."""
        await self._supervisor.stop(name)

    async def start_child(self, name: str) -> None:
        """Bring back a child that was kept down, and wait until it serves."""
        await self._supervisor.resume(name)

    async def restart(self, name: str) -> None:
        """Stop a child in good order and start it again."""
        await self._supervisor.stop(name)
        await self._supervisor.resume(name)

    async def wait_for_new_pid(self, name: str, old: int, *, within: float = 60.0) -> int:
        """The pid of the child that took the place of the one with the pid *old*.

        Raises:
            TimeoutError: none did *within* seconds.
        """
        async with asyncio.timeout(within):
            while (pid := self._supervisor.pids.get(name)) in (None, old):
                await asyncio.sleep(_POLL)
        return int(pid or 0)

    async def wait_until_ready(self, *, within: float = _READY_WITHIN) -> None:
        """Return once the API finds everything that it needs.

        Raises:
            StackError: something is still missing after *within* seconds; the message has the API's own words.
        """
        deadline = time.monotonic() + within
        words = "no answer"
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while time.monotonic() < deadline:
                try:
                    answer = await client.get(f"{self._where.api_url}/readyz")
                except httpx.HTTPError as error:
                    words = str(error) or type(error).__name__
                else:
                    if answer.status_code == httpx.codes.OK:
                        return
                    words = answer.text
                await asyncio.sleep(_POLL)
        raise StackError(f"not everything is ready after {within:g} s: {words} (logs: {self._folder.logs})")

    def delete_engine_file(self) -> None:
        """Remove the engine's database file, as if its disk had been lost; its process notices at its next start."""
        temporal_server.delete_file(self._folder.engine_file)

    async def open(self) -> None:
        """Start everything that is not given from outside, as much as possible at the same time."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._start_engine())
                group.create_task(self._start_world())
                await self._start_database()
                group.create_task(self._supervisor.start(self._api()))
                group.create_task(self._supervisor.start(self._worker()))
        except BaseExceptionGroup as several:
            raise _first(several) from several
        await self.wait_until_ready()
        self._complete = True
        self._write()

    async def close(self) -> None:
        """Stop every child in order."""
        await self._supervisor.stop_all(STOP_ORDER)
        self._folder.forget_stack()

    async def _start_database(self) -> None:
        if self._where.own_postgres:
            cluster = await postgres.open_cluster(self._folder, self._credentials.postgres_password, self._say)
            await self._supervisor.start(self._postgres(cluster))
            self._say(f"postgres ready (PostgreSQL {cluster.binaries.version}, found {cluster.binaries.found})")
        else:
            self._say("postgres: using DATABASE_URL")
        await self._hooks.migrate(self._env, self._folder.logs / "migrations.log")
        self._schema_ready.set()
        await self._hooks.seed(self._env, self._credentials, self._where.world_url)

    async def _start_engine(self) -> None:
        if not self._where.own_temporal:
            self._say("temporal: using TEMPORAL_ADDRESS")
            await self._hooks.prepare_engine(self._env)
            return
        program, found = await temporal_server.find_or_obtain(self._say)
        await self._supervisor.start(self._temporal(program))
        self._say(f"temporal ready (found {found})")

    async def _start_world(self) -> None:
        config = world_config(
            self._where,
            self._credentials,
            data=self._folder.world_data,
            speed=self._options.speed,
            hands_off=self._options.hands_off,
            seed=self._options.seed,
        )
        write_private(self._folder.world_config, json.dumps(config, indent=2) + "\n")
        arguments = ["devstack.world", "--config", str(self._folder.world_config)]
        await self._supervisor.start(
            python_child("world", arguments, env=self._env, ready=lambda: _answers(f"{self._where.world_url}/healthz"))
        )
        self._say("world ready")

    def _postgres(self, cluster: postgres.Cluster) -> ChildSpec:
        port = self._where.ports["postgres"]
        return ChildSpec(
            name="postgres",
            command=cluster.command(port),
            env=cluster.environment(),
            cwd=cluster.folder.parent,
            before=lambda: postgres.clear_way(cluster),
            ready=lambda: postgres.wait_until_usable(cluster, port),
            account=cluster.account,
            stop_signal=postgres.STOP_SIGNAL,
            orphan_signal=postgres.STOP_SIGNAL,
            grace=30.0,
        )

    def _temporal(self, program: Path) -> ChildSpec:
        ports = self._where.ports
        return ChildSpec(
            name="temporal",
            command=temporal_server.command(
                program, port=ports["temporal"], ui_port=ports["temporal_ui"], file=self._folder.engine_file
            ),
            env=self._env,
            cwd=self._folder.path,
            before=self._note_lost_engine,
            ready=self._engine_ready,
        )

    def _api(self) -> ChildSpec:
        return python_child("api", ["api"], env=self._env, ready=self._api_ready)

    def _worker(self) -> ChildSpec:
        # It serves nobody directly: /readyz sees its heartbeat.
        return python_child("worker", ["workers"], env=self._env, ready=_at_once, grace=WORKER_GRACE)

    async def _note_lost_engine(self) -> None:
        """Remember on disk that the engine starts empty, until the open orders are back in it."""
        if not self._folder.engine_file.exists():
            temporal_server.delete_file(self._folder.engine_file)  # What SQLite kept beside it belongs to the lost one.
            self._folder.engine_lost.touch()

    async def _engine_ready(self) -> None:
        await temporal_server.wait_until_usable(self._where.temporal_address)
        await self._hooks.prepare_engine(self._env)
        if not self._folder.engine_lost.exists():
            return
        await self._schema_ready.wait()
        restarted = await self._hooks.recover_orders(self._env)
        if restarted:
            self._say(f"temporal had lost its database: {restarted} open orders restarted from their stored state")
        self._folder.engine_lost.unlink()

    async def _api_ready(self) -> None:
        await _answers(f"{self._where.api_url}/healthz")
        if not self._complete:
            self._say(f"api ready at {self._where.api_url}")

    def _write(self) -> None:
        """Name the children on disk; the stack itself is named once all of it is ready."""
        self._folder.write_children(self._supervisor.births)
        if self._complete:
            self._folder.write_stack(self.info)


@contextlib.asynccontextmanager
async def start_stack(options: StackOptions, hooks: Hooks, say: Say) -> AsyncIterator[Stack]:
    """A running stack, stopped in order at the end of the block.

    Raises:
        StackError: it cannot start; one line says why. What had been started is stopped again.
    """
    environ = caller_environment(options.env)
    with open_folder(options.data) as folder:
        left = await asyncio.to_thread(end_left_over, folder.read_children())
        if left:
            say(f"ended what an interrupted run had left: {', '.join(left)}")
        folder.forget_stack()
        base_port = options.base_port if options.base_port is not None else free_base(PORT_COUNT)
        check_free(addresses(base_port, environ, load_or_create(folder.secrets)).own_ports())
        if options.fresh:
            folder.clear()
            folder.make_places()
        credentials = load_or_create(folder.secrets)
        stack = Stack(
            options=options,
            hooks=hooks,
            folder=folder,
            credentials=credentials,
            where=addresses(base_port, environ, credentials),
            environ=environ,
            say=say,
        )
        try:
            await stack.open()
            yield stack
        finally:
            await stack.close()
            if options.discard:
                folder.clear()


async def _answers(url: str) -> None:
    """Return once *url* answers with 200."""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(url)).status_code == httpx.codes.OK:
                    return
            await asyncio.sleep(_POLL)


async def _at_once() -> None:
    """Ready as soon as it runs."""


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure to tell of: the first refusal among *several*, else the first of any kind."""
    refusals = several.subgroup(StackError)
    inner = (refusals or several).exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
