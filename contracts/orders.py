"""What goes over the wire between the order's workflow, its starter and its writes; fields are added, never changed."""

from dataclasses import dataclass

from domain.change import Event, StockEffect, UndoStep
from domain.orders import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderInput:
    """What a run begins with; it continues as new after *continue_after* history events."""

    order: Order
    continue_after: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One write: the order after some messages, what they told and what they did to our own rows.

    ``base_version`` is the version before the first of the messages; ``changed`` names the fulfillments and parcels whose
    rows differ, ``numbered`` the parcels that got their tracking number. ``notable`` moves wake whoever waits for the order.
    """

    order: Order
    base_version: int
    events: tuple[Event, ...] = ()
    stock: tuple[StockEffect, ...] = ()
    undone: tuple[UndoStep, ...] = ()
    changed: tuple[str, ...] = ()
    numbered: tuple[str, ...] = ()
    notable: bool = False
