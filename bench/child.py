"""A worker process under measurement, as its driver sees it: started, heard on its standard output, stopped."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

_READY_WITHIN = 60.0
_ROOT = Path(__file__).resolve().parent.parent


class Child:
    """One worker process; *versions* is what it has said of its workflows."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.versions: dict[str, int] = {}
        self._process = process
        self._ready = asyncio.Event()
        self._statements: asyncio.Future[int] | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def statements(self) -> int:
        """SQL statements that it has sent so far."""
        self._statements = asyncio.get_running_loop().create_future()
        self._process.send_signal(signal.SIGUSR1)
        return await self._statements

    async def ready(self) -> None:
        """Return once it works.

        Raises:
            TimeoutError: it does not within a minute.
        """
        async with asyncio.timeout(_READY_WITHIN):
            await self._ready.wait()

    async def hear(self) -> None:
        """Take in what it says, until it ends."""
        assert self._process.stdout is not None  # a pipe, see running()
        async for line in self._process.stdout:
            match line.decode().split():
                case ["ready"]:
                    self._ready.set()
                case ["at", workflow_id, version]:
                    self.versions[workflow_id] = int(version)
                case ["sql", count] if self._statements is not None and not self._statements.done():
                    self._statements.set_result(int(count))


@contextlib.asynccontextmanager
async def running(kind: str, environment: Mapping[str, str], log: Path) -> AsyncIterator[Child]:
    """A worker of *kind* that is ready for work; stopped at the end."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.worker", kind),
            cwd=_ROOT,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    child = Child(process)
    hearing = asyncio.create_task(child.hear())
    try:
        await child.ready()
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()
        hearing.cancel()
