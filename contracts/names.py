"""Every id, key, queue and workflow name is built here, so that two places cannot spell one differently."""

from datetime import datetime

TASK_QUEUE = "doorstep"
ORDER_WORKFLOW = "OrderWorkflow"
WAREHOUSE_FACT = "warehouse_fact"
CARRIER_FACT = "carrier_fact"
PAYMENT_FACT = "payment_fact"
STOCK_SERVED = "stock_served"
CANCEL_ORDER = "cancel_order"
PLACE_HOLD = "place_hold"
RELEASE_HOLD = "release_hold"
CHANGE_ADDRESS = "change_address"
ADD_PAYMENT = "add_payment"
RESOLVE_CASE = "resolve_case"
UPDATES = {
    "CancelOrder": CANCEL_ORDER,
    "PlaceHold": PLACE_HOLD,
    "ReleaseHold": RELEASE_HOLD,
    "ChangeAddress": CHANGE_ADDRESS,
    "AddPayment": ADD_PAYMENT,
    "ResolveCase": RESOLVE_CASE,
}
"""The update that takes each kind of command."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_tail(now: datetime, randomness: bytes) -> str:
    """20 characters, sorted by time: 44 bits of milliseconds and 56 bits of *randomness*, in Crockford's base 32.

    A ULID with less chance in it: every id of an order repeats this, and an order's history is paid for by the byte.

    Raises:
        ValueError: *randomness* is not 7 bytes.
    """
    if len(randomness) != 7:
        raise ValueError("randomness must be 7 bytes")
    number = (int(now.timestamp() * 1000) << 56) | int.from_bytes(randomness, "big")
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(95, -1, -5))


def order_id(tail: str) -> str:
    """The order that this tail names."""
    return f"ord_{tail}"


def order_workflow_id(order_id: str) -> str:
    """The workflow that is the order."""
    return f"order-{order_id}"


def warehouse_source(location_id: str) -> str:
    """The inbox source of facts from the warehouse at a location; its event ids are its own."""
    return f"warehouse:{location_id}"


def carrier_source(carrier: str) -> str:
    """The inbox source of a carrier's facts."""
    return f"carrier:{carrier}"


PAYMENT_SOURCE = "payment:stripe"


def fact_id(source: str, event_id: str) -> str:
    """A fact's id across all sources."""
    return f"{source}/{event_id}"


def tracking_match(carrier: str, tracking_number: str) -> str:
    """What an early carrier fact waits for."""
    return f"{carrier}/{tracking_number}"


SEARCH_ATTRIBUTES = {
    "OrderState": "Keyword",
    "Owner": "Keyword",
    "Channel": "Keyword",
    "NextStep": "Keyword",
    "Attention": "KeywordList",
    "Location": "KeywordList",
    "Carrier": "KeywordList",
    "DueAt": "Datetime",
    "PlacedAt": "Datetime",
    "TotalMinor": "Int",
}

DECIDED_CHANNEL = "doorstep_orders"
WORK_CHANNEL = "doorstep_work"
EVENTS_CHANNEL = "doorstep_events"
PUBLISHED_CHANNEL = "doorstep_published"
