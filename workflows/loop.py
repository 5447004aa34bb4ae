"""The applier loop that every long-running workflow shares: messages are applied one move at a time, each written once."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception


class Versioned(Protocol):
    """A state value that counts the messages applied to it."""

    @property
    def version(self) -> int:
        """Messages applied."""
        ...


class Keyed(Protocol):
    """A step: keyed by ids, purpose and generation."""

    @property
    def key(self) -> str:
        """Its idempotency key."""
        ...


S = TypeVar("S", bound=Versioned)
M = TypeVar("M")
A = TypeVar("A")


@dataclass(frozen=True)
class Life(Generic[S, M, A]):
    """The pure rules the loop runs on.

    ``apply`` answers what one message did, and ``after`` reads the state off that: the very same state for a message that
    changes nothing. ``failed`` and ``due`` make the messages that the loop itself sends.
    """

    apply: Callable[[S, M, datetime], A]
    after: Callable[[A], S]
    next_steps: Callable[[S], Mapping[str, Keyed]]
    next_due: Callable[[S], datetime | None]
    closed: Callable[[S], bool]
    step_key: Callable[[M], str | None]
    failed: Callable[[str, str], M]
    due: Callable[[datetime], M]


class Hands(Protocol[S, M, A]):  # type: ignore[misc]  # invariant: state, messages and results are one family
    """How the loop touches the world: one write per move, one activity per step."""

    async def write(self, before: S, after: S, applied: Sequence[A]) -> None:
        """Write one move; returns when it is committed."""
        ...

    async def perform(self, step: Any) -> M:
        """Run one step's activity; its result is a message."""
        ...

    def show(self, before: S, after: S) -> None:
        """Show people where things stand."""
        ...


class Applier(Generic[S, M, A]):
    """Applies messages to one state, one move at a time; only this changes it."""

    def __init__(self, state: S, *, life: Life[S, M, A], hands: Hands[S, M, A], crowded: Callable[[], bool]) -> None:
        self.state = state
        self._life = life
        self._hands = hands
        self._crowded = crowded
        self._born = state.version
        self._mailbox: deque[M] = deque()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._started: set[str] = set()
        self._timer: asyncio.Task[None] | None = None
        self._timer_due: datetime | None = None

    def post(self, message: M) -> None:
        """Put *message* in the mailbox; the loop applies it."""
        self._mailbox.append(message)

    async def run(self) -> S:
        """Until closed, or quiet and due for a new run; never with mail unread or a step under way."""
        self._start_and_stop_steps()
        while True:
            self._arm_timer()
            await workflow.wait_condition(lambda: bool(self._mailbox) or self._may_end())
            if not self._mailbox:
                return self.state
            await self._move()
            self._start_and_stop_steps()

    async def _move(self) -> None:
        """Everything in the mailbox, one write."""
        before, now = self.state, workflow.now()
        applied: list[A] = []
        state = before
        while self._mailbox:
            message = self._mailbox.popleft()
            result = self._life.apply(state, message, now)
            if self._life.after(result) is not state:
                applied.append(result)
            state = self._life.after(result)
            # A step ends when its result is applied: popped when it was posted, a move in between would start it again.
            self._running.pop(self._life.step_key(message) or "", None)
        if not applied:
            return
        self.state = state
        await self._hands.write(before, state, applied)
        self._hands.show(before, state)

    def _start_and_stop_steps(self) -> None:
        wanted = self._life.next_steps(self.state)
        for key in [key for key in self._running if key not in wanted]:
            self._running.pop(key).cancel()
        for key, step in wanted.items():
            if key not in self._started:
                self._started.add(key)
                self._running[key] = asyncio.create_task(self._step(step))

    async def _step(self, step: Keyed) -> None:
        try:
            self.post(await self._hands.perform(step))
        except (FailureError, asyncio.CancelledError) as failure:
            if not is_cancelled_exception(failure):
                cause = failure.__cause__ or failure
                self.post(self._life.failed(step.key, getattr(cause, "type", None) or type(cause).__name__))

    def _arm_timer(self) -> None:
        """One lazy timer: re-armed only for an earlier due time; when it fires, the rules look what is due."""
        due = self._life.next_due(self.state)
        if due is None or (self._timer_due is not None and self._timer_due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = asyncio.create_task(self._wake_at(due))

    async def _wake_at(self, due: datetime) -> None:
        wait = max(0.001, (due - workflow.now()).total_seconds())
        await workflow.sleep(wait, summary=f"look what is due at {due:%Y-%m-%d %H:%M:%S} UTC")
        self._timer = self._timer_due = None
        self.post(self._life.due(workflow.now()))

    def _may_end(self) -> bool:
        over = self._life.closed(self.state) or (self._crowded() and self.state.version > self._born)
        return over and not self._running and workflow.all_handlers_finished()
