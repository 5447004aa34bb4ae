"""What the customer sees of an order on its tracking page, and what they may do there: steps, limits; no personal data."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain import units
from domain.orders import TERMINAL, Order, order_state
from domain.units import Stage
from domain.vocabulary import EventKind, OrderState

OPEN_FOR = timedelta(days=90)
"""How long after an order has closed its page can still be seen."""

MOST_QUESTIONS = 20
"""How many questions one order may bring in a day."""


class StepState(StrEnum):
    """Whether a step lies behind, is where the order stands, or comes."""

    DONE = "done"
    CURRENT = "current"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of an order's way; *at* is when it was first reached."""

    step: OrderState
    state: StepState
    at: datetime | None


_WAY: Sequence[OrderState] = (
    OrderState.RECEIVED,
    OrderState.CONFIRMED,
    OrderState.FULFILLING,
    OrderState.SHIPPED,
    OrderState.DELIVERED,
)

REACHED_BY: Mapping[OrderState, EventKind] = {
    OrderState.RECEIVED: EventKind.ORDER_RECEIVED,
    OrderState.CONFIRMED: EventKind.ORDER_CONFIRMED,
    OrderState.FULFILLING: EventKind.ORDER_FULFILLING,
    OrderState.SHIPPED: EventKind.ORDER_SHIPPED,
    OrderState.DELIVERED: EventKind.ORDER_DELIVERED,
    OrderState.CANCELLED: EventKind.ORDER_CANCELLED,
    OrderState.REJECTED: EventKind.ORDER_REJECTED,
    OrderState.UNDELIVERABLE: EventKind.ORDER_UNDELIVERABLE,
}

# Which events a customer is told of, by their kind and time alone: the data of most names what is ours.
SHOWN = frozenset(
    {
        *REACHED_BY.values(),
        EventKind.ORDER_AMENDED,
        EventKind.PAYMENT_ACTION_REQUIRED,
        EventKind.PAYMENT_AUTHORIZED,
        EventKind.PAYMENT_DECLINED,
        EventKind.CANCELLATION_REQUESTED,
        EventKind.CANCELLATION_DECIDED,
        EventKind.FULFILLMENT_HANDED_OVER,
        EventKind.FULFILLMENT_SHORT_PICKED,
        EventKind.FULFILLMENT_REFUSED,
        EventKind.FULFILLMENT_CANCELLED,
        EventKind.PARCEL_LABELLED,
        EventKind.PARCEL_TRACKED,
        EventKind.PARCEL_DELIVERED,
        EventKind.PARCEL_LOST,
        EventKind.PARCEL_SENT_BACK,
    }
)


_ARRIVED = frozenset({Stage.DELIVERED, Stage.RETURNING, Stage.RETURNED})


def shown_state(order: Order) -> OrderState:
    """Where the order stands for its customer: delivered once everything is there, whatever the money still does."""
    state = order_state(order)
    live = {portion.stage for portion in order.portions} - units.NOT_LIVE
    return OrderState.DELIVERED if live and live <= _ARRIVED and state not in TERMINAL else state


def steps(order: Order, reached: Mapping[str, datetime]) -> tuple[Step, ...]:
    """The order's way as far as it went and will go; one that ended early ends with that.

    Args:
        order: the order as it stands.
        reached: event kind -> when it was first told.
    """

    def at(step: OrderState) -> datetime | None:
        if step is OrderState.DELIVERED and REACHED_BY[step] not in reached:
            return max((p.delivered_at for p in order.parcels if p.delivered_at is not None), default=None)
        return reached.get(REACHED_BY[step])

    state = shown_state(order)
    if state in TERMINAL and state is not OrderState.DELIVERED:
        behind = [step for step in _WAY if REACHED_BY[step] in reached]
        return tuple(Step(step=step, state=StepState.DONE, at=at(step)) for step in (*behind, state))
    place = _WAY.index(state)
    return tuple(
        Step(
            step=step,
            state=_step_state(number, place, is_over=state is OrderState.DELIVERED),
            at=at(step) if number <= place else None,
        )
        for number, step in enumerate(_WAY)
    )


def _step_state(number: int, place: int, *, is_over: bool) -> StepState:
    if number < place or is_over:
        return StepState.DONE
    return StepState.CURRENT if number == place else StepState.AHEAD


def is_open(closed_at: datetime | None, now: datetime) -> bool:
    """Whether the page can still be seen."""
    return closed_at is None or now < closed_at + OPEN_FOR


def may_rate(order: Order) -> bool:
    """Whether something was delivered, so that there is a delivery to speak of."""
    return units.count(order.portions, _ARRIVED) > 0


_SHORTEST_NAME = 3


def impersonal(words: str | None, private: Collection[str | None]) -> str | None:
    """*words* of a carrier, or None when they name one of *private*: carriers write what they like where a place goes."""
    if not words:
        return None
    said = words.casefold()
    names = [(name or "").strip().casefold() for name in private]
    # A house number alone would hide every place that has a figure in it.
    if any(name in said for name in names if len(name) >= _SHORTEST_NAME or (name and not name.isascii())):
        return None
    return words
