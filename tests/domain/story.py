"""One order living through messages, with every rule checked after each; the steps it wants can be answered in bulk."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from domain.change import Effect, Event
from domain.life import apply
from domain.messages import DueReached, Message, PaymentVoided
from domain.orders import Order
from domain.steps import AuthorizePayment, Step, authorize_key, next_steps
from domain.vocabulary import EventKind, PaymentState
from domain.waits import next_due
from tests.domain import making
from tests.domain.making import NOW, Part, Warehouse
from tests.domain.rules import check_message, check_order

S = TypeVar("S", bound=Step)
Watcher = Callable[[Order, Order, Sequence[Event]], None]


class Story:
    """An order, the moment it is, and all that happened so far."""

    def __init__(self, order: Order, *, watch: Watcher | None = None, check: bool = True) -> None:
        self.order = order
        self._check = check
        self.now: datetime = NOW
        self.events: list[Event] = []
        self.effects: list[Effect] = []
        self.sent: list[Message] = []
        self.told: set[str] = set()
        self._watch = watch
        self._asked: set[str] = set()
        self._voided: set[str] = set()
        check_order(order)

    def send(self, *messages: Message) -> "Story":
        """Apply *messages* in turn."""
        for message in messages:
            before = self.order
            applied = apply(before, message, self.now)
            self.order = applied.order
            opened = (event for event in applied.events if event.kind is EventKind.ATTENTION_OPENED)
            self.told |= {event.data["code"] for event in opened}
            if self._check:
                check_message(before, message, applied, self.now, told=self.told)
                self._check_holds(before, message)
            self.sent.append(message)
            self.events += applied.events
            self.effects += applied.effects
            names = [(event.cause_id, event.ordinal) for event in self.events]
            assert len(set(names)) == len(names), "two events bear one name: the second would be lost"
            if self._watch is not None:
                self._watch(before, self.order, applied.events)
        return self

    def _check_holds(self, before: Order, message: Message) -> None:
        """Money that was once asked for is not forgotten: its step goes on, or a void learns what became of it."""
        asked = {step.authorization_id for step in next_steps(before).values() if isinstance(step, AuthorizePayment)}
        self._asked |= asked
        if isinstance(message, PaymentVoided):
            self._voided.add(message.authorization_id)
        for authorization in self.order.authorizations:
            name = authorization.authorization_id
            if authorization.state is PaymentState.VOIDED and name in self._asked:
                assert name in self._voided, "a hold that may exist was called void without looking"
            pending = authorization.state is PaymentState.PENDING and authorization.void_since is None
            key = authorize_key(before.order_id, name)
            if name in asked and pending and key not in self.order.failed_steps:
                assert key in next_steps(self.order), "a call under way was given up and is never made again"

    def step(self, kind: type[S]) -> S:
        """The only open step of that kind."""
        (found,) = (step for step in next_steps(self.order).values() if isinstance(step, kind))
        return found

    def finish_steps(self, *, parts: Sequence[Part] | None = None, expires_at: datetime | None = None) -> "Story":
        """Answer every open step well, and those that follow, until none is left."""
        while steps := next_steps(self.order):
            step = next(iter(steps.values()))
            expires = expires_at or self.now + timedelta(days=7)
            self.send(making.done(self.order, step, parts=parts, expires_at=expires))
        return self

    def wait_until_due(self) -> "Story":
        """Let the time pass until the timer fires."""
        due = next_due(self.order)
        assert due is not None, "nothing is due any more"
        return self.wait(max(due - self.now, timedelta(milliseconds=1)))

    def wait(self, time: timedelta) -> "Story":
        """Let *time* pass, then let the order look what is due."""
        self.now += time
        return self.send(DueReached(at=self.now))

    def kinds(self) -> list[EventKind]:
        """What happened, in order."""
        return [event.kind for event in self.events]

    def cases(self) -> list[str]:
        """Codes of the cases that stand open."""
        return [case.code for case in self.order.attention]


def released(order: Order | None = None, *, parts: Sequence[Part] | None = None, watch: Watcher | None = None) -> Story:
    """An order whose fulfillments are at their warehouses."""
    return Story(order or making.make_order(), watch=watch).finish_steps(parts=parts)


def handed_over(order: Order | None = None) -> Story:
    """An order whose one parcel, ``A`` with the warehouse's own label, has left."""
    story = released(order)
    lines = {line.line_id: line.quantity for line in story.order.lines}
    warehouse = Warehouse()
    story.send(
        warehouse.accepts(),
        warehouse.picks(lines),
        warehouse.packs({"A": lines}, own_label=True),
        warehouse.hands_over("A"),
    )
    return story
