"""Stories made up at random: any mix of results, facts likely and absurd, repetitions and time; the same for one source."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from domain import names, units
from domain.attention import AttentionCode
from domain.messages import (
    CaptureRefused,
    CarrierFact,
    DueReached,
    LabelRefused,
    Message,
    PaymentActionRequired,
    PaymentDeclined,
    PaymentFact,
    StepFailed,
    StockShort,
    WarehouseFact,
)
from domain.orders import Fulfillment, Order, closed
from domain.steps import AuthorizePayment, BookLabel, CapturePayment, ReserveStock, Step, next_steps
from domain.units import Stage
from domain.vocabulary import (
    PaymentMethod,
    ServiceLevel,
    ShortReason,
    TrackingStatus,
    WarehouseFactKind,
)
from domain.waits import next_due
from tests.domain import making
from tests.domain.making import LineSpec, Part, Warehouse
from tests.domain.story import Story, Watcher

METHODS = (PaymentMethod.CARD, PaymentMethod.WALLET, PaymentMethod.PREPAID, PaymentMethod.CASH_ON_DELIVERY)
ABSURD = 0.12
TROUBLE = 0.15


def any_order(random: Random) -> Order:
    """An order of some lines, payments and shipping; sometimes of nothing that costs anything."""
    lines: list[LineSpec] = [
        (str(number), random.choice("ABC"), random.randint(1, 7), random.choice((0, 1, 7, 199, 1530, 10**9)))
        for number in range(1, random.randint(2, 5))
    ]
    shipping = random.choice((0, 1, 495))
    total = sum(line[3] for line in lines) + shipping
    return making.make_order(
        lines=lines,
        shipping=shipping,
        payments=any_payments(random, total),
        service_level=random.choice(list(ServiceLevel)),
        currency=random.choice(("JPY", "GBP", "KWD")),
    )


def any_payments(random: Random, total: int) -> list[tuple[PaymentMethod, int]]:
    """Up to three payments that sum to *total*, cash at most once."""
    methods = random.choices(METHODS, k=random.randint(1, 3))
    cash = [place for place, method in enumerate(methods) if method is PaymentMethod.CASH_ON_DELIVERY]
    for place in cash[1:]:
        methods[place] = PaymentMethod.CARD
    cuts = sorted(random.randint(0, total) for _ in methods[1:])
    edges = [0, *cuts, total]
    return [(method, edges[place + 1] - edges[place]) for place, method in enumerate(methods)]


def any_parts(random: Random, order: Order) -> list[Part]:
    """The order's units over up to three locations, every location serving something."""
    locations = ["LEEDS", "DERBY", "YORK"][: random.randint(1, 3)]
    parts: dict[str, dict[str, int]] = {location: {} for location in locations}
    for line in order.lines:
        for _ in range(line.quantity):
            part = parts[random.choice(locations)]
            part[line.line_id] = part.get(line.line_id, 0) + 1
    return [(location, quantities) for location, quantities in parts.items() if quantities]


def live(
    random: Random,
    *,
    most: int = 60,
    watch: Watcher | None = None,
    begin: Callable[[Order], Order] = lambda order: order,
    check: bool = True,
) -> Story:
    """An order that lives through up to *most* messages, and ends when it closes."""
    story = Story(begin(any_order(random)), watch=watch, check=check)
    teller = Teller(random, story)
    for _ in range(most):
        story.send(teller.next())
        if random.random() < 0.3:
            story.now += timedelta(minutes=random.choice((0, 1, 30, 300)))
        if closed(story.order):
            for _ in range(3):
                story.send(teller.fact())
            break
    return story


def action_required(step: AuthorizePayment, now: datetime) -> PaymentActionRequired:
    """The customer must act within the hour."""
    return PaymentActionRequired(
        step_key=step.key,
        authorization_id=step.authorization_id,
        reference=f"pi_{step.authorization_id}",
        url="https://pay.example/1",
        expires_at=now + timedelta(hours=1),
    )


class Teller:
    """Says what happens next to the order of *story*."""

    def __init__(self, random: Random, story: Story) -> None:
        self._random = random
        self._story = story
        self._said = 0

    def next(self) -> Message:
        """A result, a fact, a repetition or the time."""
        random, story = self._random, self._story
        steps = list(next_steps(story.order).values())
        chance = random.random()
        if steps and chance < 0.55:
            return self.result(random.choice(steps))
        said = [message for message in story.sent if not isinstance(message, DueReached)]
        if said and chance < 0.62:
            return random.choice(said)
        due = next_due(story.order)
        if due is not None and chance < 0.70:
            story.now = max(due, story.now + timedelta(milliseconds=1))
            return DueReached(at=story.now)
        return self.fact()

    def result(self, step: Step) -> Message:
        """What becomes of *step*: mostly well."""
        random, story = self._random, self._story
        if random.random() > TROUBLE:
            days = random.choice((0, 7, 7, 7, 7))
            return making.done(
                story.order,
                step,
                parts=any_parts(random, story.order) if isinstance(step, ReserveStock) else None,
                expires_at=story.now + timedelta(days=days),
            )
        match step:
            case ReserveStock():
                why = making.decision("sourcing", story.order.order_id)
                return StockShort(step_key=step.key, missing=(("A", 1),), decision=why)
            case AuthorizePayment() if random.random() < 0.5:
                return PaymentDeclined(step_key=step.key, authorization_id=step.authorization_id, code="card_declined")
            case AuthorizePayment():
                return action_required(step, story.now)
            case CapturePayment():
                return CaptureRefused(step_key=step.key, authorization_id=step.authorization_id, code="expired")
            case BookLabel():
                return LabelRefused(step_key=step.key, parcel_id=step.parcel_id, code="no_carrier")
            case _:
                return StepFailed(step_key=step.key, error=AttentionCode.UNEXPECTED_ERROR.value)

    def fact(self) -> Message:
        """Something from outside, of what can happen now or of what cannot."""
        random, order = self._random, self._story.order
        self._said += 1
        waiting = [a for a in order.authorizations if a.action_url is not None]
        if order.authorizations and random.random() < (0.6 if waiting else 0.05):
            return self._payment_fact([a.authorization_id for a in waiting or order.authorizations])
        if order.parcels and random.random() < 0.5:
            return self._carrier_fact(order)
        if order.fulfillments:
            return self._warehouse_fact(random.choice(order.fulfillments))
        return self._unknown_parcel()

    def _payment_fact(self, authorization_ids: Sequence[str]) -> PaymentFact:
        random, now = self._random, self._story.now
        return PaymentFact(
            id=f"payment:stripe/{self._said}",
            authorization_id=random.choice(authorization_ids),
            outcome=random.choice(("authorized", "authorized", "failed", "expired")),
            occurred_at=now,
            expires_at=now + timedelta(days=7),
        )

    def _carrier_fact(self, order: Order) -> CarrierFact:
        random = self._random
        parcel = random.choice(order.parcels)
        if parcel.tracking_number is None or random.random() < ABSURD:
            return self._unknown_parcel()
        status = random.choice((*TrackingStatus, TrackingStatus.DELIVERED, TrackingStatus.DELIVERED))
        return CarrierFact(
            id=f"carrier:any/{self._said}",
            carrier=parcel.carrier or "",
            tracking_number=parcel.tracking_number,
            status=status,
            occurred_at=self._story.now + timedelta(hours=random.randint(-5, 1)),
            collected_minor=parcel.collect_minor or None if status is TrackingStatus.DELIVERED else None,
        )

    def _unknown_parcel(self) -> CarrierFact:
        return replace(
            making.Carrier(f"TN-{self._random.randint(1, 3)}").says(TrackingStatus.IN_TRANSIT),
            id=f"carrier:none/{self._said}",
        )

    def _warehouse_fact(self, fulfillment: Fulfillment) -> WarehouseFact:
        """What that warehouse could say next, or now and then anything at all."""
        random, order = self._random, self._story.order
        said = Warehouse(fulfillment.fulfillment_id)
        there = units.by_line(order.portions, {Stage.RELEASED}, fulfillment_id=fulfillment.fulfillment_id)
        picked = units.by_line(order.portions, {Stage.PICKED}, fulfillment_id=fulfillment.fulfillment_id)
        if random.random() < ABSURD:
            there = picked = {line.line_id: random.randint(1, 9) for line in order.lines[:2]}
        ready = [p.parcel_ref for p in order.parcels_of(fulfillment.fulfillment_id) if p.handed_over_at is None]
        options: list[WarehouseFact] = [said.accepts()]
        if there:
            options += [said.picks(self._some(there)), said.picks(there), said.picks(there)]
            options += [said.misses(self._some(there), random.choice(list(ShortReason)))]
        if picked:
            own = random.random() < 0.5
            ref = names.parcel_id(fulfillment.fulfillment_id, self._said)
            options += [said.packs({ref: self._some(picked)}, own_label=own)] * 2
            options += [said.packs({ref: picked}, own_label=own)] * 2
        if ready:
            options += [said.hands_over(*ready)] * 3
        if random.random() < ABSURD:
            options = [said.refuses(random.choice(list(ShortReason))), said.packs(), said.hands_over("nowhere")]
            options += [said.refuses(lines=self._some({line.line_id: line.quantity for line in order.lines}))]
            options += [said.answers(WarehouseFactKind.REQUEST_REFUSED)]
        return replace(random.choice(options), id=f"{fulfillment.location_id}/{self._said}")

    def _some(self, quantities: dict[str, int]) -> dict[str, int]:
        return {line_id: self._random.randint(1, quantity) for line_id, quantity in quantities.items()}
