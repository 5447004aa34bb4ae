"""What the results of an order's steps, and the payment provider's word, do to it; no I/O."""

from dataclasses import replace
from datetime import datetime

from domain import names, units
from domain.attention import AttentionCode, open_case
from domain.backorders import queue
from domain.change import Change
from domain.ending import reject
from domain.holding import NOT_RELEASED, release_own_hold
from domain.messages import (
    Allocation,
    CaptureRefused,
    Decision,
    LabelBooked,
    LabelRefused,
    LabelVoided,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentFact,
    PaymentVoided,
    PlannedFulfillment,
    StockReserved,
    StockShort,
)
from domain.orders import (
    Authorization,
    Fulfillment,
    Hold,
)
from domain.payments import plan_authorizations, startable, with_authorization, with_parcel
from domain.requests import counted
from domain.resourcing import drop_declined, drop_short, take_over
from domain.shipping import check_collection
from domain.steps import ReserveStock, next_steps
from domain.units import Place, Stage
from domain.vocabulary import (
    EventKind,
    HoldReason,
    PaymentState,
    RejectReason,
    Role,
)


def payment_fact(change: Change, fact: PaymentFact) -> bool:
    """The provider's word on an authorization that waits for the customer; on one that is settled it changes nothing.

    False when we do not know yet that the customer must act, and it must be parked: a lost workflow task forgets that.
    """
    found = [a for a in change.order.authorizations if a.authorization_id == fact.authorization_id]
    if change.order.outcome is None and (not found or found[0].state is PaymentState.PENDING):
        return False
    if not found or found[0].state is not PaymentState.ACTION_REQUIRED or found[0].void_since is not None:
        return True
    authorization = found[0]
    if fact.outcome == "authorized":
        _authorized(change, authorization, fact.reference or authorization.reference, fact.expires_at)
        release_own_hold(change, HoldReason.AWAITING_PAYMENT)
    elif fact.outcome == "expired":
        expire_payment(change, authorization)
    else:
        _decline(change, authorization, fact.code or "authentication_failed")
    return True


def stock_reserved(change: Change, result: StockReserved) -> None:
    """The stock is promised: the fulfillments are planned, and the money to hold for each."""
    step = next_steps(change.order)[result.step_key]
    instead_of = step.instead_of if isinstance(step, ReserveStock) else None
    if instead_of is None:
        allocations = {planned.fulfillment_id: planned.allocations for planned in result.fulfillments}
    else:
        allocations = take_over(change, instead_of, result.fulfillments)
    for planned in result.fulfillments:
        _plan(change, planned, allocations[planned.fulfillment_id], instead_of)
    order = change.order
    change.order = replace(order, decisions=(*order.decisions, result.decision))
    change.order = replace(change.order, authorizations=plan_authorizations(change.order, now=change.now))
    if result.fulfillments:
        change.tell(
            EventKind.STOCK_RESERVED,
            fulfillments=[
                {"fulfillment_id": planned.fulfillment_id, "location_id": planned.location_id}
                for planned in result.fulfillments
            ],
        )
    if result.backordered:
        queue(change, counted(result.backordered))
    if result.short and instead_of is not None:
        drop_short(change, instead_of, counted(result.short))


def _plan(
    change: Change, planned: PlannedFulfillment, allocations: tuple[Allocation, ...], instead_of: str | None
) -> None:
    order = change.order
    fulfillment = Fulfillment(
        fulfillment_id=planned.fulfillment_id,
        location_id=planned.location_id,
        allocations=allocations,
        after=instead_of,
    )
    portions = units.move(
        order.portions,
        {allocation.line_id: allocation.quantity for allocation in allocations},
        Place(stage=Stage.OPEN, fulfillment_id=instead_of),
        Place(stage=Stage.RESERVED, fulfillment_id=planned.fulfillment_id),
    )
    change.order = replace(order, portions=portions, fulfillments=(*order.fulfillments, fulfillment))


def stock_short(change: Change, result: StockShort) -> None:
    """The stock falls short: the order is refused, and the decision says where it was looked for."""
    change.order = replace(change.order, decisions=(*change.order.decisions, result.decision))
    missing = [{"sku": sku, "quantity": quantity} for sku, quantity in result.missing]
    # Nothing is missing when all is there, but not in one place, and the order must not be split.
    if missing:
        reject(change, RejectReason.OUT_OF_STOCK, missing=missing)
    else:
        reject(change, RejectReason.OUT_OF_STOCK, missing=missing, code="not_in_one_place")


def payment_authorized(change: Change, result: PaymentAuthorized) -> None:
    """The money of one fulfillment is held."""
    authorization = change.order.authorization(result.authorization_id)
    _authorized(change, authorization, result.reference, result.expires_at)


def _authorized(
    change: Change, authorization: Authorization, reference: str | None, expires_at: datetime | None
) -> None:
    held = replace(
        authorization,
        state=PaymentState.AUTHORIZED,
        reference=reference,
        expires_at=expires_at,
        action_url=None,
        action_due_at=None,
    )
    change.order = with_authorization(change.order, held)
    change.tell(
        EventKind.PAYMENT_AUTHORIZED,
        payment_id=held.payment_id,
        fulfillment_id=held.fulfillment_id,
        amount_minor=held.amount_minor,
        expires_at=expires_at.isoformat() if expires_at else None,
    )


def payment_declined(change: Change, result: PaymentDeclined) -> None:
    """The provider would not hold the money: the order is refused."""
    _decline(change, change.order.authorization(result.authorization_id), result.code)


def _decline(change: Change, authorization: Authorization, code: str) -> None:
    asked = frozenset(other.authorization_id for other in startable(change.order))
    change.order = with_authorization(
        change.order, replace(authorization, state=PaymentState.DECLINED, decline_code=code, action_url=None)
    )
    change.tell(EventKind.PAYMENT_DECLINED, payment_id=authorization.payment_id, code=code)
    if {portion.stage for portion in change.order.portions} <= NOT_RELEASED:
        reject(change, RejectReason.PAYMENT_DECLINED, asked=asked, code=code)
    else:
        drop_declined(change, authorization.fulfillment_id)


def payment_action_required(change: Change, result: PaymentActionRequired) -> None:
    """The customer must act; the order is held until then, at most as long as policy and provider allow."""
    order = change.order
    due_at = max(change.now, min(result.expires_at, change.now + order.policy.rules.payment_action_within))
    authorization = replace(
        order.authorization(result.authorization_id),
        state=PaymentState.ACTION_REQUIRED,
        reference=result.reference,
        action_url=result.url,
        action_due_at=due_at,
    )
    change.order = with_authorization(order, authorization)
    change.tell(EventKind.PAYMENT_ACTION_REQUIRED, payment_id=authorization.payment_id, due_at=due_at.isoformat())
    _place_hold(change, HoldReason.AWAITING_PAYMENT, owner=Role.CUSTOMER, due_at=due_at)


def _place_hold(change: Change, reason: HoldReason, *, owner: Role, due_at: datetime) -> None:
    order = change.order
    hold_id = names.hold_id(order.order_id, reason)
    if any(hold.hold_id == hold_id for hold in order.holds):
        return
    hold = Hold(hold_id=hold_id, reason=reason, placed_by="system", owner=owner, placed_at=change.now, due_at=due_at)
    change.order = replace(order, holds=(*order.holds, hold))
    change.tell(EventKind.HOLD_PLACED, hold_id=hold_id, reason=reason.value, owner=owner.value)


def payment_captured(change: Change, result: PaymentCaptured) -> None:
    """The money for what left was taken."""
    authorization = change.order.authorization(result.authorization_id)
    change.order = with_authorization(
        change.order,
        replace(authorization, state=PaymentState.CAPTURED, captured_minor=result.amount_minor),
    )
    change.tell(
        EventKind.PAYMENT_CAPTURED,
        payment_id=authorization.payment_id,
        fulfillment_id=authorization.fulfillment_id,
        amount_minor=result.amount_minor,
    )


def capture_refused(change: Change, result: CaptureRefused) -> None:
    """The money could not be taken although the goods left: a case for payments."""
    authorization = change.order.authorization(result.authorization_id)
    change.order = with_authorization(change.order, replace(authorization, capture_refused=result.code))
    open_case(change, AttentionCode.CAPTURE_FAILED, authorization.authorization_id, f"refused: {result.code}")


def payment_voided(change: Change, result: PaymentVoided) -> None:
    """Nothing is held under this authorization any more."""
    authorization = change.order.authorization(result.authorization_id)
    change.order = with_authorization(change.order, replace(authorization, state=PaymentState.VOIDED))
    change.tell(
        EventKind.PAYMENT_VOIDED,
        payment_id=authorization.payment_id,
        fulfillment_id=authorization.fulfillment_id,
        amount_minor=authorization.amount_minor,
    )


def label_booked(change: Change, result: LabelBooked) -> None:
    """The parcel has its carrier and number."""
    parcel = change.order.parcel(result.parcel_id)
    labelled = replace(
        parcel,
        carrier=result.carrier,
        service=result.service,
        tracking_number=result.tracking_number,
        estimated_on=result.estimated_on,
    )
    change.order = with_parcel(change.order, labelled)
    _decided(change, result.decision)
    change.tell(
        EventKind.PARCEL_LABELLED,
        parcel_id=parcel.parcel_id,
        carrier=result.carrier,
        service=result.service,
        tracking_number=result.tracking_number,
        price_minor=result.price_minor,
        currency=result.currency,
    )
    check_collection(change, parcel.parcel_id)


def label_refused(change: Change, result: LabelRefused) -> None:
    """No carrier takes the parcel: a case for dispatch."""
    parcel = change.order.parcel(result.parcel_id)
    change.order = with_parcel(change.order, replace(parcel, label_refused=result.code))
    if result.decision is not None:
        _decided(change, result.decision)
    open_case(change, AttentionCode.LABEL_FAILED, parcel.parcel_id, result.code)


def label_voided(change: Change, result: LabelVoided) -> None:
    """The label of a cancelled parcel was given back."""
    parcel = change.order.parcel(result.parcel_id)
    change.order = with_parcel(change.order, replace(parcel, label_voided=True))


def _decided(change: Change, decision: Decision) -> None:
    change.order = replace(change.order, decisions=(*change.order.decisions, decision))


def expire_payment(change: Change, authorization: Authorization) -> None:
    """The customer did not act in time: the order is refused."""
    change.order = with_authorization(change.order, replace(authorization, action_url=None))
    reject(change, RejectReason.PAYMENT_EXPIRED)
