"""What must hold for an order after any message whatever; a story that breaks one of these is a defect."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime

from domain import payments, units
from domain.attention import AttentionCode
from domain.commands import Command
from domain.life import Applied, apply
from domain.messages import CarrierFact, DueReached, Message, PaymentFact, StockServed, WarehouseFact
from domain.orders import PROVIDER_METHODS, Order, closed, order_state, parcel_state
from domain.orders import quantities as buckets
from domain.steps import next_steps
from domain.vocabulary import OrderState, ParcelState, PaymentMethod, PaymentState
from domain.waits import next_due, waits
from runtime.wire import WireConverter

CONVERTER = WireConverter()


def check_order(order: Order, *, told: Collection[str] = ()) -> None:
    """Everything that must hold for *order* by itself; *told* are the codes of cases that people have closed since."""
    check_units(order)
    check_money(order, told=told)
    check_waits(order)
    check_steps(order)


def check_units(order: Order) -> None:
    """Every unit is in exactly one bucket, and the buckets sum to what was ordered."""
    for line in order.lines:
        assert sum(buckets(order, line).values()) == line.quantity, line.line_id
    assert all(portion.quantity > 0 for portion in order.portions)
    places = Counter((p.line_id, p.stage, p.fulfillment_id, p.parcel_id) for p in order.portions)
    assert max(places.values()) == 1, "one place is written twice"
    for fulfillment in order.fulfillments:
        planned = {a.line_id: a.quantity for a in fulfillment.allocations if a.quantity}
        there = units.by_line(order.portions, units.Stage, fulfillment_id=fulfillment.fulfillment_id)
        assert there == planned


def check_money(order: Order, *, told: Collection[str] = ()) -> None:
    """Holds sum to what each payment covers; nothing is taken beyond its hold, nothing from an order that was refused."""
    for payment in order.payments:
        mine = [a for a in order.authorizations if a.payment_id == payment.payment_id]
        if payment.method in PROVIDER_METHODS and _is_planned_once(order):
            assert sum(a.amount_minor for a in mine) == payment.amount_minor
        assert payments.captured_by(order, payment) >= 0
    for authorization in order.authorizations:
        assert 0 <= authorization.captured_minor <= authorization.amount_minor
        amount = payments.capture_amount(order, authorization)
        assert amount is None or 0 <= amount <= authorization.amount_minor
        if authorization.state is PaymentState.CAPTURED:
            assert authorization.captured_minor == amount, "the right amount was taken, once"
    amounts = payments.amounts(order)
    known = {*told, *(case.code for case in order.attention)}
    assert amounts.ordered_total_minor == sum(p.amount_minor for p in order.payments if p.replaced_by is None)
    assert 0 <= amounts.total_minor <= amounts.ordered_total_minor
    if order_state(order) in {OrderState.REJECTED, OrderState.CANCELLED}:
        assert amounts.total_minor == 0
        contradicted = AttentionCode.CONTRADICTING_FACT in known
        assert amounts.captured_minor == 0 or contradicted, "only a carrier can have taken cash for what was cancelled"
    if order_state(order) is OrderState.DELIVERED:
        right = amounts.captured_minor == amounts.total_minor
        assert right or AttentionCode.CAPTURE_FAILED in known, "the wrong amount was taken, and nobody is told"


def _is_planned_once(order: Order) -> bool:
    """Whether every unit is in the plan of one fulfillment, and every payment is the first: then the holds sum up."""
    again = any(f.after or f.sourced_again for f in order.fulfillments) or any(p.replaced_by for p in order.payments)
    return not again and all(portion.fulfillment_id is not None for portion in order.portions)


def check_collections(order: Order) -> None:
    """What carriers collect at the door never exceeds what is to be paid in cash."""
    cash = sum(p.amount_minor for p in order.payments if p.method is PaymentMethod.CASH_ON_DELIVERY)
    live = [parcel for parcel in order.parcels if parcel_state(order, parcel) is not ParcelState.CANCELLED]
    assert sum(parcel.collect_minor for parcel in live) <= cash


def check_waits(order: Order) -> None:
    """An open order waits for something, each wait with an owner and a due time; a closed one for nothing."""
    found = waits(order)
    if closed(order):
        assert found == ()
        assert next_steps(order) == {}
        return
    assert found, "an open order waits for nothing"
    assert len({wait.key for wait in found}) == len(found)
    for wait in found:
        assert wait.owner
        assert wait.due_at >= wait.since
    assert [wait.due_at for wait in found] == sorted(wait.due_at for wait in found)


def check_steps(order: Order) -> None:
    """Each step stands under its own key, which names the order and never a run."""
    for key, step in next_steps(order).items():
        assert step.key == key
        assert key.startswith(f"{order.order_id}:")


def check_message(
    before: Order, message: Message, applied: Applied, now: datetime, *, told: Collection[str] = ()
) -> None:
    """What must hold between *before* and what *message* made of it."""
    after = applied.order
    assert apply(before, message, now) == applied, "the same message on the same order gives something else"
    if after is before:
        assert applied.events == ()
        assert applied.effects == ()
    else:
        assert after.version == before.version + 1
    again = apply(after, message, now)
    assert again.order is after, "a repeated message changed the order"
    if not isinstance(message, WarehouseFact | CarrierFact | PaymentFact | StockServed | DueReached | Command):
        assert message.step_key not in next_steps(after), "a result left its own step to be done again"
    if isinstance(message, DueReached):
        due = next_due(after)
        assert due is None or due > now, "what was due is still due: the timer would fire for ever"
    check_round_trip(after)
    check_order(after, told=told)


def check_round_trip(order: Order) -> None:
    """The value survives the wire unchanged; the projection keeps the very bytes that travelled."""
    payload = CONVERTER.to_payload(order)
    assert payload is not None
    assert CONVERTER.from_payload(payload, Order) == order
