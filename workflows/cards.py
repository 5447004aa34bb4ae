"""What a person sees of an order in the Temporal UI: search attributes, the details card, a summary per step."""

from collections.abc import Sequence
from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributePair, SearchAttributeUpdate, TypedSearchAttributes

from domain.orders import Order, fulfillment_state, order_state, parcel_state
from domain.steps import AuthorizePayment, BookLabel, CapturePayment, ReserveStock, VoidAuthorization, VoidLabel
from domain.waits import Wait, waits

STATE = SearchAttributeKey.for_keyword("OrderState")
OWNER = SearchAttributeKey.for_keyword("Owner")
CHANNEL = SearchAttributeKey.for_keyword("Channel")
NEXT_STEP = SearchAttributeKey.for_keyword("NextStep")
ATTENTION = SearchAttributeKey.for_keyword_list("Attention")
LOCATION = SearchAttributeKey.for_keyword_list("Location")
CARRIER = SearchAttributeKey.for_keyword_list("Carrier")
DUE_AT = SearchAttributeKey.for_datetime("DueAt")
PLACED_AT = SearchAttributeKey.for_datetime("PlacedAt")
TOTAL_MINOR = SearchAttributeKey.for_int("TotalMinor")


def attributes_at_start(order: Order) -> TypedSearchAttributes:
    """The search attributes an order's workflow is started with."""
    fixed: list[SearchAttributePair[Any]] = [
        SearchAttributePair(CHANNEL, order.channel.value),
        SearchAttributePair(PLACED_AT, order.received_at),
        SearchAttributePair(TOTAL_MINOR, order.ordered_total_minor),
    ]
    changing = [SearchAttributePair(key, value) for key, value in _changing(order) if value is not None]
    return TypedSearchAttributes([*fixed, *changing])


def attribute_updates(before: Order, after: Order) -> list[SearchAttributeUpdate[Any]]:
    """One upsert of what differs from *before*, the order as it was last shown."""
    shown = {key.name: value for key, value in _changing(before)}
    return [
        key.value_unset() if value is None else key.value_set(value)
        for key, value in _changing(after)
        if shown[key.name] != value
    ]


def _changing(order: Order) -> list[tuple[SearchAttributeKey[Any], Any]]:
    waiting = next(iter(waits(order)), None)
    return [
        (STATE, order_state(order).value),
        (OWNER, waiting.owner.value if waiting else None),
        (NEXT_STEP, waiting.next_step if waiting else None),
        (DUE_AT, waiting.due_at if waiting else None),
        (ATTENTION, sorted({case.code for case in order.attention}) or None),
        (LOCATION, sorted({fulfillment.location_id for fulfillment in order.fulfillments}) or None),
        (CARRIER, sorted({parcel.carrier for parcel in order.parcels if parcel.carrier}) or None),
    ]


def is_coarse_change(before: Order, after: Order) -> bool:
    """Whether search attributes are worth an upsert: at every change they were a quarter of the server's work."""
    return order_state(before) is not order_state(after) or {case.code for case in before.attention} != {
        case.code for case in after.attention
    }


def card(order: Order) -> str:
    """The order as a short markdown card: state, what it waits for, owner, due, cases, parcels, last events."""
    waiting = waits(order)
    rows = [
        f"**{order_state(order).value}** · {order.channel.value}/{order.source} · {order.service_level.value}"
        f" · {order.ordered_total_minor} {order.currency} minor units",
        *([f"ended: {order.outcome.reason}"] if order.outcome else []),
        "",
        *_waits(waiting),
        *(
            f"- ⚠ **{case.code}** {case.subject}: {case.cause} (owner {case.owner.value}, due {case.due_at:%d %b %H:%M})"
            for case in order.attention
        ),
        "",
        *_parcels(order),
        "",
        "Last events (UTC):",
        "",
        *(f"- {at:%d %b %H:%M:%S} {kind}" for at, kind in reversed(order.recent)),
    ]
    return "\n".join(rows)


def _waits(waiting: Sequence[Wait]) -> list[str]:
    if not waiting:
        return ["Waits for nothing: closed."]
    return [
        "| waits for | owner | subject | since | due |",
        "|---|---|---|---|---|",
        *(
            f"| {wait.next_step} | {wait.owner.value} | {wait.subject}"
            f" | {wait.since:%d %b %H:%M:%S} | {wait.due_at:%d %b %H:%M:%S} |"
            for wait in waiting
        ),
    ]


def _parcels(order: Order) -> list[str]:
    fulfillments = [
        f"- {fulfillment.fulfillment_id} at {fulfillment.location_id}: {fulfillment_state(order, fulfillment).value}"
        for fulfillment in order.fulfillments
    ]
    parcels = [
        f"- parcel {parcel.parcel_ref} ({parcel.parcel_id}): {parcel_state(order, parcel).value},"
        f" {parcel.carrier or 'no carrier yet'} {parcel.tracking_number or ''} {parcel.tracking_status.value}"
        for parcel in order.parcels
    ]
    return fulfillments + parcels


def step_summary(step: object) -> str:
    """What a step does, in a few words, for the UI."""
    match step:
        case ReserveStock():
            return f"reserve {len(step.lines)} lines, all or nothing"
        case AuthorizePayment():
            return f"hold {step.amount_minor} {step.currency} for {step.authorization_id}"
        case CapturePayment():
            return f"take {step.amount_minor} {step.currency} for what left"
        case VoidAuthorization():
            return f"give back the hold of {step.amount_minor} {step.currency}"
        case BookLabel():
            return f"choose a carrier and buy the label of {step.parcel_id}"
        case VoidLabel():
            return f"give back the label of {step.parcel_id}"
        case _:
            return type(step).__name__
