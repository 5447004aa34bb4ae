"""Stripe's objects as they are born and shown. Keys that start with an underscore are ours and never shown."""

import secrets
import time
from typing import Any

from devstack.world.payments.cards import CARDS

Record = dict[str, Any]


def new_id(prefix: str) -> str:
    """A fresh id like Stripe's."""
    return f"{prefix}_{secrets.token_hex(12)}"


def shown(record: Record) -> Record:
    """What the outside sees of *record*."""
    return {name: value for name, value in record.items() if not name.startswith("_")}


def _born(prefix: str, object: str) -> Record:
    return {"id": new_id(prefix), "object": object, "created": int(time.time()), "livemode": False}


def new_customer(params: Record) -> Record:
    """A customer with what was said about it."""
    words = {name: params.get(name) for name in ("name", "email", "phone", "description")}
    return _born("cus", "customer") | words | {"metadata": params.get("metadata") or {}, "delinquent": False}


def new_method(token: str, customer: str | None = None) -> Record:
    """A payment method minted from the test card *token*."""
    card = CARDS[token]
    details = {"brand": card.brand, "last4": card.last4, "exp_month": 12, "exp_year": 2034, "funding": "credit"}
    return _born("pm", "payment_method") | {
        "type": "card",
        "card": details,
        "customer": customer,
        "metadata": {},
        "_token": token,
        "_used": False,
        "_authenticated": False,
    }


def new_intent(params: Record, *, amount: int, key: str) -> Record:
    """A payment intent nothing was tried on yet; *key* is the request that asked for the money."""
    born = _born("pi", "payment_intent")
    return born | {
        "amount": amount,
        "amount_capturable": 0,
        "amount_received": 0,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": params.get("capture_method") or "automatic_async",
        "client_secret": f"{born['id']}_secret_{secrets.token_hex(8)}",
        "confirmation_method": "automatic",
        "currency": params["currency"],
        "customer": params.get("customer"),
        "description": params.get("description"),
        "last_payment_error": None,
        "latest_charge": None,
        "metadata": params.get("metadata") or {},
        "next_action": None,
        "payment_method": None,
        "payment_method_types": ["card"],
        "setup_future_usage": params.get("setup_future_usage"),
        "status": "requires_payment_method",
        "_key": key,
        "_return_url": params.get("return_url"),
        "_session": None,
    }


def new_charge(intent: Record, method: Record, *, life_seconds: float) -> Record:
    """The attempt to charge *method* for *intent*."""
    manual = intent["capture_method"] == "manual"
    card: Record = dict(method["card"])
    if manual:
        card["capture_before"] = int(time.time() + life_seconds)
    return _born("ch", "charge") | {
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "captured": False,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "failure_code": None,
        "failure_message": None,
        "metadata": intent["metadata"],
        "paid": True,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": {"type": "card", "card": card},
        "refunded": False,
        "status": "succeeded",
    }


def new_refund(charge: Record, params: Record, *, amount: int) -> Record:
    """Money of *charge* given back."""
    return _born("re", "refund") | {
        "amount": amount,
        "charge": charge["id"],
        "currency": charge["currency"],
        "failure_reason": None,
        "metadata": params.get("metadata") or {},
        "payment_intent": charge["payment_intent"],
        "reason": params.get("reason"),
        "status": "succeeded",
    }


def new_session(params: Record, *, amount: int, currency: str, expires_at: int, world_url: str, key: str) -> Record:
    """A page where a customer can pay."""
    born = _born("cs", "checkout.session")
    return born | {
        "amount_subtotal": amount,
        "amount_total": amount,
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "currency": currency,
        "customer": params.get("customer"),
        "expires_at": expires_at,
        "metadata": params.get("metadata") or {},
        "mode": "payment",
        "payment_intent": None,
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "status": "open",
        "success_url": params["success_url"],
        "url": f"{world_url}/pay/{born['id']}",
        "_key": key,
        "_intent": None,
        "_intent_data": params.get("payment_intent_data") or {},
    }


def listing(records: list[Record], *, url: str, params: Record) -> Record:
    """A page of Stripe's list, newest first."""
    newest = [shown(record) for record in reversed(records)]
    if after := params.get("starting_after"):
        places = [place for place, record in enumerate(newest) if record["id"] == after]
        newest = newest[places[0] + 1 :] if places else []
    limit = min(100, max(1, int(params.get("limit") or 10)))
    return {"object": "list", "url": url, "has_more": len(newest) > limit, "data": newest[:limit]}
