"""The sample on a running stack: imports it, shows its orders moving to their ends, judges them by their file."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from cli.client import ApiAwayError, Client, KeyRefusedError, read_json
from cli.following import ROLE, Watch, Watched, follow
from cli.importing import Import
from cli.live import EVENT_ROWS, Board, SeenEvent, board_of, render, seen_event, summary_line
from cli.rows import BadLine, Kind, survey
from cli.stack import Stack, StackNotFoundError, from_mapping
from cli.text import clean

SAMPLE = Path(__file__).resolve().parent.parent / "examples"
SAMPLE_FILES = ("locations.jsonl", "products.jsonl", "stock.jsonl", "orders.jsonl")
# Seconds without any order changing after which the demo gives up.
PATIENCE = 600.0
# Orders whose events are asked for after one poll: enough to see life, few enough to cost nothing.
EVENTS_PER_POLL = 3
PLAIN_EVERY = 3.0


async def run_demo(
    stack: Mapping[str, Any],
    *,
    live: bool,
    stack_file: Path | None = None,
    patience: float = PATIENCE,
    console: Console | None = None,
) -> int:
    """0 when every order of the sample ended as its file says, else 1; safe to run again and again.

    Args:
        stack: the content of the running stack's stack.json.
        live: draw the board in place (a terminal); else a line whenever counts changed.
        stack_file: where stack.json is, for the summary.
        patience: seconds without any change before giving up.
        console: where to print; standard output when left out.
    """
    output = console or Console(highlight=False, soft_wrap=not live)
    try:
        return await Demo(from_mapping(stack, file=stack_file), output, live=live, patience=patience).run()
    except (StackNotFoundError, ApiAwayError, KeyRefusedError) as error:
        output.print(f"doorstep demo: {clean(error)}", markup=False)
        return 1


def sample_files() -> list[Path]:
    """The four files of the sample.

    Raises:
        StackNotFoundError: they are not beside the program nor in the current folder.
    """
    for folder in (SAMPLE, Path("examples")):
        files = [folder / name for name in SAMPLE_FILES]
        if all(file.is_file() for file in files):
            return files
    raise StackNotFoundError(
        f"the sample is missing: no {SAMPLE_FILES[0]} in {SAMPLE}; examples/make_sample.py makes it"
    )


class Phase:
    """What the import is at, in words for the board; empty when it is done."""

    def __init__(self) -> None:
        self._kind: Kind | None = None
        self._done = self._total = 0

    def begin(self, kind: Kind, total: int) -> None:
        """The rows of *kind* come now."""
        self._kind, self._done, self._total = kind, 0, total

    def advance(self, kind: Kind) -> None:
        """One row further."""
        self._done += 1

    def words(self) -> str:
        """Like ``sending orders 12/200``."""
        if self._kind is None or self._done == self._total:
            return ""
        return f"sending {self._kind.value} {self._done}/{self._total}"


class Demo:
    """One run of the sample."""

    def __init__(self, stack: Stack, console: Console, *, live: bool, patience: float) -> None:
        self._stack = stack
        self._console = console
        self._live_wanted = live
        self._patience = patience
        self._files = sample_files()
        self._counted = survey(self._files)
        self._client = Client(stack, patience=patience)
        self._watch = Watch(client=self._client)
        self._events: deque[SeenEvent] = deque(maxlen=EVENT_ROWS)
        self._sequences: dict[str, int] = {}
        self._started = time.monotonic()
        self._printed_at, self._printed = 0.0, ""
        self._phase = Phase()
        self._import = Import(self._client, progress=self._phase, on_order=self._watch.add)

    async def run(self) -> int:
        """Import and follow at once; 0 when all ended as the file says."""
        async with self._client:
            await self._client.check_answers()
            self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
            screen: AbstractContextManager[object] = self._live if self._live_wanted else nullcontext()
            with screen:
                finished = await self._import_and_follow()
        return self._conclude(finished)

    async def _import_and_follow(self) -> bool:
        importing = asyncio.create_task(self._import.run(self._files, self._counted))
        following = asyncio.create_task(
            follow(
                self._watch,
                more_to_come=lambda: not importing.done(),
                timeout=self._patience,
                after_poll=self._show,
            )
        )
        try:
            _, finished = await asyncio.gather(importing, following)
        finally:
            importing.cancel()
            following.cancel()
            await asyncio.gather(importing, following, return_exceptions=True)
        return finished

    async def _show(self, changed: Sequence[Watched]) -> None:
        if self._live_wanted:
            for order in changed[:EVENTS_PER_POLL]:
                await self._fetch_events(order)
            self._live.update(render(self._board(), datetime.now(UTC)), refresh=True)
            return
        line = summary_line(self._board())
        news = line.partition("|")[2]
        if news != self._printed and (time.monotonic() - self._printed_at >= PLAIN_EVERY or not self._watch.open_ids):
            self._console.print(line, markup=False, highlight=False)
            self._printed_at, self._printed = time.monotonic(), news

    async def _fetch_events(self, order: Watched) -> None:
        response = await self._client.get(f"/v1/orders/{order.order_id}/events", role=ROLE, params={"limit": 200})
        content = read_json(response)
        if not response.is_success or not isinstance(content, Mapping):
            return
        events = [event for event in content.get("items", ()) if isinstance(event, Mapping)]
        seen = self._sequences.get(order.order_id, 0)
        new = sorted((event for event in events if _sequence(event) > seen), key=_sequence)
        for event in new[-2:]:
            self._events.appendleft(seen_event(order.order_ref, event))
        if new:
            self._sequences[order.order_id] = _sequence(new[-1])

    def _board(self) -> Board:
        return board_of(
            self._watch,
            title="Doorstep",
            expected_total=self._counted.total(Kind.ORDER),
            events=tuple(self._events),
            phase=self._phase.words(),
            seconds=time.monotonic() - self._started,
        )

    def _conclude(self, finished: bool) -> int:
        report, board = self._import.report, self._board()
        wrong = self._watch.wrong()
        print_failures(self._console, report.failures, report.failed)
        print_wrong(self._console, wrong)
        if not finished:
            self._say(f"gave up: nothing changed for {self._patience:.0f} s")
        already = report.already[Kind.ORDER]
        self._say("")
        self._say(
            f"{board.total} orders in {board.seconds:.1f} s ({board.rate:.1f}/s): "
            + ", ".join(f"{count} {clean(state)}" for state, count in sorted(board.counts.items()))
            + (f"; {already} were there before" if already else "")
        )
        good = finished and not wrong and not report.failed
        self._say("every order ended as its file says" if good else "NOT every order ended as its file says")
        for line in where_to_look(self._stack, self._an_order()):
            self._say(line)
        return 0 if good else 1

    def _an_order(self) -> str | None:
        """One order worth looking at: among the delivered, the one that travelled in most parts."""
        delivered = [order for order in self._watch.orders.values() if order.state == "delivered"]
        best = max(delivered, key=lambda order: int(order.view["parts"]), default=None)
        return best.order_id if best else next(iter(self._watch.orders), None)

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False)


def where_to_look(stack: Stack, order_id: str | None) -> list[str]:
    """The addresses and commands that a person needs next, one a line."""
    lines = [f"API docs          {stack.api_url}/docs"]
    if stack.temporal_ui_url:
        lines.append(f"Temporal UI       {stack.temporal_ui_url}")
    if order_id:
        lines.append(f"one order's story doorstep order {order_id} {stack.option}".rstrip())
    if stack.file:
        lines.append(f"development keys  {stack.file}")
    return lines


def print_failures(console: Console, failures: Sequence[BadLine], failed: int) -> None:
    """Every bad line with its place and reason."""
    for line in sorted(failures, key=lambda bad: (str(bad.path), bad.number)):
        named = f" {clean(line.reference)}" if line.reference else ""
        console.print(f"{clean(line.place)}:{named} {clean(line.reason, limit=4000)}", markup=False, highlight=False)
    if failed > len(failures):
        console.print(f"... and {failed - len(failures)} more lines failed", markup=False, highlight=False)


def print_wrong(console: Console, wrong: Sequence[tuple[Watched, str]]) -> None:
    """Every order that did not end as its file says."""
    for order, verdict in wrong:
        named = f"{clean(order.order_ref)} ({clean(order.order_id)})"
        console.print(f"{clean(order.place)}: {named} {clean(verdict)}", markup=False, highlight=False)


def _sequence(event: Mapping[str, Any]) -> int:
    value = event.get("sequence")
    return value if isinstance(value, int) else 0
