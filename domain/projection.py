"""What a move changes in the rows that lists are found and sorted by; a pure comparison of two values."""

from dataclasses import dataclass
from datetime import datetime

from domain.orders import Order, closed, fulfillment_state, order_state, parcel_state
from domain.priority import priority
from domain.vocabulary import FulfillmentState, OrderState, ParcelState, Role, TrackingStatus
from domain.waits import waits


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFigures:
    """The columns of an order's row that follow from its value; owner, next step and due time are of its earliest wait."""

    state: OrderState
    priority: int
    owner: Role | None = None
    next_step: str | None = None
    due_at: datetime | None = None
    attention: tuple[str, ...] = ()
    location_ids: tuple[str, ...] = ()
    is_closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FulfillmentFigures:
    """A fulfillment's row."""

    fulfillment_id: str
    location_id: str
    state: FulfillmentState
    priority: int
    ship_by: datetime
    released_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParcelFigures:
    """A parcel's row."""

    parcel_id: str
    fulfillment_id: str
    state: ParcelState
    tracking_status: TrackingStatus
    carrier: str | None = None
    tracking_number: str | None = None


def order_figures(order: Order, now: datetime) -> OrderFigures:
    """The order's row as it follows from *order* at *now*."""
    waiting = next(iter(waits(order)), None)
    return OrderFigures(
        state=order_state(order),
        priority=priority(order, now).value,
        owner=waiting.owner if waiting else None,
        next_step=waiting.next_step if waiting else None,
        due_at=waiting.due_at if waiting else None,
        attention=tuple(sorted({case.code for case in order.attention})),
        location_ids=tuple(sorted({fulfillment.location_id for fulfillment in order.fulfillments})),
        is_closed=closed(order),
    )


def changed_fulfillments(before: Order, after: Order, now: datetime) -> tuple[FulfillmentFigures, ...]:
    """The rows of fulfillments whose state differs."""
    told = {f.fulfillment_id: (fulfillment_state(before, f), f.released_at) for f in before.fulfillments}
    return tuple(
        FulfillmentFigures(
            fulfillment_id=f.fulfillment_id,
            location_id=f.location_id,
            state=fulfillment_state(after, f),
            priority=priority(after, now).value,
            ship_by=after.ship_by,
            released_at=f.released_at,
        )
        for f in after.fulfillments
        if told.get(f.fulfillment_id) != (fulfillment_state(after, f), f.released_at)
    )


def changed_parcels(before: Order, after: Order) -> tuple[ParcelFigures, ...]:
    """The rows of parcels that differ."""
    told = _parcels(before)
    return tuple(row for parcel_id, row in _parcels(after).items() if told.get(parcel_id) != row)


def newly_numbered(before: Order, after: Order) -> tuple[tuple[str, str], ...]:
    """(carrier, tracking number) of the parcels that got theirs."""
    had = {parcel.parcel_id for parcel in before.parcels if parcel.tracking_number}
    return tuple(
        (parcel.carrier or "", parcel.tracking_number)
        for parcel in after.parcels
        if parcel.tracking_number and parcel.parcel_id not in had
    )


def _parcels(order: Order) -> dict[str, ParcelFigures]:
    return {
        parcel.parcel_id: ParcelFigures(
            parcel_id=parcel.parcel_id,
            fulfillment_id=parcel.fulfillment_id,
            state=parcel_state(order, parcel),
            tracking_status=parcel.tracking_status,
            carrier=parcel.carrier,
            tracking_number=parcel.tracking_number,
        )
        for parcel in order.parcels
    }


def is_notable(before: Order, after: Order) -> bool:
    """Whether people see the order differently: its state, its holds or its open cases."""
    return _face(before) != _face(after)


def _face(order: Order) -> tuple[object, ...]:
    return (
        order.announced,
        tuple(hold.hold_id for hold in order.holds),
        tuple(case.attention_id for case in order.attention),
    )
