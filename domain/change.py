"""What one message does to an order while it is being applied: the new value, its events and its effects."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from domain.orders import Order
from domain.vocabulary import ActorKind, EventKind, MovementKind

RECENT_EVENTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Which message this is, and who sent it."""

    id: str
    actor: ActorKind
    actor_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, named by its cause and its place among that cause's events."""

    cause_id: str
    ordinal: int
    kind: EventKind
    at: datetime
    actor: ActorKind
    actor_id: str | None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StockUnits:
    """Units of one reserved line."""

    line_id: str
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StockEffect:
    """Reserved units leave their promise: each of *movements* (kind, sign) is booked for *lines* with the move."""

    cause_id: str
    ordinal: int
    fulfillment_id: str
    location_id: str
    movements: tuple[tuple[MovementKind, int], ...]
    lines: tuple[StockUnits, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoStep:
    """A reservation must not take effect any more; what it promised is given back."""

    cause_id: str
    step_key: str
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveQueue:
    """Backordered units are not wanted any more: off the queue, or given back if they were served meanwhile.

    *known* are the fulfillments that the order knew then: what was promised to others of it is not known to it yet.
    """

    cause_id: str
    ordinal: int
    lines: tuple[StockUnits, ...]
    known: tuple[str, ...]


Effect = StockEffect | UndoStep | LeaveQueue


@dataclass
class Change:
    """Collects what one message does; moves replace ``order`` and add to the rest."""

    order: Order
    now: datetime
    cause: Cause
    events: list[Event] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)

    def tell(self, kind: EventKind, /, **data: Any) -> None:
        """Add an event of this cause."""
        self.events.append(
            Event(
                cause_id=self.cause.id,
                ordinal=len(self.events),
                kind=kind,
                at=self.now,
                actor=self.cause.actor,
                actor_id=self.cause.actor_id,
                data=data,
            )
        )
        recent = (*self.order.recent, (self.now, kind.value))[-RECENT_EVENTS:]
        self.order = replace(self.order, recent=recent)

    def move_stock(
        self, fulfillment_id: str, movements: tuple[tuple[MovementKind, int], ...], lines: dict[str, int]
    ) -> None:
        """Book *movements* for the fulfillment's reserved units, with this move."""
        if not any(lines.values()):
            return
        self.effects.append(
            StockEffect(
                cause_id=self.cause.id,
                ordinal=len(self.effects),
                fulfillment_id=fulfillment_id,
                location_id=self.order.fulfillment(fulfillment_id).location_id,
                movements=movements,
                lines=tuple(
                    StockUnits(line_id=line_id, sku=self.order.line(line_id).sku, quantity=quantity)
                    for line_id, quantity in lines.items()
                    if quantity
                ),
            )
        )

    def leave_queue(self, lines: dict[str, int]) -> None:
        """Backordered units (line id -> units) are not wanted any more."""
        if not any(lines.values()):
            return
        self.effects.append(
            LeaveQueue(
                cause_id=self.cause.id,
                ordinal=len(self.effects),
                lines=tuple(
                    StockUnits(line_id=line_id, sku=self.order.line(line_id).sku, quantity=quantity)
                    for line_id, quantity in lines.items()
                    if quantity
                ),
                known=tuple(fulfillment.fulfillment_id for fulfillment in self.order.fulfillments),
            )
        )

    def undo_step(self, step_key: str) -> None:
        """Leave a tombstone under *step_key*, with this move."""
        known = tuple(fulfillment.fulfillment_id for fulfillment in self.order.fulfillments)
        self.effects.append(UndoStep(cause_id=self.cause.id, step_key=step_key, known=known))
