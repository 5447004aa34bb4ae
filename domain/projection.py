"""Which rows of an order's projection a move changes; a pure comparison of two values."""

from dataclasses import dataclass

from domain.orders import Order, fulfillment_state, parcel_state


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """Ids of fulfillments and parcels whose rows differ, and of parcels that got a tracking number."""

    changed: tuple[str, ...]
    numbered: tuple[str, ...]


def touched(before: Order, after: Order) -> Touched:
    """What differs between *before* and *after* in the rows of fulfillments and parcels."""
    old_rows = {**_fulfillments(before), **_parcels(before)}
    new_rows = {**_fulfillments(after), **_parcels(after)}
    had_number = {parcel.parcel_id for parcel in before.parcels if parcel.tracking_number}
    return Touched(
        changed=tuple(key for key, row in new_rows.items() if old_rows.get(key) != row),
        numbered=tuple(
            parcel.parcel_id
            for parcel in after.parcels
            if parcel.tracking_number and parcel.parcel_id not in had_number
        ),
    )


def _fulfillments(order: Order) -> dict[str, tuple[object, ...]]:
    return {
        fulfillment.fulfillment_id: (fulfillment_state(order, fulfillment), fulfillment.released_at)
        for fulfillment in order.fulfillments
    }


def _parcels(order: Order) -> dict[str, tuple[object, ...]]:
    return {
        parcel.parcel_id: (
            parcel_state(order, parcel),
            parcel.carrier,
            parcel.tracking_number,
            parcel.tracking_status,
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
