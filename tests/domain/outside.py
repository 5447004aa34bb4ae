"""What stands outside one order, in memory: stock rows, money held, labels; once per key, and nothing behind a tombstone."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain import names, payments, units
from domain.change import Effect, LeaveQueue, StockEffect, UndoStep
from domain.commands import LineUnits
from domain.inventory import DELTAS
from domain.messages import (
    Allocation,
    CaptureRefused,
    LabelRefused,
    Message,
    PaymentDeclined,
    PaymentFact,
    PlannedFulfillment,
    StockReserved,
    StockServed,
    StockShort,
)
from domain.orders import Order, Parcel, parcel_state
from domain.requests import counted
from domain.steps import (
    AuthorizePayment,
    BookLabel,
    CapturePayment,
    ReserveStock,
    Step,
    VoidAuthorization,
    VoidLabel,
)
from domain.vocabulary import MovementKind, ParcelState
from tests.domain import making
from tests.domain.chance import action_required

LOCATIONS = ("LEEDS", "DERBY", "YORK")
ON_HAND = 40
# Of eight ways in which a step can end, the last is a refusal.
WAYS = 8
NO = WAYS - 1
NEARLY = WAYS - 2


class Money(StrEnum):
    """What the provider has of one authorization."""

    ASKED = "asked"
    HELD = "held"
    CAPTURED = "captured"
    NONE = "none"


@dataclass
class Row:
    """One stock row."""

    on_hand: int = ON_HAND
    reserved: int = 0
    unavailable: int = 0


class Outside:
    """Does what the steps ask for, as the activities do, and books the effects, as the projection does."""

    def __init__(self, order: Order) -> None:
        skus = {line.sku for line in order.lines}
        self.rows = {(location_id, sku): Row() for location_id in LOCATIONS for sku in sorted(skus)}
        self.reserved: Counter[tuple[str, str]] = Counter()
        self.queue: Counter[str] = Counter()
        self._queued_by: str | None = None
        self.served: list[StockServed] = []
        self._skus = {line.line_id: line.sku for line in order.lines}
        self._places: dict[str, str] = {}
        self.money: dict[str, Money] = {}
        self.expires_at: dict[str, datetime] = {}
        self.captured_minor = 0
        self.labels: dict[str, str] = {}
        self.answers: dict[str, Message] = {}
        self._asked: dict[str, Step] = {}
        self._given_up: set[str] = set()
        self._booked: set[tuple[str, MovementKind, str, str]] = set()

    def do(self, order: Order, step: Step, way: int, now: datetime) -> Message:
        """The step's result; repeated under its key it is the same one, and nothing happens twice."""
        before = self._asked.setdefault(step.key, step)
        if isinstance(step, AuthorizePayment | CapturePayment) and isinstance(
            before, AuthorizePayment | CapturePayment
        ):
            assert before.amount_minor == step.amount_minor, "another amount under the same key"
        if step.key not in self.answers:
            self.answers[step.key] = self._do(order, step, way % WAYS, now)
        return self.answers[step.key]

    def _do(self, order: Order, step: Step, way: int, now: datetime) -> Message:
        match step:
            case ReserveStock():
                return self._reserve(step, way)
            case AuthorizePayment():
                return self._authorize(order, step, way, now)
            case CapturePayment():
                return self._capture(order, step, way)
            case VoidAuthorization():
                return self._void(order, step)
            case BookLabel() if way == NO or step.key in self._given_up:
                return LabelRefused(step_key=step.key, parcel_id=step.parcel_id, code="no_carrier")
            case BookLabel():
                self.labels[step.key] = step.parcel_id
            case VoidLabel():
                self._given_up.add(step.label_key)
                self.labels.pop(step.label_key, None)
        return making.done(order, step)

    def _reserve(self, step: ReserveStock, way: int) -> StockReserved | StockShort:
        why = making.decision("sourcing", step.order_id)
        if step.key in self._given_up or (way == NO and step.instead_of is None):
            return StockShort(step_key=step.key, missing=(("A", 1),), decision=why)
        lacking = {line.line_id: _lacking(step, line.quantity, way) for line in step.lines}
        parts: dict[str, list[Allocation]] = {}
        for place, line in enumerate(step.lines):
            first = line.first_unit
            for location_id, count in _shares(step, line.quantity - lacking[line.line_id], way, place):
                parts.setdefault(location_id, []).append(
                    Allocation(line_id=line.line_id, sku=line.sku, quantity=count, first_unit=first)
                )
                first += count
        planned = tuple(
            PlannedFulfillment(
                fulfillment_id=names.fulfillment_id(step.order_id, number),
                location_id=location_id,
                allocations=tuple(allocations),
            )
            for number, (location_id, allocations) in enumerate(parts.items(), start=step.first_fulfillment)
        )
        for part in planned:
            for allocation in part.allocations:
                self._promise(part.fulfillment_id, part.location_id, allocation.line_id, allocation.quantity)
        missing = tuple(LineUnits(line_id=line_id, quantity=count) for line_id, count in lacking.items() if count)
        if step.allow_backorder:
            self.queue.update(counted(missing))
            self._queued_by = step.key
            return StockReserved(step_key=step.key, fulfillments=planned, decision=why, backordered=missing)
        return StockReserved(step_key=step.key, fulfillments=planned, decision=why, short=missing)

    def _promise(self, fulfillment_id: str, location_id: str, line_id: str, count: int) -> None:
        self._move(location_id, self._skus[line_id], MovementKind.RESERVED, count)
        self.reserved[fulfillment_id, line_id] += count
        self._places[fulfillment_id] = location_id

    def serve(self, order_id: str, most: int, now: datetime) -> None:
        """Stock comes in for at most *most* units of each line that waits; the order will hear of it."""
        lines = {line_id: min(most, count) for line_id, count in self.queue.items() if min(most, count) > 0}
        if not lines:
            return
        number = len(self.served) + 1
        fulfillment_id = names.served_fulfillment_id(order_id, number)
        for line_id, count in lines.items():
            self.queue[line_id] -= count
            self._promise(fulfillment_id, LOCATIONS[0], line_id, count)
        self.served.append(
            StockServed(
                id=f"serving/{number}",
                fulfillment_id=fulfillment_id,
                location_id=LOCATIONS[0],
                lines=tuple(LineUnits(line_id=line_id, quantity=count) for line_id, count in lines.items()),
                occurred_at=now,
                queued_by=self._queued_by,
            )
        )

    def _authorize(self, order: Order, step: AuthorizePayment, way: int, now: datetime) -> Message:
        if way == NO or step.authorization_id in self._given_up:
            self.money[step.authorization_id] = Money.NONE
            return PaymentDeclined(step_key=step.key, authorization_id=step.authorization_id, code="card_declined")
        if way == NEARLY:
            self.money[step.authorization_id] = Money.ASKED
            return action_required(step, now)
        expires_at = now + timedelta(hours=0 if way == NEARLY - 1 else 168)
        self.money[step.authorization_id], self.expires_at[step.authorization_id] = Money.HELD, expires_at
        return making.done(order, step, expires_at=expires_at)

    def _capture(self, order: Order, step: CapturePayment, way: int) -> Message:
        assert self.money[step.authorization_id] is Money.HELD, "taken without a hold, or twice"
        if way == NO:
            return CaptureRefused(step_key=step.key, authorization_id=step.authorization_id, code="expired")
        self.money[step.authorization_id] = Money.CAPTURED
        self.captured_minor += step.amount_minor
        return making.done(order, step)

    def _void(self, order: Order, step: VoidAuthorization) -> Message:
        assert self.money.get(step.authorization_id) is not Money.CAPTURED, "money that was taken is called given back"
        self._given_up.add(step.authorization_id)
        self.money[step.authorization_id] = Money.NONE
        return making.done(order, step)

    def customer_acts(self, authorization_id: str, outcome: str, number: int, now: datetime) -> PaymentFact:
        """The provider's word once the customer did; what is over stays so."""
        if self.money.get(authorization_id) is Money.ASKED:
            self.money[authorization_id] = Money.HELD if outcome == "authorized" else Money.NONE
            self.expires_at[authorization_id] = now + timedelta(days=7)
        is_held = self.money.get(authorization_id) in {Money.HELD, Money.CAPTURED}
        return PaymentFact(
            id=f"payment:stripe/{number}",
            authorization_id=authorization_id,
            outcome="authorized" if is_held else "failed" if outcome == "authorized" else outcome,
            occurred_at=now,
            reference=f"pi_{authorization_id}",
            expires_at=self.expires_at.get(authorization_id),
        )

    def book(self, effects: Iterable[Effect]) -> None:
        """What the effects of one write do to our rows."""
        for effect in effects:
            match effect:
                case StockEffect():
                    self._book_stock(effect)
                case UndoStep():
                    self._undo(effect)
                case LeaveQueue():
                    self._leave(counted_units(effect), frozenset(effect.known))

    def _book_stock(self, effect: StockEffect) -> None:
        for kind, sign in effect.movements:
            for sku in {line.sku for line in effect.lines}:
                name = (f"{effect.cause_id}/{effect.ordinal}", kind, effect.location_id, sku)
                assert name not in self._booked, "two bookings bear one name: the second would be lost"
                self._booked.add(name)
            for line in effect.lines:
                self._move(effect.location_id, line.sku, kind, sign * line.quantity)
        for line in effect.lines:
            self.reserved[effect.fulfillment_id, line.line_id] -= line.quantity

    def _move(self, location_id: str, sku: str, kind: MovementKind, quantity: int) -> None:
        row, delta = self.rows[location_id, sku], DELTAS[kind]
        row.on_hand += delta.on_hand * quantity
        row.reserved += delta.reserved * quantity
        row.unavailable += delta.unavailable * quantity

    def _undo(self, undo: UndoStep) -> None:
        self._given_up.add(undo.step_key)
        mark = self.answers.get(undo.step_key)
        if not isinstance(mark, StockReserved):
            return
        planned = frozenset(part.fulfillment_id for part in mark.fulfillments)
        for fulfillment_id, line_id in [place for place in self.reserved if place[0] in planned]:
            self._give_back(fulfillment_id, line_id, self.reserved[fulfillment_id, line_id])
        self._leave(counted(mark.backordered), planned | set(undo.known))

    def _leave(self, lines: Mapping[str, int], known: frozenset[str]) -> None:
        """Off the queue; what was served meanwhile, and the order has not heard of, is given back."""
        for line_id, count in lines.items():
            off = min(count, self.queue[line_id])
            self.queue[line_id] -= off
            for fulfillment_id, other in list(self.reserved):
                if other == line_id and fulfillment_id not in known:
                    back = min(count - off, self.reserved[fulfillment_id, line_id])
                    off += back
                    self._give_back(fulfillment_id, line_id, back)

    def _give_back(self, fulfillment_id: str, line_id: str, count: int) -> None:
        self.reserved[fulfillment_id, line_id] -= count
        self._move(self._places[fulfillment_id], self._skus[line_id], MovementKind.UNRESERVED, count)

    def check(self, order: Order) -> None:
        """What must hold outside after every message."""
        for place, row in self.rows.items():
            assert row.reserved >= 0, place
            assert row.reserved + row.unavailable <= row.on_hand, place
        assert min(self.reserved.values(), default=0) >= 0, "more was taken than was promised"
        assert min(self.queue.values(), default=0) >= 0
        for fulfillment in order.fulfillments:
            there = units.by_line(order.portions, units.NOT_LEFT, fulfillment_id=fulfillment.fulfillment_id)
            mine = {line: count for (name, line), count in self.reserved.items() if name == fulfillment.fulfillment_id}
            assert {line: count for line, count in mine.items() if count} == there, "not all that is promised is known"
        held = sum(a.amount_minor for a in order.authorizations if self.money.get(a.authorization_id, "") in _HELD)
        assert self.captured_minor <= held, "more was taken than was held"
        gone = sum(payments.value_left(order, fulfillment) for fulfillment in order.fulfillments)
        assert self.captured_minor <= gone + order.shipping_minor, "more was taken than what left is worth"
        assert payments.anything_left(order) or not self.captured_minor, "money was taken and nothing left"
        assert max(Counter(self.labels.values()).values(), default=0) <= 1, "two labels for one parcel"

    def check_closed(self, order: Order, now: datetime) -> None:
        """What must hold outside once the order is closed: nothing is promised, held or labelled in vain."""
        assert not any(self.queue.values()), "it still stands in the queue"
        assert not any(row.reserved for row in self.rows.values()), "stock is still promised"
        ended = {name for name, expires_at in self.expires_at.items() if expires_at <= now}
        left = {name for name, money in self.money.items() if money in {Money.ASKED, Money.HELD}} - ended
        assert not left, "money is still held"
        cancelled = {parcel.parcel_id for parcel in order.parcels if _is_cancelled(order, parcel)}
        assert not cancelled & set(self.labels.values()), "a label nobody needs was not given back"


_HELD = frozenset({Money.HELD, Money.CAPTURED})


def _is_cancelled(order: Order, parcel: Parcel) -> bool:
    return parcel_state(order, parcel) is ParcelState.CANCELLED


def counted_units(effect: LeaveQueue) -> dict[str, int]:
    """Line id -> units."""
    return {line.line_id: line.quantity for line in effect.lines}


def _lacking(step: ReserveStock, quantity: int, way: int) -> int:
    """How many units no location has: all of them, half of them, or none; of an order that may not wait none."""
    if not step.allow_backorder and step.instead_of is None:
        return 0
    return {NO: quantity, NEARLY: quantity // 2 + 1, NEARLY - 1: quantity // 2}.get(way, 0)


def _shares(step: ReserveStock, quantity: int, way: int, place: int) -> list[tuple[str, int]]:
    """Which location serves how many units of the line at *place*: one serves all, each a line, or each its half."""
    there = [location_id for location_id in LOCATIONS if location_id not in step.not_at]
    first, second = there[0], there[-1]
    half = quantity // 2 if way % 3 == 2 and first != second else 0
    chosen = second if way % 3 == 1 and place % 2 else first
    return [(where, count) for where, count in ((chosen, quantity - half), (second, half)) if count > 0]
