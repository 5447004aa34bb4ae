"""The paths an order can take, each played to where it rests; their histories are kept and replayed."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from domain.messages import Fact, PaymentFact
from domain.orders import Order, order_state
from domain.vocabulary import OrderState, PaymentState, ShortReason, TrackingStatus
from tests.activities.providers import DECLINED, NEEDS_ACTION, NO_CAPTURE
from tests.db.placing import CANARIES
from tests.domain.making import CARD, CASH, PREPAID, Carrier, Warehouse
from tests.workflows.stage import Stage, rules

ALL = {"1": 2, "2": 2}
WAY = (
    TrackingStatus.PICKED_UP,
    TrackingStatus.IN_TRANSIT,
    TrackingStatus.OUT_FOR_DELIVERY,
    TrackingStatus.DELIVERED,
)


def is_released(order: Order) -> bool:
    """Whether its warehouses have it."""
    return order_state(order) is OrderState.FULFILLING


def is_labelled(order: Order) -> bool:
    """Whether every parcel has its number."""
    return bool(order.parcels) and all(parcel.tracking_number for parcel in order.parcels)


def is_captured(order: Order) -> bool:
    """Whether nothing is left to be taken or given back."""
    return all(a.state in {PaymentState.CAPTURED, PaymentState.VOIDED} for a in order.authorizations)


def has_case(code: str) -> Callable[[Order], bool]:
    """Whether a case of that code stands open."""
    return lambda order: any(case.code == code for case in order.attention)


def warehouses(order: Order) -> list[Warehouse]:
    """One per fulfillment."""
    return [Warehouse(fulfillment.fulfillment_id) for fulfillment in order.fulfillments]


def carrier_of(order: Order, place: int = 0) -> Carrier:
    """Who carries that parcel."""
    parcel = order.parcels[place]
    return Carrier(parcel.tracking_number or "", parcel.carrier or "")


async def ship(stage: Stage, order_id: str) -> tuple[Order, Carrier]:
    """From the warehouse to the carrier, with a label that we buy."""
    (warehouse,) = warehouses(await stage.until(order_id, is_released))
    await stage.tell(order_id, warehouse.accepts(), warehouse.picks(ALL), warehouse.packs())
    await stage.until(order_id, is_labelled)
    await stage.tell(order_id, warehouse.hands_over("A"))
    order = await stage.until(order_id, is_captured)
    return order, carrier_of(order)


async def happy(stage: Stage, continue_after: int = 1000) -> str:
    """The eight facts of a full story, one at a time."""
    order_id = await stage.begin(continue_after=continue_after)
    _, carrier = await ship(stage, order_id)
    await stage.tell(order_id, *(carrier.says(status) for status in WAY))
    return order_id


async def continued(stage: Stage) -> str:
    """The same over several runs."""
    return await happy(stage, continue_after=25)


async def declined(stage: Stage) -> str:
    """The card is refused."""
    order_id = await stage.begin(token=DECLINED)
    await stage.result(order_id)
    return order_id


async def out_of_stock(stage: Stage) -> str:
    """One unit too few."""
    order_id = await stage.begin(stock=({"LEEDS": 1},))
    await stage.result(order_id)
    return order_id


async def void_after_second_decline(stage: Stage) -> str:
    """Of two cards the first is held and the second refused."""
    order_id = await stage.begin(payments=[(CARD, 300), (CARD, 595)], token=[CANARIES["token"], DECLINED])
    await stage.result(order_id)
    return order_id


async def two_fulfillments(stage: Stage) -> str:
    """Two locations, two holds, two parcels."""
    order_id = await stage.begin(stock=({"LEEDS": 5}, {"DERBY": 5}))
    order = await stage.until(order_id, is_released)
    for place, warehouse in enumerate(warehouses(order)):
        lines = {a.line_id: a.quantity for a in order.fulfillments[place].allocations}
        await stage.tell(order_id, warehouse.picks(lines), warehouse.packs({"A": lines}))
        await stage.until(order_id, is_labelled)
        await stage.tell(order_id, warehouse.hands_over("A"))
    order = await stage.until(order_id, is_captured)
    for place in (0, 1):
        await stage.tell(order_id, carrier_of(order, place).says(TrackingStatus.DELIVERED))
    return order_id


async def short_pick(stage: Stage) -> str:
    """One unit is missing."""
    order_id = await stage.begin()
    (warehouse,) = warehouses(await stage.until(order_id, is_released))
    await stage.tell(order_id, warehouse.misses({"1": 1}, ShortReason.MISMATCH), warehouse.picks({"1": 1, "2": 2}))
    await stage.tell(order_id, warehouse.packs())
    await stage.until(order_id, is_labelled)
    await stage.tell(order_id, warehouse.hands_over("A"))
    order = await stage.until(order_id, is_captured)
    await stage.tell(order_id, carrier_of(order).says(TrackingStatus.DELIVERED))
    return order_id


async def refused(stage: Stage) -> str:
    """The warehouse does not take it."""
    order_id = await stage.begin()
    (warehouse,) = warehouses(await stage.until(order_id, is_released))
    await stage.handle(order_id).signal("warehouse_fact", warehouse.refuses())
    await stage.result(order_id)
    return order_id


async def refused_while_labelling(stage: Stage) -> str:
    """The warehouse refuses what it had packed, while we buy its label."""
    order_id = await stage.begin(payments=[(PREPAID, 895)])
    (warehouse,) = warehouses(await stage.until(order_id, is_released))
    stage.carrier.faults.hang("buy_label")
    await stage.tell(order_id, warehouse.picks(ALL), warehouse.packs())
    await stage.carrier.faults.arrived["buy_label"].wait()
    await stage.tell(order_id, warehouse.refuses())
    stage.carrier.faults.let_go("buy_label")
    return order_id


def customer_acted(stage: Stage, order: Order) -> Fact:
    """The provider tells that the customer authenticated."""
    (authorization,) = order.authorizations
    return PaymentFact(
        id="payment:stripe/evt_1",
        authorization_id=authorization.authorization_id,
        outcome="authorized",
        occurred_at=datetime.now(UTC),
        reference=authorization.reference,
        expires_at=stage.payments.customer_acts(authorization.authorization_id),
    )


async def action_taken(stage: Stage) -> str:
    """The customer must authenticate, and does."""
    order_id = await stage.begin(token=NEEDS_ACTION)
    order = await stage.until(order_id, lambda order: order.holds)
    await stage.tell(order_id, customer_acted(stage, order))
    _, carrier = await ship(stage, order_id)
    await stage.tell(order_id, carrier.says(TrackingStatus.DELIVERED))
    return order_id


async def action_expired(stage: Stage) -> str:
    """The customer must authenticate, and does not."""
    order_id = await stage.begin(token=NEEDS_ACTION, rules=rules(payment_action_within=timedelta(seconds=1)))
    await stage.result(order_id)
    return order_id


async def cash_on_delivery(stage: Stage) -> str:
    """Paid at the door."""
    order_id = await stage.begin(payments=[(CASH, 895)])
    order, carrier = await ship(stage, order_id)
    collected = order.parcels[0].collect_minor
    await stage.tell(order_id, carrier.says(TrackingStatus.DELIVERED, collected_minor=collected))
    return order_id


async def prepaid(stage: Stage) -> str:
    """Paid on a marketplace."""
    order_id = await stage.begin(payments=[(PREPAID, 895)])
    _, carrier = await ship(stage, order_id)
    await stage.tell(order_id, carrier.says(TrackingStatus.DELIVERED))
    return order_id


async def own_label(stage: Stage) -> str:
    """The warehouse brings the label, and the carrier's scan is the hand-over."""
    order_id = await stage.begin()
    (warehouse,) = warehouses(await stage.until(order_id, is_released))
    await stage.tell(order_id, warehouse.picks(ALL), warehouse.packs({"A": ALL}, own_label=True))
    await stage.tell(order_id, Carrier().says(TrackingStatus.IN_TRANSIT))
    await stage.until(order_id, is_captured)
    await stage.tell(order_id, Carrier("OWN-A").says(TrackingStatus.DELIVERED, at=datetime.now(UTC)))
    return order_id


async def parked(stage: Stage) -> str:
    """Packed, then picked."""
    order_id = await stage.begin()
    (warehouse,) = warehouses(await stage.until(order_id, is_released))
    await stage.tell(order_id, warehouse.packs(), warehouse.hands_over("A"), warehouse.picks(ALL))
    await stage.until(order_id, is_labelled)
    order = await stage.until(order_id, is_captured)
    await stage.tell(order_id, carrier_of(order).says(TrackingStatus.DELIVERED))
    return order_id


async def delivery_failed_then_delivered(stage: Stage) -> str:
    """Nobody was at home."""
    order_id = await stage.begin()
    _, carrier = await ship(stage, order_id)
    await stage.tell(order_id, carrier.says(TrackingStatus.DELIVERY_FAILED), carrier.says(TrackingStatus.DELIVERED))
    return order_id


async def lost(stage: Stage) -> str:
    """The parcel is gone; a person must settle it."""
    order_id = await stage.begin()
    _, carrier = await ship(stage, order_id)
    await stage.tell(order_id, carrier.says(TrackingStatus.LOST))
    return order_id


async def lost_then_delivered(stage: Stage) -> str:
    """The parcel turns up."""
    order_id = await lost(stage)
    order = await stage.order(order_id)
    await stage.tell(order_id, carrier_of(order).says(TrackingStatus.DELIVERED, at=datetime.now(UTC)))
    return order_id


async def return_to_sender(stage: Stage) -> str:
    """The parcel comes back; a person must settle it."""
    order_id = await stage.begin()
    _, carrier = await ship(stage, order_id)
    await stage.tell(order_id, carrier.says(TrackingStatus.RETURN_TO_SENDER), carrier.says(TrackingStatus.RETURNED))
    return order_id


async def label_refused(stage: Stage) -> str:
    """No carrier takes it; a person must find a way."""
    stage.carrier.serves = False
    order_id = await stage.begin()
    (warehouse,) = warehouses(await stage.until(order_id, is_released))
    await stage.tell(order_id, warehouse.picks(ALL), warehouse.packs())
    await stage.until(order_id, has_case("label_failed"))
    return order_id


async def capture_refused(stage: Stage) -> str:
    """The goods left and the money is not given."""
    order_id = await stage.begin(token=NO_CAPTURE)
    (warehouse,) = warehouses(await stage.until(order_id, is_released))
    await stage.tell(order_id, warehouse.picks(ALL), warehouse.packs({"A": ALL}, own_label=True))
    await stage.tell(order_id, warehouse.hands_over("A"))
    await stage.until(order_id, has_case("capture_failed"))
    return order_id


async def provider_away(stage: Stage) -> str:
    """The provider answers only after our patience has run out; the case closes itself."""
    stage.payments.faults.before["authorize"] = 2
    order_id = await stage.begin(rules=rules(payment_patience=timedelta(seconds=1)))
    await stage.until(order_id, has_case("payment_unreachable"))
    await stage.until(order_id, lambda order: is_released(order) and not order.attention)
    (warehouse,) = warehouses(await stage.order(order_id))
    await stage.handle(order_id).signal("warehouse_fact", warehouse.refuses())
    await stage.result(order_id)
    return order_id


Path = Callable[[Stage], Awaitable[str]]
# Path -> the state in which it rests, and the cases that stand open then.
PATHS: dict[Path, tuple[str, tuple[str, ...]]] = {
    happy: ("delivered", ()),
    continued: ("delivered", ()),
    declined: ("rejected", ()),
    out_of_stock: ("rejected", ()),
    void_after_second_decline: ("rejected", ()),
    two_fulfillments: ("delivered", ()),
    short_pick: ("delivered", ()),
    refused: ("cancelled", ()),
    refused_while_labelling: ("cancelled", ()),
    action_taken: ("delivered", ()),
    action_expired: ("rejected", ()),
    cash_on_delivery: ("delivered", ()),
    prepaid: ("delivered", ()),
    own_label: ("delivered", ()),
    parked: ("delivered", ()),
    delivery_failed_then_delivered: ("delivered", ()),
    lost: ("shipped", ("parcel_lost",)),
    lost_then_delivered: ("delivered", ()),
    return_to_sender: ("shipped", ("delivery_failed",)),
    label_refused: ("fulfilling", ("label_failed",)),
    capture_refused: ("shipped", ("capture_failed",)),
    provider_away: ("cancelled", ()),
}
OPEN = frozenset({lost, return_to_sender, label_refused, capture_refused})
