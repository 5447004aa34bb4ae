"""Another means of payment while an order waits for its customer to pay; no I/O."""

from dataclasses import replace

from domain import names
from domain.change import Change
from domain.commands import AddPayment
from domain.ending import given_up
from domain.errors import Refused
from domain.orders import PROVIDER_METHODS, Authorization, Order, Payment
from domain.payments import startable
from domain.vocabulary import EventKind, PaymentState


def awaited(order: Order) -> Payment | None:
    """The payment that waits for the customer to act."""
    waiting = {
        a.payment_id for a in order.authorizations if a.state is PaymentState.ACTION_REQUIRED and a.void_since is None
    }
    return next((payment for payment in order.payments if payment.payment_id in waiting), None)


def refuse_payment(order: Order, command: AddPayment) -> Refused | None:
    """Why *command* is illegal now: ``not_awaiting_payment``, ``method_not_possible``; None when it is not."""
    if awaited(order) is None:
        return Refused("the order does not wait for its customer to pay", code="not_awaiting_payment")
    if command.method not in PROVIDER_METHODS:
        possible = ", ".join(sorted(method.value for method in PROVIDER_METHODS))
        return Refused(f"it can be paid by: {possible}", code="method_not_possible")
    return None


def add_payment(change: Change, command: AddPayment) -> str:
    """The new payment covers what the old one did, which is given up; its id."""
    order = change.order
    old = awaited(order)
    assert old is not None  # refused before
    new = Payment(payment_id=command.payment_id, method=command.method, amount_minor=old.amount_minor)
    asked = {authorization.authorization_id for authorization in startable(order)}
    authorizations: list[Authorization] = []
    for authorization in order.authorizations:
        given = authorization.payment_id == old.payment_id and authorization.void_since is None
        if not given or authorization.state not in {PaymentState.PENDING, PaymentState.ACTION_REQUIRED}:
            authorizations.append(authorization)
            continue
        ended = given_up(authorization, change.now, started=authorization.authorization_id in asked)
        authorizations += [replace(ended, action_url=None), _instead(change, authorization, new)]
    change.order = replace(
        order,
        payments=tuple(
            found
            for payment in order.payments
            for found in ((replace(payment, replaced_by=new.payment_id), new) if payment is old else (payment,))
        ),
        authorizations=tuple(authorizations),
    )
    change.tell(EventKind.ORDER_AMENDED, what="payment", payment_id=new.payment_id, instead_of=old.payment_id)
    return new.payment_id


def _instead(change: Change, old: Authorization, payment: Payment) -> Authorization:
    return Authorization(
        authorization_id=names.authorization_id(old.fulfillment_id, payment.payment_id, 1),
        payment_id=payment.payment_id,
        fulfillment_id=old.fulfillment_id,
        amount_minor=old.amount_minor,
        shipping_minor=old.shipping_minor,
        requested_at=change.now,
    )
