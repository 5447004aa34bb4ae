"""Starts the processes of the stack, brings back those that die, and stops them in order."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from devstack.errors import StackError
from devstack.processes import Account, Say, spawn_options

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
_STEADY_AFTER = 30.0
_KEPT_LOGS = 3
_TAIL_BYTES = 4_096
_LONGEST_WORDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """One process: how it starts, when it serves, how it stops."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    ready: Callable[[], Awaitable[None]]
    """Returns once the process serves; called after every start."""
    before: Callable[[], Awaitable[None]] | None = None
    """Called before every start."""
    ready_within: float = 60.0
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    grace: float = 10.0


class _Child:
    def __init__(self, spec: ChildSpec, log: Path) -> None:
        self.spec = spec
        self.log = log
        self.process: asyncio.subprocess.Process | None = None
        self.created = 0.0
        self.held_down = False
        self.keeper: asyncio.Task[None] | None = None
        # Held while the process is being spawned or stopped: no spawn can slip between the two.
        self.changing = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        alive = self.process is not None and self.process.returncode is None
        return self.process.pid if alive and self.process is not None else None


class Supervisor:
    """The parent of every process of a stack.

    Args:
        logs: folder of the log files, ``<name>.log``; those of the last runs are kept as ``.1`` to ``.3``.
        say: told in one line about a child that died, came back or had to be killed.
        changed: called whenever a child's pid changed.
    """

    def __init__(self, *, logs: Path, say: Say, changed: Callable[[], None]) -> None:
        self._logs = logs
        self._say = say
        self._changed = changed
        self._children: dict[str, _Child] = {}

    @property
    def pids(self) -> dict[str, int]:
        """Name -> pid of the children that run now."""
        return {name: pid for name, child in self._children.items() if (pid := child.pid) is not None}

    @property
    def births(self) -> dict[str, tuple[int, float]]:
        """Name -> pid and creation time of the children that run now."""
        return {name: (pid, child.created) for name, child in self._children.items() if (pid := child.pid) is not None}

    async def start(self, spec: ChildSpec) -> None:
        """Start a child and wait until it serves; from then on it is kept alive.

        Raises:
            StackError: it ended or did not serve in time; the message has the last line of its log.
        """
        child = _Child(spec, self._logs / f"{spec.name}.log")
        _rotate(child.log)
        self._children[spec.name] = child
        await self._launch_and_keep(child)

    async def stop(self, name: str) -> None:
        """Stop a child and keep it down; killed when it does not end within its grace."""
        child = self._children[name]
        child.held_down = True
        async with child.changing:
            await _cancel(child.keeper)
            if child.pid is not None:
                await self._end(child)
        self._changed()

    async def resume(self, name: str) -> None:
        """Start a child that was kept down, and wait until it serves."""
        child = self._children[name]
        if not child.held_down:
            raise ValueError(f"{name} is not kept down")
        child.held_down = False
        await self._launch_and_keep(child)

    def signal(self, name: str, number: signal.Signals) -> int:
        """Send *number* to the running child *name*; returns the pid that got it."""
        pid = self._children[name].pid
        if pid is None:
            raise ProcessLookupError(f"{name} does not run")
        os.kill(pid, number)
        return pid

    async def stop_all(self, order: Iterable[str]) -> None:
        """Stop the children that *order* names, one after another; none of them is brought back meanwhile."""
        names = [name for name in order if name in self._children]
        for name in names:
            self._children[name].held_down = True
        for name in names:
            await self.stop(name)

    def kill_all(self) -> None:
        """Kill every child at once, with all that it started."""
        for child in self._children.values():
            child.held_down = True
            if child.pid is not None:
                _kill_group(child.pid)

    async def _launch_and_keep(self, child: _Child) -> None:
        async with child.changing:
            await self._launch(child)
        try:
            await self._until_ready(child)
        except StackError:
            child.held_down = True
            raise
        child.keeper = asyncio.create_task(self._keep(child), name=f"keep {child.spec.name}")

    async def _launch(self, child: _Child) -> None:
        spec = child.spec
        if spec.before is not None:
            await spec.before()
        options = spawn_options(env=spec.env, cwd=spec.cwd, account=spec.account, orphan_signal=spec.orphan_signal)
        descriptor = os.open(child.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            child.process = await asyncio.create_subprocess_exec(
                *spec.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                **options,
            )
        finally:
            os.close(descriptor)
        with contextlib.suppress(psutil.NoSuchProcess):
            child.created = psutil.Process(child.process.pid).create_time()
        self._changed()

    async def _until_ready(self, child: _Child) -> None:
        if child.process is None:
            raise RuntimeError(f"{child.spec.name} was never launched")
        spec = child.spec
        serving = asyncio.ensure_future(spec.ready())
        ended = asyncio.ensure_future(child.process.wait())
        try:
            await asyncio.wait({serving, ended}, timeout=spec.ready_within, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                return serving.result()
            if ended.done():
                raise StackError(f"{spec.name} {_ending(ended.result())} while it started: {_last_words(child.log)}")
            raise StackError(f"{spec.name} did not serve within {spec.ready_within:g} s: {_last_words(child.log)}")
        finally:
            await _cancel(serving)
            await _cancel(ended)

    async def _keep(self, child: _Child) -> None:
        """Bring *child* back whenever it ends, later each time unless it had run steadily."""
        delay = FIRST_DELAY
        while child.process is not None:
            started = time.monotonic()
            status = await child.process.wait()
            self._changed()
            if child.held_down:
                return
            if time.monotonic() - started >= _STEADY_AFTER:
                delay = FIRST_DELAY
            words = f" ({_last_line(child.log)})" if status > 0 else ""
            self._say(f"{child.spec.name} {_ending(status)}{words}; it starts again in {delay:g} s")
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY)
            await self._bring_back(child)

    async def _bring_back(self, child: _Child) -> None:
        try:
            async with child.changing:
                if child.held_down:
                    return
                await self._launch(child)
            await self._until_ready(child)
        except Exception as error:  # The edge of the supervisor: whatever fails here, the child gets another try.
            self._say(f"{child.spec.name} is not back yet: {error or type(error).__name__}")
            if child.pid is not None:
                _kill_group(child.pid)
        else:
            self._say(f"{child.spec.name} is back (pid {child.pid})")

    async def _end(self, child: _Child) -> None:
        if child.process is None or child.pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.process.send_signal(child.spec.stop_signal)
        try:
            await asyncio.wait_for(child.process.wait(), child.spec.grace)
        except TimeoutError:
            self._say(f"{child.spec.name} did not stop within {child.spec.grace:g} s and is killed")
            _kill_group(child.pid)
            await child.process.wait()


async def _cancel(task: asyncio.Future[None] | asyncio.Future[int] | None) -> None:
    if task is None:
        return
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # Looked at here, so that asyncio does not report it as forgotten.


def _kill_group(pid: int) -> None:
    # Every child leads a session of its own, so its group holds what it started and nothing else.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _ending(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def _rotate(log: Path) -> None:
    """Keep the logs of the last runs beside the new one."""
    for number in range(_KEPT_LOGS, 0, -1):
        older = log.with_name(f"{log.name}.{number - 1}") if number > 1 else log
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number}"))


def _last_words(log: Path) -> str:
    """The last line of *log* and where to read more."""
    return f"{_last_line(log)} (log: {log})"


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").split("\n")
    spoken = [line.strip() for line in lines if line.strip()]
    return spoken[-1][:_LONGEST_WORDS] if spoken else "it wrote nothing"
