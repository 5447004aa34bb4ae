"""What goes over the wire between the order's workflow, its starter and its writes; fields are added, never changed."""

from dataclasses import dataclass
from datetime import datetime

from domain.change import Event, LeaveQueue, StockEffect, UndoStep
from domain.orders import Order
from domain.projection import FulfillmentFigures, OrderFigures, ParcelFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderInput:
    """What a run begins with; it continues as new after *continue_after* history events."""

    order: Order
    continue_after: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One write: what some messages told, and what they did to our own rows. The order's value travels beside it.

    ``version`` is the order's after the messages. ``numbered`` are the carriers and numbers that parcels got. A ``notable``
    move wakes whoever waits for the order.
    """

    order_id: str
    version: int
    at: datetime
    figures: OrderFigures
    fulfillments: tuple[FulfillmentFigures, ...] = ()
    parcels: tuple[ParcelFigures, ...] = ()
    numbered: tuple[tuple[str, str], ...] = ()
    events: tuple[Event, ...] = ()
    stock: tuple[StockEffect, ...] = ()
    undone: tuple[UndoStep, ...] = ()
    unqueued: tuple[LeaveQueue, ...] = ()
    notable: bool = False
