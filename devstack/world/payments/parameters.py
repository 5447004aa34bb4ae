"""Which parameters each request takes and in what shape; Stripe refuses what it does not know, and so does this."""

from collections.abc import Mapping
from typing import Any

from devstack.world.payments.refusals import invalid

Shapes = Mapping[str, type]
_TRY: Shapes = {"payment_method": str, "off_session": str, "return_url": str, "setup_future_usage": str}
_PAGE: Shapes = {"limit": str, "starting_after": str, "ending_before": str, "customer": str}
POSTS: Mapping[str, Shapes] = {
    "customers": {"name": str, "email": str, "phone": str, "description": str, "metadata": dict},
    "payment_methods": {"type": str, "card": dict, "metadata": dict},
    "payment_methods/attach": {"customer": str},
    "payment_intents": {
        **_TRY,
        "amount": str,
        "currency": str,
        "customer": str,
        "description": str,
        "metadata": dict,
        "capture_method": str,
        "confirm": str,
        "allowed_payment_method_types": list,
        "automatic_payment_methods": dict,
        "excluded_payment_method_types": list,
    },
    "payment_intents/confirm": _TRY,
    "payment_intents/capture": {"amount_to_capture": str, "final_capture": str, "metadata": dict},
    "payment_intents/cancel": {"cancellation_reason": str},
    "refunds": {"payment_intent": str, "charge": str, "amount": str, "reason": str, "metadata": dict},
    "checkout/sessions": {
        "mode": str,
        "success_url": str,
        "cancel_url": str,
        "client_reference_id": str,
        "customer": str,
        "metadata": dict,
        "line_items": list,
        "payment_intent_data": dict,
        "allowed_payment_method_types": list,
        "locale": str,
    },
    "checkout/sessions/expire": {},
}
GETS: Mapping[str, Shapes] = {
    "payment_methods": {**_PAGE, "type": str},
    "payment_intents": _PAGE,
    "payment_intents/search": {"query": str, "limit": str, "page": str},
    "refunds": {**_PAGE, "payment_intent": str, "charge": str},
    "checkout/sessions": {**_PAGE, "payment_intent": str, "status": str},
}
INTENT_DATA: Shapes = {"capture_method": str, "setup_future_usage": str, "description": str, "metadata": dict}
REMOVED = "payment_method_types"
WORDS: Mapping[type, str] = {str: "string", dict: "hash", list: "array"}


def check(shapes: Shapes, params: Mapping[str, Any], *, where: str = "") -> None:
    """Returns when every parameter is known and has its shape.

    Raises:
        Refusal: the first that is not.
    """
    for name, value in params.items():
        if name == "expand":
            continue
        if name == REMOVED:
            raise invalid(
                f"{REMOVED} is no longer supported, use allowed_payment_method_types.",
                param=REMOVED,
                code="payment_method_types_no_longer_supported",
            )
        if name not in shapes:
            raise invalid(f"Received unknown parameter: {where}{name}", param=where + name, code="parameter_unknown")
        shape = shapes[name]
        if not _has(shape, value):
            raise invalid(f"Invalid {WORDS[shape]}: {where}{name}", param=where + name)
        if name == "metadata" and not all(isinstance(word, str) for word in value.values()):
            raise invalid("Metadata values must be strings.", param=where + name)
        if name == "payment_intent_data":
            check(INTENT_DATA, value, where="payment_intent_data.")
        if name == "limit" and not value.isdecimal():
            raise invalid("Invalid integer: limit", param="limit")


def _has(shape: type, value: Any) -> bool:
    return isinstance(value, shape)
