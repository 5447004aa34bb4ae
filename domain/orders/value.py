"""The order's one serialisable value; how it changes is in ``domain.life``."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, wraps
from typing import TypeVar

from domain import names
from domain.commands import CommandOutcome
from domain.messages import Decision
from domain.orders.parts import (
    Attention,
    Authorization,
    Cancellation,
    Fulfillment,
    Hold,
    Line,
    Outcome,
    Parcel,
    Parked,
    Payment,
    Request,
)
from domain.policy import Policy
from domain.units import Portion
from domain.vocabulary import Channel, OrderKind, OrderState, ServiceLevel

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Order:
    """Everything an order is: what continue-as-new carries, the projection stores and a lost engine is restarted from.

    ``version`` counts messages applied. Portions hold every unit in exactly one place. No personal data. Without slots, so
    that what is read off a value can be remembered on it.
    """

    order_id: str
    channel: Channel
    source: str
    currency: str
    country: str
    received_at: datetime
    lines: tuple[Line, ...]
    payments: tuple[Payment, ...]
    policy: Policy
    ship_by: datetime
    deliver_by: datetime
    kind: OrderKind = OrderKind.SALE
    service_level: ServiceLevel = ServiceLevel.STANDARD
    shipping_minor: int = 0
    allow_split: bool = True
    allow_backorder: bool = False
    first_deliver_by: datetime | None = None
    rules: int = 1
    version: int = 0
    contact_revision: int = 1
    announced: OrderState = OrderState.RECEIVED
    cancelled_fulfillments: tuple[str, ...] = ()
    portions: tuple[Portion, ...] = ()
    reserve_generation: int = 1
    fulfillments: tuple[Fulfillment, ...] = ()
    authorizations: tuple[Authorization, ...] = ()
    parcels: tuple[Parcel, ...] = ()
    holds: tuple[Hold, ...] = ()
    hold_count: int = 0
    cancellations: tuple[Cancellation, ...] = ()
    requests: tuple[Request, ...] = ()
    outcomes: tuple[CommandOutcome, ...] = ()
    attention: tuple[Attention, ...] = ()
    attention_count: int = 0
    decisions: tuple[Decision, ...] = ()
    outcome: Outcome | None = None
    parked: tuple[Parked, ...] = ()
    seen: tuple[str, ...] = ()
    failed_steps: tuple[str, ...] = ()
    retried_steps: tuple[str, ...] = ()
    overdue: tuple[str, ...] = ()
    recent: tuple[tuple[datetime, str], ...] = field(default=())

    @property
    def ordered_total_minor(self) -> int:
        """What the whole order costs, in minor units."""
        return sum(line.total_minor for line in self.lines) + self.shipping_minor

    @cached_property
    def _lines(self) -> dict[str, Line]:
        return {line.line_id: line for line in self.lines}

    def line(self, line_id: str) -> Line:
        """The line with that id; KeyError when there is none."""
        return self._lines[line_id]

    def fulfillment(self, fulfillment_id: str) -> Fulfillment:
        """The fulfillment with that id; KeyError when there is none."""
        return _one(self.fulfillments, "fulfillment_id", fulfillment_id)

    def parcel(self, parcel_id: str) -> Parcel:
        """The parcel with that id; KeyError when there is none."""
        return _one(self.parcels, "parcel_id", parcel_id)

    def authorization(self, authorization_id: str) -> Authorization:
        """The authorization with that id; KeyError when there is none."""
        return _one(self.authorizations, "authorization_id", authorization_id)

    def payment(self, payment_id: str) -> Payment:
        """The payment with that id; KeyError when there is none."""
        return _one(self.payments, "payment_id", payment_id)

    def parcels_of(self, fulfillment_id: str) -> tuple[Parcel, ...]:
        """The parcels of one fulfillment, in the order they were packed."""
        return tuple(parcel for parcel in self.parcels if parcel.fulfillment_id == fulfillment_id)

    def parcel_tracked(self, carrier: str, tracking_number: str) -> Parcel | None:
        """The parcel that bears this carrier's number, if one does."""
        for parcel in self.parcels:
            if parcel.carrier == carrier and parcel.tracking_number == tracking_number:
                return parcel
        return None

    def request(self, request_id: str) -> Request | None:
        """The request to a warehouse with that id, if there is one."""
        return next((request for request in self.requests if request.request_id == request_id), None)

    def outcome_of(self, command_id: str) -> CommandOutcome | None:
        """What became of a command, as long as it is remembered."""
        return next((outcome for outcome in self.outcomes if outcome.command_id == command_id), None)

    def has_obeyed(self, command_id: str) -> bool:
        """Whether this command was applied, also when its outcome is forgotten."""
        return names.command_mark(command_id) in self.seen or self.outcome_of(command_id) is not None

    def knows(self, fact_id: str) -> bool:
        """Whether this fact was applied, or is parked."""
        return fact_id in self.seen or any(parked.fact.id == fact_id for parked in self.parked)


def _one(items: tuple[T, ...], name: str, value: str) -> T:
    for item in items:
        if getattr(item, name) == value:
            return item
    raise KeyError(value)


def remembered(read: Callable[[Order], T]) -> Callable[[Order], T]:
    """*read*, done once per order value: a value never changes, and one move asks the same things of it many times."""
    name = f"_read_{read.__name__}"

    @wraps(read)
    def reading(order: Order) -> T:
        try:
            answer: T = order.__dict__[name]
        except KeyError:
            answer = order.__dict__[name] = read(order)
        return answer

    return reading
