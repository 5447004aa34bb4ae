"""The three ledgers as they stood at one moment: our rows, the world's entries, the engine's histories; values only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from temporalio.client import WorkflowHistory

Row = Mapping[str, Any]
Finding = str

TERMINAL = frozenset({"delivered", "cancelled", "rejected", "undeliverable"})
PROVIDER_METHODS = frozenset({"card", "wallet"})
LEFT = frozenset({"in_transit", "delivered", "lost", "sending_back", "sent_back", "returning", "returned"})
NOT_LEFT = frozenset({"reserved", "released", "picked", "packed"})
ENDED = frozenset({"delivered", "cancelled", "lost", "sent_back", "returning", "returned"})
STAGES = LEFT | NOT_LEFT | ENDED | {"open", "backordered"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One order's workflow and what the engine shows of it; histories of every run, oldest first, where they were read."""

    status: str
    result: str | None
    first_run_ids: frozenset[str]
    histories: tuple[WorkflowHistory, ...]
    shown: bytes
    task_attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Everything that is judged; *orders* are those asked for, the rows of stock and effects are always all.

    ``accepted`` has the identity of each order that was answered with a 2xx. An engine that lost its file at
    ``engine_lost_at`` knows nothing of the orders that had closed by then. ``heard`` is what the world's shop
    was told by webhook.
    """

    orders: tuple[Row, ...]
    accepted: Mapping[str, str]
    events: Mapping[str, tuple[Row, ...]]
    archived: Mapping[str, int]
    parked: tuple[Row, ...]
    undelivered: tuple[Row, ...]
    positions: tuple[int, int]
    stock: tuple[Row, ...]
    movements: tuple[Row, ...]
    reservations: tuple[Row, ...]
    operations: tuple[Row, ...]
    entries: tuple[Row, ...]
    heard: tuple[Row, ...]
    views: Mapping[str, Row] = field(default_factory=dict)
    executions: Mapping[str, Execution] = field(default_factory=dict)
    unreplayable: tuple[str, ...] = ()
    texts: Mapping[str, bytes] = field(default_factory=dict)
    canaries: frozenset[str] = frozenset()
    engine_lost_at: datetime | None = None

    def of_order(self, order_id: str, *kinds: str) -> list[Row]:
        """The world's entries for an order, of *kinds* or all."""
        return [e for e in self.entries if e["order_id"] == order_id and (not kinds or e["kind"] in kinds)]


def portions(order: Row) -> list[Row]:
    """Where the order's units are."""
    found: list[Row] = order["snapshot"].get("portions", [])
    return found


def count(order: Row, stages: frozenset[str], **where: str) -> int:
    """The order's units in *stages* at a place."""
    return sum(
        portion["quantity"]
        for portion in portions(order)
        if portion["stage"] in stages and all(portion.get(name) == value for name, value in where.items())
    )


def parts(order: Row, name: str) -> list[Row]:
    """The parts of the order's value of that name: lines, payments, fulfillments, authorizations, parcels, attention."""
    found: list[Row] = order["snapshot"].get(name, [])
    return found


def open_cases(order: Row) -> set[str]:
    """The codes of the order's open attention cases."""
    return {case["code"] for case in [*parts(order, "attention"), *order["row_attention"]]}


def is_closed(order: Row) -> bool:
    """Whether the order has ended and nothing of it runs."""
    return order["closed_at"] is not None


def tripled(order: Row) -> Iterator[tuple[str, int, int]]:
    """(line id, ordered, units counted over its portions) per line."""
    for line in parts(order, "lines"):
        here = [portion["quantity"] for portion in portions(order) if portion["line_id"] == line["line_id"]]
        yield line["line_id"], line["quantity"], sum(here)
