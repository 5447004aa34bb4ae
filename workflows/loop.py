"""The applier loop that every long-running workflow shares: messages are applied one move at a time, each written once."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

OUTCOME_FORGOTTEN = "outcome_forgotten"


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
R = TypeVar("R")


@dataclass(frozen=True)
class Life(Generic[S, M, A, R]):
    """The pure rules the loop runs on.

    ``apply`` answers what one message did, and ``after`` reads the state off that: the very same state for a message that
    changes nothing. ``failed`` and ``due`` make the messages that the loop itself sends. ``command_id`` is None for what no
    caller waits for; ``outcome`` is None for a command that was not applied yet, and ``knows`` also says yes to one whose
    outcome is forgotten.
    """

    apply: Callable[[S, M, datetime], A]
    after: Callable[[A], S]
    next_steps: Callable[[S], Mapping[str, Keyed]]
    next_due: Callable[[S], datetime | None]
    closed: Callable[[S], bool]
    step_key: Callable[[M], str | None]
    failed: Callable[[str, str], M]
    due: Callable[[datetime], M]
    command_id: Callable[[M], str | None]
    outcome: Callable[[S, str], R | None]
    knows: Callable[[S, str], bool]


class Hands(Protocol[S, M, A]):  # type: ignore[misc]  # invariant: state, messages and results are one family
    """How the loop touches the world: one write per move, one activity per step."""

    async def write(self, before: S, after: S, applied: Sequence[A], *, durable: bool) -> None:
        """Write one move; returns when it is committed. A *durable* one must not be committed before the engine has it."""
        ...

    async def perform(self, step: Any) -> M:
        """Run one step's activity; its result is a message."""
        ...

    def show(self, before: S, after: S) -> None:
        """Show people where things stand."""
        ...


class Applier(Generic[S, M, A, R]):
    """Applies messages to one state, one move at a time; only this changes it."""

    def __init__(self, state: S, *, life: Life[S, M, A, R], hands: Hands[S, M, A], crowded: Callable[[], bool]) -> None:
        self.state = state
        self._life = life
        self._hands = hands
        self._crowded = crowded
        self._born = state.version
        self._written = state
        self._mailbox: deque[M] = deque()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._started: set[str] = set()
        self._timer: asyncio.Task[None] | None = None
        self._timer_due: datetime | None = None

    def post(self, message: M) -> None:
        """Put *message* in the mailbox; the loop applies it."""
        self._mailbox.append(message)

    async def settle(self, command: M) -> R:
        """What became of *command*, applied once, as soon as its move is written, and no later.

        Raises:
            ApplicationError: (outcome_forgotten) it was applied so long ago that its outcome is not kept.
        """
        command_id = self._life.command_id(command) or ""
        queued = any(self._life.command_id(message) == command_id for message in self._mailbox)
        if not queued and not self._life.knows(self.state, command_id):
            self.post(command)
        await workflow.wait_condition(lambda: self._life.knows(self._written, command_id))
        outcome = self._life.outcome(self._written, command_id)
        if outcome is None:
            raise ApplicationError("what became of it is not kept any more", type=OUTCOME_FORGOTTEN)
        return outcome

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
        state, durable = before, False
        while self._mailbox:
            message = self._mailbox.popleft()
            result = self._life.apply(state, message, now)
            if self._life.after(result) is not state:
                applied.append(result)
                durable = durable or self._life.command_id(message) is not None
            state = self._life.after(result)
            # A step ends when its result is applied: popped when it was posted, a move in between would start it again.
            self._running.pop(self._life.step_key(message) or "", None)
        if not applied:
            return
        self.state = state
        await self._hands.write(before, state, applied, durable=durable)
        self._hands.show(before, state)
        self._written = state

    def _start_and_stop_steps(self) -> None:
        wanted = self._life.next_steps(self.state)
        for key in [key for key in self._running if key not in wanted]:
            self._running.pop(key).cancel()
        # A step that failed and is wanted again, because a person said so, starts again.
        self._started.intersection_update(wanted)
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
