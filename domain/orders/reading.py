"""What can be read off an order's value: its state, its parts' states, what of it is settled."""

from domain import units
from domain.messages import Allocation
from domain.money import run_value
from domain.orders.parts import Authorization, Fulfillment, Line, Parcel
from domain.orders.value import Order, remembered
from domain.units import Stage
from domain.vocabulary import Bucket, FulfillmentState, OrderState, ParcelState, PaymentState


def quantities(order: Order, line: Line) -> dict[Bucket, int]:
    """Bucket -> units of *line*; every bucket is there and they sum to what was ordered."""
    found = dict.fromkeys(Bucket, 0)
    for portion in order.portions:
        if portion.line_id == line.line_id:
            found[portion.stage.bucket] += portion.quantity
    return found


@remembered
def order_state(order: Order) -> OrderState:
    """Where the order stands, derived from buckets, payment and outcome."""
    if order.outcome is not None and order.outcome.state is OrderState.REJECTED:
        return OrderState.REJECTED
    stages = {portion.stage for portion in order.portions}
    if stages == {Stage.CANCELLED}:
        return OrderState.CANCELLED
    if stages <= units.ENDED and money_settled(order):
        arrived = stages & {Stage.DELIVERED, Stage.RETURNING, Stage.RETURNED}
        return OrderState.DELIVERED if arrived else OrderState.UNDELIVERABLE
    if stages - {Stage.OPEN, Stage.BACKORDERED, Stage.RESERVED, Stage.CANCELLED}:
        return OrderState.FULFILLING if stages & units.WAITING else OrderState.SHIPPED
    if any(fulfillment.released_at is not None for fulfillment in order.fulfillments):
        return OrderState.CONFIRMED  # Every warehouse refused it, and it is sourced again.
    if stages <= {Stage.RESERVED, Stage.BACKORDERED, Stage.CANCELLED} and all_authorized(order):
        return OrderState.CONFIRMED
    return OrderState.RECEIVED


TERMINAL = frozenset({OrderState.DELIVERED, OrderState.CANCELLED, OrderState.REJECTED, OrderState.UNDELIVERABLE})


def all_authorized(order: Order) -> bool:
    """Whether every part of the order that is planned has its money held or promised; what was given up needs none."""
    awaited = {PaymentState.PENDING, PaymentState.ACTION_REQUIRED}
    return not any(
        authorization.state in awaited and authorization.void_since is None for authorization in order.authorizations
    )


def money_settled(order: Order) -> bool:
    """Whether no capture, void, collection at the door or settlement of lost goods is still owed."""
    if any(not _is_at_rest(authorization) for authorization in order.authorizations):
        return False
    if any(collection_owed(order, parcel) for parcel in order.parcels):
        return False
    return not units.count(order.portions, {Stage.LOST, Stage.SENT_BACK})


def _is_at_rest(authorization: Authorization) -> bool:
    return authorization.state in {
        PaymentState.CAPTURED,
        PaymentState.VOIDED,
        PaymentState.DECLINED,
        PaymentState.EXPIRED,
    }


def collection_owed(order: Order, parcel: Parcel) -> bool:
    """Whether the carrier delivered *parcel* and has not said that it took all the money at the door."""
    return (
        parcel.collect_minor > (parcel.collected_minor or 0)
        and not parcel.collection_written_off
        and units.count(order.portions, {Stage.DELIVERED}, parcel_id=parcel.parcel_id) > 0
    )


@remembered
def closed(order: Order) -> bool:
    """Whether the order has ended and nothing of it is still running."""
    return (
        order_state(order) in TERMINAL
        and all(_is_at_rest(authorization) for authorization in order.authorizations)
        and not any(needs_label_void(order, parcel) for parcel in order.parcels)
    )


def needs_label_void(order: Order, parcel: Parcel) -> bool:
    """Whether *parcel* was cancelled after we began to buy its label, whose answer may still be on its way."""
    return (
        parcel_state(order, parcel) is ParcelState.CANCELLED
        and parcel.label_refused is None
        and not parcel.own_label
        and not parcel.label_voided
    )


_LEAST_ADVANCED: tuple[tuple[Stage, FulfillmentState], ...] = (
    (Stage.RESERVED, FulfillmentState.PLANNED),
    (Stage.RELEASED, FulfillmentState.RELEASED),
    (Stage.PICKED, FulfillmentState.PICKED),
    (Stage.PACKED, FulfillmentState.PACKED),
    (Stage.IN_TRANSIT, FulfillmentState.HANDED_OVER),
    (Stage.SENDING_BACK, FulfillmentState.HANDED_OVER),
    (Stage.DELIVERED, FulfillmentState.DELIVERED),
    (Stage.RETURNING, FulfillmentState.DELIVERED),
    (Stage.RETURNED, FulfillmentState.DELIVERED),
)


def fulfillment_state(order: Order, fulfillment: Fulfillment) -> FulfillmentState:
    """Where the fulfillment stands: the least advanced live unit counts."""
    stages = {portion.stage for portion in order.portions if portion.fulfillment_id == fulfillment.fulfillment_id}
    for stage, state in _LEAST_ADVANCED:
        if stage in stages:
            if state is FulfillmentState.RELEASED and fulfillment.accepted_at is not None:
                return FulfillmentState.ACCEPTED
            return state
    if stages & {Stage.LOST, Stage.SENT_BACK}:
        return FulfillmentState.UNDELIVERABLE
    return FulfillmentState.REFUSED if fulfillment.refused else FulfillmentState.CANCELLED


def parcel_state(order: Order, parcel: Parcel) -> ParcelState:
    """What we did with the parcel; it is cancelled when none of its units is in it any more."""
    stages = {portion.stage for portion in order.portions if portion.parcel_id == parcel.parcel_id}
    if Stage.PACKED in stages:
        return ParcelState.LABELLED if parcel.tracking_number else ParcelState.PACKED
    if stages & {Stage.IN_TRANSIT, Stage.SENDING_BACK}:
        return ParcelState.HANDED_OVER
    if stages & {Stage.DELIVERED, Stage.RETURNING, Stage.RETURNED}:
        return ParcelState.DELIVERED
    if Stage.SENT_BACK in stages:
        return ParcelState.SENT_BACK
    if Stage.LOST in stages:
        return ParcelState.LOST
    return ParcelState.CANCELLED


def left_by_line(order: Order, fulfillment: Fulfillment) -> dict[str, int]:
    """Line id -> units of *fulfillment* that left for the customer."""
    return units.by_line(order.portions, units.LEFT, fulfillment_id=fulfillment.fulfillment_id)


def run_worth(order: Order, allocation: Allocation, count: int) -> int:
    """What the first *count* units of *allocation* are worth, in minor units."""
    line = order.line(allocation.line_id)
    return run_value(line.total_minor, line.quantity, first=allocation.first_unit, count=count)
