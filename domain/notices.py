"""Which events the customer is written to about, by which channel, and what the letter says; no words, no sending."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from domain import units
from domain.orders import PROVIDER_METHODS, Order, Parcel, order_state
from domain.payments import amounts
from domain.units import Stage
from domain.vocabulary import EventKind, OrderState, PaymentState, TrackingStatus

Data = Mapping[str, Any]


class NoticeKind(StrEnum):
    """What a customer is written to about."""

    ORDER_CONFIRMED = "order_confirmed"
    ACTION_NEEDED = "action_needed"
    PROMISE_CHANGED = "promise_changed"
    PART_CANCELLED = "part_cancelled"
    ORDER_CANCELLED = "order_cancelled"
    SHIPPED = "shipped"
    DELIVERY_FAILED = "delivery_failed"
    DELIVERED = "delivered"
    REFUND = "refund"


class NoticeChannel(StrEnum):
    """How a notice reaches the customer."""

    EMAIL = "email"
    SMS = "sms"
    MESSENGER = "messenger"


class NoticeState(StrEnum):
    """How far a notice got; ``dropped``: there was nothing to tell any more when its turn came."""

    QUEUED = "queued"
    SENT = "sent"
    DROPPED = "dropped"
    GIVEN_UP = "given_up"


class Language(StrEnum):
    """What customers are written to in."""

    ENGLISH = "en"
    CHINESE = "zh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of event calls for one kind of notice.

    *only*: (field, value) that the event's data must have. *once_per*: the data's field that names what is told of once;
    ``order`` is the order itself, None each event. *gathers*: the letter says how things stand, so that one does for
    several events that are read together.
    """

    event: str
    kind: NoticeKind
    only: tuple[str, str] | None = None
    once_per: str | None = None
    gathers: bool = False


# In the vocabulary but not in ``EventKind``: nothing tells of it yet.
REFUNDED = "payment.refunded"

RULES: Sequence[Rule] = (
    Rule(event=EventKind.ORDER_CONFIRMED, kind=NoticeKind.ORDER_CONFIRMED, once_per="order"),
    Rule(event=EventKind.PAYMENT_ACTION_REQUIRED, kind=NoticeKind.ACTION_NEEDED),
    Rule(event=EventKind.ORDER_PROMISE_CHANGED, kind=NoticeKind.PROMISE_CHANGED, gathers=True),
    Rule(event=EventKind.FULFILLMENT_SHORT_PICKED, kind=NoticeKind.PART_CANCELLED, gathers=True),
    Rule(event=EventKind.FULFILLMENT_REFUSED, kind=NoticeKind.PART_CANCELLED, gathers=True),
    Rule(event=EventKind.CANCELLATION_DECIDED, kind=NoticeKind.PART_CANCELLED, gathers=True),
    # The money for one part of the order was refused while others are on their way.
    Rule(
        event=EventKind.STOCK_UNRESERVED,
        kind=NoticeKind.PART_CANCELLED,
        only=("reason", "payment_declined"),
        gathers=True,
    ),
    Rule(event=EventKind.ORDER_CANCELLED, kind=NoticeKind.ORDER_CANCELLED, once_per="order"),
    Rule(event=EventKind.ORDER_REJECTED, kind=NoticeKind.ORDER_CANCELLED, once_per="order"),
    Rule(event=EventKind.FULFILLMENT_HANDED_OVER, kind=NoticeKind.SHIPPED, gathers=True),
    # A parcel that only its carrier's scan told of; the others have been told by then.
    Rule(event=EventKind.ORDER_SHIPPED, kind=NoticeKind.SHIPPED, gathers=True),
    Rule(event=EventKind.PARCEL_TRACKED, kind=NoticeKind.DELIVERY_FAILED, only=("status", "delivery_failed")),
    Rule(event=EventKind.PARCEL_DELIVERED, kind=NoticeKind.DELIVERED, once_per="parcel_id"),
    Rule(event=REFUNDED, kind=NoticeKind.REFUND),
)

# What asks for something, changes what was agreed, or is the way to follow the goods is transactional. That a parcel
# arrived is seen at the door.
OPTIONAL = frozenset({NoticeKind.DELIVERED})

# An event older than this is no news: the relay was not set up, or away for days.
NEWS_FOR = timedelta(days=2)

MOST_ATTEMPTS = 20
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=5), timedelta(hours=1)


def wait_after(attempts: int) -> timedelta | None:
    """How long to wait after that many failed attempts; None when it is given up, about half a day after the first."""
    if attempts >= MOST_ATTEMPTS:
        return None
    doubled: int = 2 ** min(attempts - 1, 16)
    return min(_LONGEST_WAIT, _FIRST_WAIT * doubled)


def rule_for(event: str, data: Data) -> Rule | None:
    """The rule by which such an event calls for a notice; None when it calls for none."""
    for rule in RULES:
        if rule.event == event and (rule.only is None or data.get(rule.only[0]) == rule.only[1]):
            return None if data.get("late") or data.get("after_end") else rule
    return None


def occasion(rule: Rule, sequence: int, data: Data) -> str:
    """What a notice of that kind and channel is sent for once."""
    if rule.once_per is None:
        return f"event {sequence}"
    return rule.once_per if rule.once_per == "order" else str(data.get(rule.once_per))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How a customer can be written to, and what they said about it."""

    has_email: bool
    has_phone: bool
    notify: str | None = None
    optional_notices: bool = True


def choose_channel(kind: NoticeKind, reach: Reach, served: frozenset[NoticeChannel]) -> NoticeChannel | None:
    """The preferred channel, else e-mail, else SMS, of those that are *served* and reach the customer.

    None when nothing does, or when the customer wants no such notice.
    """
    if kind in OPTIONAL and not reach.optional_notices:
        return None
    reachable = {NoticeChannel.EMAIL} if reach.has_email else set()
    reachable |= {NoticeChannel.SMS, NoticeChannel.MESSENGER} if reach.has_phone else set()
    wished = [NoticeChannel(reach.notify)] if reach.notify else []
    for channel in (*wished, NoticeChannel.EMAIL, NoticeChannel.SMS):
        if channel in reachable & served:
            return channel
    return None


def language_of(locale: str | None) -> Language:
    """Chinese for ``zh`` in any form, else English."""
    spoken = (locale or "").replace("_", "-").split("-", 1)[0].lower()
    return Language.CHINESE if spoken == "zh" else Language.ENGLISH


_CJK = ("\u3400", "\u9fff")
_NOT_IN_NAMES = frozenset("/:<>@\\{}|")


def first_name(name: str | None) -> str | None:
    """How the customer is greeted: the given name alone; None without one, or when it is no name.

    Chinese names without a space begin with the family name. What looks like an address is nothing to greet anyone with:
    it would be someone's advertisement in our letter.
    """
    text = (name or "").strip()
    if "," in text:
        text = text.partition(",")[2].strip()
    word = text.split()[0] if text else ""
    if not word or len(word) > 40 or _NOT_IN_NAMES & set(word) or word.lower().startswith("www."):
        return None
    if 2 <= len(word) <= 4 and word == text and all(_CJK[0] <= character <= _CJK[1] for character in word):
        return word[2:] if len(word) == 4 else word[1:]
    return word


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What the customer must do at *url*, until *due_at*."""

    url: str
    due_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one notice says. *lines* are (line id, units); *facts* is kept, so that nothing is told twice."""

    kind: NoticeKind
    lines: tuple[tuple[str, int], ...] = ()
    parcels: tuple[Parcel, ...] = ()
    actions: tuple[Action, ...] = ()
    deliver_by: datetime | None = None
    total_minor: int | None = None
    amount_minor: int | None = None
    reason: str | None = None
    holds_money: bool = False
    waits_for_stock: bool = False
    facts: Data = field(default_factory=dict)


_OVER = frozenset({OrderState.CANCELLED, OrderState.REJECTED})


def content(kind: NoticeKind, order: Order, data: Data, *, told: Sequence[Data], now: datetime) -> Content | None:
    """What a notice of *kind* says of *order* as it stands; None when there is nothing to tell any more.

    Args:
        kind: what the customer is written to about.
        order: the order as it stands now, which may be further on than the event.
        data: the event's data.
        told: the facts of the order's earlier notices of this kind.
        now: what is due before is over.
    """
    over = order_state(order) in _OVER
    if kind is NoticeKind.ORDER_CANCELLED:
        return _order_cancelled(order)
    if kind is NoticeKind.REFUND:
        amount = data.get("amount_minor")
        return Content(kind=kind, amount_minor=amount) if isinstance(amount, int) and amount > 0 else None
    if over:
        return None  # The letter that says so is another one.
    if kind is NoticeKind.ORDER_CONFIRMED:
        return _order_confirmed(order)
    if kind is NoticeKind.ACTION_NEEDED:
        return _action_needed(order, data, now)
    if kind is NoticeKind.PROMISE_CHANGED:
        return _promise_changed(order, told)
    if kind is NoticeKind.PART_CANCELLED:
        return _part_cancelled(order, told)
    if kind is NoticeKind.SHIPPED:
        return _shipped(order, told)
    return _about_parcel(kind, order, data)


def _order_confirmed(order: Order) -> Content:
    cancelled = units.by_line(order.portions, {Stage.CANCELLED})
    kept = ((line.line_id, line.quantity - cancelled.get(line.line_id, 0)) for line in order.lines)
    return Content(
        kind=NoticeKind.ORDER_CONFIRMED,
        lines=tuple((line_id, quantity) for line_id, quantity in kept if quantity),
        deliver_by=order.deliver_by,
        total_minor=amounts(order).total_minor,
        waits_for_stock=units.count(order.portions, {Stage.BACKORDERED}) > 0,
    )


def _order_cancelled(order: Order) -> Content | None:
    if order_state(order) not in _OVER or order.outcome is None:
        return None
    return Content(
        kind=NoticeKind.ORDER_CANCELLED,
        reason=order.outcome.reason,
        holds_money=any(payment.method in PROVIDER_METHODS for payment in order.payments),
    )


def acting(order: Order, now: datetime) -> tuple[tuple[str, Action], ...]:
    """(payment id, what to do) of every payment that waits for the customer and still can be made."""
    return tuple(
        (authorization.payment_id, Action(url=authorization.action_url, due_at=authorization.action_due_at))
        for authorization in order.authorizations
        if authorization.state is PaymentState.ACTION_REQUIRED
        and authorization.action_url is not None
        and authorization.void_since is None
        and (authorization.action_due_at is None or authorization.action_due_at > now)
    )


def _action_needed(order: Order, data: Data, now: datetime) -> Content | None:
    actions = tuple(action for payment_id, action in acting(order, now) if payment_id == data.get("payment_id"))
    return Content(kind=NoticeKind.ACTION_NEEDED, actions=actions) if actions else None


def _promise_changed(order: Order, told: Sequence[Data]) -> Content | None:
    promise = order.deliver_by.isoformat()
    if told and told[-1].get("deliver_by") == promise:
        return None
    return Content(kind=NoticeKind.PROMISE_CHANGED, deliver_by=order.deliver_by, facts={"deliver_by": promise})


def _part_cancelled(order: Order, told: Sequence[Data]) -> Content | None:
    """The units cancelled since the last such letter: those that were found elsewhere are not among them."""
    cancelled = units.by_line(order.portions, {Stage.CANCELLED})
    before: Data = told[-1].get("cancelled", {}) if told else {}
    fresh = tuple(
        (line.line_id, more)
        for line in order.lines
        if (more := cancelled.get(line.line_id, 0) - before.get(line.line_id, 0)) > 0
    )
    if not fresh:
        return None
    return Content(
        kind=NoticeKind.PART_CANCELLED,
        lines=fresh,
        total_minor=amounts(order).total_minor,
        holds_money=any(payment.method in PROVIDER_METHODS for payment in order.payments),
        facts={"cancelled": cancelled},
    )


def _shipped(order: Order, told: Sequence[Data]) -> Content | None:
    """The parcels that left since the last such letter."""
    known = {parcel_id for facts in told for parcel_id in facts.get("parcels", ())}
    gone = tuple(p for p in order.parcels if p.handed_over_at is not None and p.parcel_id not in known)
    if not gone:
        return None
    contents: dict[str, int] = {}
    for parcel in gone:
        for line_id, quantity in units.by_line(order.portions, units.LEFT, parcel_id=parcel.parcel_id).items():
            contents[line_id] = contents.get(line_id, 0) + quantity
    return Content(
        kind=NoticeKind.SHIPPED,
        parcels=gone,
        lines=tuple((line.line_id, contents[line.line_id]) for line in order.lines if contents.get(line.line_id)),
        deliver_by=order.deliver_by,
        facts={"parcels": [parcel.parcel_id for parcel in gone]},
    )


_SETTLED = frozenset({TrackingStatus.DELIVERED, TrackingStatus.RETURNED})


def _about_parcel(kind: NoticeKind, order: Order, data: Data) -> Content | None:
    found = [parcel for parcel in order.parcels if parcel.parcel_id == data.get("parcel_id")]
    if not found or (kind is NoticeKind.DELIVERY_FAILED and found[0].tracking_status in _SETTLED):
        return None
    contents = units.by_line(order.portions, units.ANYWHERE, parcel_id=found[0].parcel_id)
    return Content(
        kind=kind,
        parcels=(found[0],),
        lines=tuple((line.line_id, contents[line.line_id]) for line in order.lines if contents.get(line.line_id)),
    )
