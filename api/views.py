"""How orders look to those who may see them: built from the state value, the request and the contact; no reading."""

from collections.abc import Mapping
from typing import Any, cast

from api.schemas.views import (
    AddressView,
    AskedView,
    AttentionView,
    CustomerView,
    DecisionView,
    GiftView,
    HoldView,
    LineView,
    LinksView,
    OrderFulfillmentView,
    OrderView,
    ParcelView,
    PaymentView,
    RelatedView,
    WaitView,
)
from contracts import names
from contracts.views import parcel_view
from db.intake import Contact
from db.reading.orders import StoredOrder
from domain import payments
from domain.messages import Decision
from domain.orders import (
    Attention,
    Fulfillment,
    Hold,
    Order,
    Payment,
    fulfillment_state,
    order_state,
    quantities,
)
from domain.vocabulary import PaymentState
from domain.waits import Wait, waits
from runtime.settings import Settings


def order_view(stored: StoredOrder, settings: Settings) -> OrderView:
    """The order with everything that api.md names."""
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
        "promise": {"ship_by": order.ship_by, "deliver_by": order.deliver_by, "first_deliver_by": order.deliver_by},
        "amounts": _amounts(order),
        "payments": [_payment(order, payment) for payment in order.payments],
        "refunds": [],
        "lines": _lines(order, request),
        "holds": [_hold(hold) for hold in order.holds],
        "cancellations": [],
        "waits": waiting,
        "waiting": waiting[0] if waiting else None,
        "attention": [
            *(_attention(case) for case in order.attention),
            *(_row_attention(case) for case in stored.row_attention),
        ],
        "fulfillments": [_fulfillment(order, fulfillment) for fulfillment in order.fulfillments],
        "decisions": [_decision(decision) for decision in order.decisions],
        "links": _links(order, settings),
    }


def _asked(request: Mapping[str, Any], contact: Contact) -> AskedView:
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


def _related(stored: StoredOrder) -> list[RelatedView]:
    found: list[RelatedView] = [{"order_id": order_id, "relation": "replaced_by"} for order_id in stored.replaced_by]
    if stored.replaces is not None:
        found.insert(0, {"order_id": stored.replaces, "relation": "replaces"})
    return found


def _customer(request: Mapping[str, Any], contact: Contact) -> CustomerView:
    return {
        "customer_ref": request["customer"]["customer_ref"],
        "name": contact.name,
        "email": contact.email,
        "phone": contact.phone,
        "locale": contact.locale,
        "notify": contact.notify,
        "optional_notices": contact.optional_notices,
    }


def _address(address: Mapping[str, Any]) -> AddressView:
    return {
        "name": address.get("name"),
        "lines": address["lines"],
        "city": address.get("city"),
        "region": address.get("region"),
        "postal_code": address.get("postal_code"),
        "country": address["country"],
    }


def gift_view(contact: Contact) -> GiftView | None:
    """What makes the order a gift, or None."""
    if contact.gift is None:
        return None
    return {"message": contact.gift.get("message"), "hide_prices": contact.gift.get("hide_prices", False)}


def _amounts(order: Order) -> Any:
    found = payments.amounts(order)
    return {
        "ordered_total_minor": found.ordered_total_minor,
        "total_minor": found.total_minor,
        "authorized_minor": found.authorized_minor,
        "captured_minor": found.captured_minor,
        "refunded_minor": found.refunded_minor,
    }


def _payment(order: Order, payment: Payment) -> PaymentView:
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


def _lines(order: Order, request: Mapping[str, Any]) -> list[LineView]:
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


def _hold(hold: Hold) -> HoldView:
    return {
        "hold_id": hold.hold_id,
        "reason": hold.reason,
        "note": None,
        "placed_by": hold.placed_by,
        "owner": hold.owner,
        "due_at": hold.due_at,
    }


def wait_view(wait: Wait) -> WaitView:
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


def _attention(case: Attention) -> AttentionView:
    return {
        "attention_id": case.attention_id,
        "code": case.code,
        "subject": case.subject,
        "owner": case.owner,
        "person": None,
        "since": case.since,
        "due_at": case.due_at,
        "cause": case.cause,
        "fixes": [],
    }


def _row_attention(case: Mapping[str, Any]) -> AttentionView:
    return {
        "attention_id": case["attention_id"],
        "code": case["code"],
        "subject": case["subject"],
        "owner": case["owner"],
        "person": None,
        "since": case["since"],
        "due_at": case["due_at"],
        "cause": case["cause"],
        "fixes": [],
    }


def _fulfillment(order: Order, fulfillment: Fulfillment) -> OrderFulfillmentView:
    return {
        "fulfillment_id": fulfillment.fulfillment_id,
        "location_id": fulfillment.location_id,
        "state": fulfillment_state(order, fulfillment),
        "lines": [
            {"line_id": allocation.line_id, "quantity": allocation.quantity} for allocation in fulfillment.allocations
        ],
        "released_at": fulfillment.released_at,
        "parcels": [
            cast(ParcelView, parcel_view(order, parcel)) for parcel in order.parcels_of(fulfillment.fulfillment_id)
        ],
    }


def _decision(decision: Decision) -> DecisionView:
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


def _links(order: Order, settings: Settings) -> LinksView:
    own = f"/v1/orders/{order.order_id}"
    ui = settings.temporal_ui_url
    workflow = names.order_workflow_id(order.order_id)
    return {
        "self": own,
        "events": f"{own}/events",
        "request": f"{own}/request",
        "tracking_page": None,
        "temporal": None
        if ui is None
        else f"{ui.rstrip('/')}/namespaces/{settings.temporal_namespace}/workflows/{workflow}",
    }
