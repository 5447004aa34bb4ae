"""An order as those see it who may: built from the state value, the request and the contact, without I/O."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from contracts import names
from contracts.views.parts import parcel_view
from domain import payments
from domain.messages import Decision
from domain.orders import (
    Attention,
    Cancellation,
    Fulfillment,
    Hold,
    Order,
    Payment,
    fulfillment_state,
    order_state,
    quantities,
)
from domain.resolving import PARAMETERS, legal_fixes, row_fixes
from domain.vocabulary import PaymentState
from domain.waits import Wait, waits

View = dict[str, Any]


class ContactData(Protocol):
    """An order's contact as it is stored: personal data and free text."""

    @property
    def name(self) -> str | None:
        """Whose order it is."""

    @property
    def email(self) -> str | None:
        """Where to write."""

    @property
    def phone(self) -> str | None:
        """Where to call."""

    @property
    def locale(self) -> str | None:
        """In which language."""

    @property
    def notify(self) -> str | None:
        """The preferred way to be told."""

    @property
    def optional_notices(self) -> bool:
        """Whether notices beyond the necessary are wanted."""

    @property
    def shipping_address(self) -> Mapping[str, Any]:
        """Where the goods go."""

    @property
    def billing_address(self) -> Mapping[str, Any] | None:
        """Where the bill goes, when elsewhere."""

    @property
    def gift(self) -> Mapping[str, Any] | None:
        """What makes the order a gift."""

    @property
    def note(self) -> str | None:
        """What the customer added."""


class OrderData(Protocol):
    """An order as it is stored: its state value, the request, the contact, and what the row adds."""

    @property
    def order(self) -> Order:
        """The state value."""

    @property
    def order_ref(self) -> str:
        """The front door's reference."""

    @property
    def request(self) -> Mapping[str, Any]:
        """The request as accepted, without personal data."""

    @property
    def sequence(self) -> int:
        """The last event of the order."""

    @property
    def priority(self) -> int:
        """0-9, 9 first."""

    @property
    def policy_version(self) -> int:
        """The policy it runs under."""

    @property
    def replaces(self) -> str | None:
        """The rejected order that it came instead of."""

    @property
    def replaced_by(self) -> Sequence[str]:
        """The orders that came instead of it."""

    @property
    def changed_at(self) -> datetime:
        """The last change."""

    @property
    def row_attention(self) -> Sequence[Mapping[str, Any]]:
        """Cases that were opened beside the state value."""

    @property
    def contact(self) -> ContactData:
        """The contact that the order ships to."""

    @property
    def notes(self) -> Sequence[Mapping[str, Any]]:
        """What was written about the order."""


def order_view(stored: OrderData, *, links: Mapping[str, str | None]) -> View:
    """The order with everything that is told of it."""
    order, request = stored.order, stored.request
    waiting = [wait_view(wait) for wait in waits(order)]
    return {
        "order_id": order.order_id,
        "order_ref": stored.order_ref,
        "channel": order.channel,
        "source": order.source,
        "kind": order.kind,
        "state": order_state(order),
        "version": stored.sequence,
        "priority": stored.priority,
        "policy_version": stored.policy_version,
        "received_at": order.received_at,
        "placed_at": request["placed_at"],
        "changed_at": stored.changed_at,
        "outcome": None
        if order.outcome is None
        else {"state": order.outcome.state, "reason": order.outcome.reason, "detail": order.outcome.detail},
        "replaces": stored.replaces,
        "related": _related(stored),
        "currency": order.currency,
        "service_level": order.service_level,
        **_asked(stored.request, stored.contact),
        "promise": {
            "ship_by": order.ship_by,
            "deliver_by": order.deliver_by,
            "first_deliver_by": order.first_deliver_by or order.deliver_by,
        },
        "amounts": _amounts(order),
        "payments": [_payment(order, payment) for payment in order.payments],
        "refunds": [],
        "lines": _lines(order, request),
        "holds": [_hold(hold, stored.notes) for hold in order.holds],
        "cancellations": [_cancellation(cancellation, stored.notes) for cancellation in order.cancellations],
        "notes": [dict(note) for note in stored.notes],
        "waits": waiting,
        "waiting": waiting[0] if waiting else None,
        "attention": [
            *(_attention(order, case) for case in order.attention),
            *(_row_attention(case) for case in stored.row_attention),
        ],
        "fulfillments": [_fulfillment(order, fulfillment) for fulfillment in order.fulfillments],
        "decisions": [_decision(decision) for decision in order.decisions],
        "links": dict(links),
    }


def _asked(request: Mapping[str, Any], contact: ContactData) -> View:
    """What the request said and the order's state does not."""
    return {
        "customer": _customer(request, contact),
        "shipping_address": _address(contact.shipping_address),
        "billing_address": None if contact.billing_address is None else _address(contact.billing_address),
        "ip_country": request["ip_country"],
        "delivery": request["delivery"],
        "gift": gift_view(contact),
        "prices_include_tax": request["prices_include_tax"],
        "shipping_minor": request["shipping_minor"],
        "shipping_discount_minor": request["shipping_discount_minor"],
        "shipping_tax_minor": request["shipping_tax_minor"],
        "total_minor": request["total_minor"],
        "allow_backorder": request["allow_backorder"],
        "allow_split": request["allow_split"],
        "note": contact.note,
        "metadata": request["metadata"],
    }


def _related(stored: OrderData) -> list[View]:
    found: list[View] = [{"order_id": order_id, "relation": "replaced_by"} for order_id in stored.replaced_by]
    if stored.replaces is not None:
        found.insert(0, {"order_id": stored.replaces, "relation": "replaces"})
    return found


def _customer(request: Mapping[str, Any], contact: ContactData) -> View:
    return {
        "customer_ref": request["customer"]["customer_ref"],
        "name": contact.name,
        "email": contact.email,
        "phone": contact.phone,
        "locale": contact.locale,
        "notify": contact.notify,
        "optional_notices": contact.optional_notices,
    }


def _address(address: Mapping[str, Any]) -> View:
    return {
        "name": address.get("name"),
        "lines": address["lines"],
        "city": address.get("city"),
        "region": address.get("region"),
        "postal_code": address.get("postal_code"),
        "country": address["country"],
    }


def gift_view(contact: ContactData) -> View | None:
    """What makes the order a gift, or None."""
    if contact.gift is None:
        return None
    return {"message": contact.gift.get("message"), "hide_prices": contact.gift.get("hide_prices", False)}


def _amounts(order: Order) -> View:
    found = payments.amounts(order)
    return {
        "ordered_total_minor": found.ordered_total_minor,
        "total_minor": found.total_minor,
        "authorized_minor": found.authorized_minor,
        "captured_minor": found.captured_minor,
        "refunded_minor": found.refunded_minor,
    }


def _payment(order: Order, payment: Payment) -> View:
    mine = [found for found in order.authorizations if found.payment_id == payment.payment_id]
    acting = next((a for a in mine if a.state is PaymentState.ACTION_REQUIRED and a.action_url is not None), None)
    held = [a.expires_at for a in mine if a.expires_at is not None and a.state is PaymentState.AUTHORIZED]
    return {
        "payment_id": payment.payment_id,
        "method": payment.method,
        "state": payments.payment_state(order, payment),
        "amount_minor": payment.amount_minor,
        "decline_code": next((a.decline_code for a in reversed(mine) if a.decline_code is not None), None),
        "expires_at": min(held, default=None),
        "action": None
        if acting is None or acting.action_url is None
        else {"type": "redirect", "url": acting.action_url, "expires_at": acting.action_due_at},
    }


def _lines(order: Order, request: Mapping[str, Any]) -> list[View]:
    asked = {line["line_id"]: line for line in request["lines"]}
    return [
        {
            "line_id": line.line_id,
            "sku": line.sku,
            "name": asked[line.line_id]["name"],
            "quantity": line.quantity,
            "unit_price_minor": line.unit_price_minor,
            "discount_minor": asked[line.line_id]["discount_minor"],
            "tax_minor": asked[line.line_id]["tax_minor"],
            "quantities": {"ordered": line.quantity}
            | {bucket.value: count for bucket, count in quantities(order, line).items()},
        }
        for line in order.lines
    ]


def _hold(hold: Hold, notes: Sequence[Mapping[str, Any]]) -> View:
    return {
        "hold_id": hold.hold_id,
        "reason": hold.reason,
        "note": _text_of(notes, hold.note_id),
        "fulfillment_id": hold.fulfillment_id,
        "placed_by": hold.placed_by,
        "owner": hold.owner,
        "due_at": hold.due_at,
    }


def _text_of(notes: Sequence[Mapping[str, Any]], note_id: str | None) -> str | None:
    return next((note["text"] for note in notes if note["note_id"] == note_id), None)


def _cancellation(cancellation: Cancellation, notes: Sequence[Mapping[str, Any]]) -> View:
    return {
        "cancellation_id": cancellation.cancellation_id,
        "state": cancellation.state,
        "lines": [{"line_id": line.line_id, "quantity": line.quantity} for line in cancellation.lines],
        "done": [{"line_id": line.line_id, "quantity": line.quantity} for line in cancellation.done],
        "reason": cancellation.reason,
        "actor": cancellation.actor_id or cancellation.actor,
        "requested_at": cancellation.requested_at,
        "restock": cancellation.restock,
        "refund": cancellation.refund,
        "note": _text_of(notes, cancellation.note_id),
    }


def wait_view(wait: Wait) -> View:
    """One wait."""
    return {
        "subject": wait.subject,
        "owner": wait.owner,
        "person": None,
        "next_step": wait.next_step,
        "since": wait.since,
        "due_at": wait.due_at,
        "escalates_to": wait.escalates_to,
    }


def _attention(order: Order, case: Attention) -> View:
    return {
        "attention_id": case.attention_id,
        "code": case.code,
        "subject": case.subject,
        "owner": case.owner,
        "person": case.person,
        "since": case.since,
        "due_at": case.due_at,
        "cause": case.cause,
        "fixes": [{"fix": fix, "parameters": dict(PARAMETERS.get(fix, {}))} for fix in legal_fixes(order, case)],
    }


def _row_attention(case: Mapping[str, Any]) -> View:
    return {
        "attention_id": case["attention_id"],
        "code": case["code"],
        "subject": case["subject"],
        "owner": case["owner"],
        "person": case.get("person"),
        "since": case["since"],
        "due_at": case["due_at"],
        "cause": case["cause"],
        "fixes": [{"fix": fix, "parameters": dict(PARAMETERS.get(fix, {}))} for fix in row_fixes(case["code"])],
    }


def _fulfillment(order: Order, fulfillment: Fulfillment) -> View:
    return {
        "fulfillment_id": fulfillment.fulfillment_id,
        "location_id": fulfillment.location_id,
        "state": fulfillment_state(order, fulfillment),
        "lines": [
            {"line_id": allocation.line_id, "quantity": allocation.quantity} for allocation in fulfillment.allocations
        ],
        "released_at": fulfillment.released_at,
        "parcels": [parcel_view(order, parcel) for parcel in order.parcels_of(fulfillment.fulfillment_id)],
    }


def _decision(decision: Decision) -> View:
    return {
        "kind": decision.kind,
        "subject": decision.subject,
        "at": decision.at,
        "chosen": decision.chosen,
        "candidates": [
            {"choice": candidate.choice, "scores": dict(candidate.scores), "refused": candidate.refused}
            for candidate in decision.candidates
        ],
    }


def order_links(order_id: str, *, temporal_ui_url: str | None, temporal_namespace: str) -> dict[str, str | None]:
    """Where to look further; without the engine's page where it has no address."""
    own = f"/v1/orders/{order_id}"
    workflow = names.order_workflow_id(order_id)
    return {
        "self": own,
        "events": f"{own}/events",
        "request": f"{own}/request",
        "tracking_page": None,
        "temporal": None
        if temporal_ui_url is None
        else f"{temporal_ui_url.rstrip('/')}/namespaces/{temporal_namespace}/workflows/{workflow}",
    }
