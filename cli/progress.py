"""Shows how far an import is: a bar on a terminal, a line now and then in a pipe."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from cli.rows import Kind

PLAIN_EVERY = 5.0


class BarProgress:
    """One bar per kind, drawn in place."""

    def __init__(self, console: Console) -> None:
        self._bars = RichProgress(
            TextColumn("{task.description:<9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._tasks: dict[Kind, TaskID] = {}
        self._started: dict[Kind, float] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def begin(self, kind: Kind, total: int) -> None:
        """A new bar of *total* rows."""
        self._started[kind] = time.monotonic()
        self._tasks[kind] = self._bars.add_task(kind.value, total=total, rate="")

    def advance(self, kind: Kind) -> None:
        """One row further."""
        task = self._bars.tasks[self._tasks[kind]]
        rate = (task.completed + 1) / max(time.monotonic() - self._started[kind], 0.001)
        self._bars.update(self._tasks[kind], advance=1, rate=f"{rate:.0f}/s")


class LineProgress:
    """A plain line at most every five seconds, and one when a kind is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._total = 0
        self._done = 0
        self._started = self._printed = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to put back."""

    def begin(self, kind: Kind, total: int) -> None:
        """Count from nought to *total*."""
        self._total, self._done = total, 0
        self._started = self._printed = time.monotonic()

    def advance(self, kind: Kind) -> None:
        """One row further; say so when it is time."""
        self._done += 1
        now = time.monotonic()
        if self._done < self._total and now - self._printed < PLAIN_EVERY:
            return
        rate = self._done / max(now - self._started, 0.001)
        self._console.print(f"{kind.value} {self._done}/{self._total} ({rate:.0f}/s)", markup=False, highlight=False)
        self._printed = now
