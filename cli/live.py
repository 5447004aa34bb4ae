"""Draws a run of orders as text: the live board for a terminal, the short lines for a pipe; asks nobody anything."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.following import Watch, waits_of
from cli.order import actor_of
from cli.text import STATE_STYLES, STATES, TERMINAL_STATES, clean, moment, plain, short_data, state_text, until

BAR = 28
WAIT_ROWS = 7
EVENT_ROWS = 6
ATTENTION_ROWS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenEvent:
    """One event of one order, as the board shows it."""

    at: str
    order_ref: str
    kind: str
    actor: str
    data: str


@dataclass(slots=True, kw_only=True)
class Board:
    """What is on the board at one moment."""

    title: str
    counts: Mapping[str, int]
    expected_total: int
    waits: Sequence[tuple[str, str, int, str]] = ()
    attention: Sequence[tuple[str, str, str, str]] = ()
    events: Sequence[SeenEvent] = field(default_factory=tuple)
    phase: str = ""
    seconds: float = 0.0

    @property
    def over(self) -> int:
        """Orders at their end."""
        return sum(count for state, count in self.counts.items() if state in TERMINAL_STATES)

    @property
    def total(self) -> int:
        """Orders known, or to be expected from the file."""
        return max(self.expected_total, sum(self.counts.values()))

    @property
    def rate(self) -> float:
        """Orders brought to their end per second."""
        return self.over / self.seconds if self.seconds > 0 else 0.0


def board_of(
    watch: Watch,
    *,
    title: str,
    expected_total: int,
    events: Sequence[SeenEvent],
    phase: str,
    seconds: float,
) -> Board:
    """The board for what *watch* knows now."""
    open_orders = [watch.orders[order_id] for order_id in watch.open_ids]
    waits: Counter[tuple[str, str]] = Counter()
    due: dict[tuple[str, str], str] = {}
    attention: list[tuple[str, str, str, str]] = []
    for order in open_orders:
        for wait in waits_of(order.view):
            key = (str(wait.get("owner", "-")), str(wait.get("next_step", "-")))
            waits[key] += 1
            if (due_at := wait.get("due_at")) and (key not in due or str(due_at) < due[key]):
                due[key] = str(due_at)
        attention += [(order.order_ref, *case) for case in _cases(order.view)]
    rows = [(owner, step, count, due.get((owner, step), "")) for (owner, step), count in waits.most_common()]
    return Board(
        title=title,
        counts=watch.counts(),
        expected_total=expected_total,
        waits=rows,
        attention=attention,
        events=events,
        phase=phase,
        seconds=seconds,
    )


def _cases(view: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    cases = view.get("attention")
    if not isinstance(cases, list):
        return []
    return [
        (str(case.get("code", "-")), str(case.get("owner", "-")), str(case.get("cause", "") or ""))
        for case in cases
        if isinstance(case, Mapping)
    ]


def summary_line(board: Board) -> str:
    """The board on one line, for a pipe."""
    states = ", ".join(f"{board.counts[state]} {clean(state)}" for state in _states(board) if board.counts.get(state))
    waiting = ", ".join(f"{clean(owner)}:{clean(step)} {count}" for owner, step, count, _ in board.waits[:3])
    parts = [f"{board.seconds:6.1f} s", f"{board.over}/{board.total} at their end", states]
    parts += [f"waiting for {waiting}"] if waiting else []
    parts += [f"{len(board.attention)} need attention"] if board.attention else []
    return " | ".join(part for part in parts if part)


def render(board: Board, now: datetime) -> RenderableType:
    """The whole board; about 22 lines, so that it fits a small terminal."""
    upper = Table.grid(padding=(0, 3))
    upper.add_row(_states_table(board), _waits_table(board, now))
    parts: list[RenderableType] = [_head(board), Text(), upper]
    if board.events:
        parts += [Text(), _events_table(board)]
    if board.attention:
        parts += [Text(), _attention_table(board)]
    return Group(*parts)


def _head(board: Board) -> Text:
    line = Text.assemble((board.title, "bold"), "  ", f"{board.over}/{board.total} orders at their end")
    line.append(f"  {board.seconds:.0f} s  {board.rate:.1f} orders/s")
    return line.append(f"  {clean(board.phase)}", style="dim") if board.phase else line


def _states(board: Board) -> list[str]:
    return [*STATES, *sorted(set(board.counts) - set(STATES))]


def _states_table(board: Board) -> Table:
    table = Table(box=None, padding=(0, 1), show_header=False, title="orders", title_style="dim", title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    table.add_column(no_wrap=True, min_width=BAR)
    for state in _states(board):
        count = board.counts.get(state, 0)
        share = count / board.total if board.total else 0.0
        cells = max(1, round(share * BAR)) if count else 0
        table.add_row(state_text(state), str(count), Text("\u2588" * cells, style=STATE_STYLES.get(state, "")))
    return table


def _waits_table(board: Board, now: datetime) -> Table:
    table = Table(box=None, padding=(0, 1), title="what waits for whom", title_style="dim", title_justify="left")
    for heading in ("owner", "next step", "orders", "first due"):
        table.add_column(heading, header_style="dim", justify="right" if heading == "orders" else "left", no_wrap=True)
    for owner, step, count, due in board.waits[:WAIT_ROWS]:
        overdue = (at := moment(due)) is not None and at < now
        table.add_row(plain(owner), plain(step), str(count), Text(until(due, now), style="red" if overdue else ""))
    return table


def _events_table(board: Board) -> Table:
    table = Table(box=None, padding=(0, 1), show_header=False, title="last events", title_style="dim")
    table.title_justify = "left"
    for _ in range(5):
        table.add_column(no_wrap=True, overflow="ellipsis")
    for event in board.events[:EVENT_ROWS]:
        at = moment(event.at)
        time = f"{at:%H:%M:%S}" if at else "-"
        kind = plain(event.kind, STATE_STYLES.get(event.kind.removeprefix("order."), "cyan"))
        table.add_row(Text(time, style="dim"), plain(event.order_ref), kind, plain(event.actor), Text(event.data))
    return table


def _attention_table(board: Board) -> Table:
    table = Table(box=None, padding=(0, 1), show_header=False, title="needs attention", title_style="red")
    table.title_justify = "left"
    for _ in range(4):
        table.add_column(no_wrap=True, overflow="ellipsis")
    for order_ref, code, owner, cause in board.attention[:ATTENTION_ROWS]:
        table.add_row(plain(order_ref), plain(code, "red"), plain(owner), plain(cause))
    if (more := len(board.attention) - ATTENTION_ROWS) > 0:
        table.add_row(Text(f"and {more} more", style="dim"))
    return table


def seen_event(order_ref: str, event: Mapping[str, Any]) -> SeenEvent:
    """An event of the API as the board keeps it."""
    return SeenEvent(
        at=str(event.get("at", "")),
        order_ref=order_ref,
        kind=str(event.get("kind", "")),
        actor=actor_of(event),
        data=short_data(event.get("data"), limit=60),
    )
