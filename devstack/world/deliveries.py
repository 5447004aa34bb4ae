"""Work for later: webhooks to deliver and stories to go on with. Every piece is a row until it is finished."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson
import structlog

from devstack.world.outbound import ApiAway
from devstack.world.store import Store

log = structlog.get_logger()
AT_ONCE = 16
FIRST_RETRY_SECONDS = 0.25
LONGEST_RETRY_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A piece of work; *body* is all its handler needs to go on after a restart."""

    id: str
    kind: str
    due_at: float
    body: dict[str, Any]
    attempts: int = 0

    def then(self, delay: float, **changes: Any) -> "Job":
        """The same job further on, due in *delay* seconds."""
        return replace(self, due_at=time.time() + delay, attempts=0, body=self.body | changes)


Handler = Callable[[Job], Awaitable[Job | None]]


class Deliveries:
    """Runs each job when it is due, again with back-off while our API is away, until its handler says None."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._handlers: dict[str, Handler] = {}
        self._gates: dict[str, asyncio.Event] = {}
        self._waiting: dict[str, tuple[Job, asyncio.TimerHandle]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._stopped = False

    def handle(self, kind: str, handler: Handler, *, gate: asyncio.Event | None = None) -> None:
        """Jobs of *kind* go to *handler*, and only while *gate* is open."""
        self._handlers[kind] = handler
        if gate is not None:
            self._gates[kind] = gate

    def plan(self, job: Job) -> None:
        """*job* is a row of this transaction and starts after its commit."""
        self._store.db.execute(
            "INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?, ?)",
            (job.id, job.kind, job.due_at, job.attempts, orjson.dumps(job.body)),
        )
        self._store.after_commit(lambda: self._wait(job))

    def start(self) -> None:
        """Every job that an earlier process left is taken up again."""
        rows = self._store.db.execute("SELECT id, kind, due_at, attempts, body FROM jobs ORDER BY due_at").fetchall()
        for id, kind, due_at, attempts, body in rows:
            self._wait(Job(id=id, kind=kind, due_at=due_at, attempts=attempts, body=orjson.loads(body)))

    async def stop(self) -> None:
        """Nothing runs any more; the rows stay for the next process."""
        self._stopped = True
        for _, timer in self._waiting.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hasten(self, id: str, delay: float, **changes: Any) -> None:
        """The job *id*, if it waits, is due in *delay* seconds at the latest, and its body has *changes*."""
        job, timer = self._waiting.get(id, (None, None))
        if job is not None and timer is not None:
            timer.cancel()
            due_at = min(job.due_at, time.time() + delay)
            self._wait(replace(job, due_at=due_at, body=job.body | changes))

    def waiting(self, id: str) -> Job | None:
        """The job of that id, if it waits for its time; None while it runs, and when there is none."""
        return self._waiting.get(id, (None, None))[0]

    def is_open(self, id: str) -> bool:
        """Whether there is a job of that id that is not finished."""
        return self._store.db.execute("SELECT 1 FROM jobs WHERE id = ?", (id,)).fetchone() is not None

    def change(self, job: Job) -> None:
        """The job of that id, which waits, is *job* from now on."""
        self._stop_waiting(job.id)
        with self._store.transaction():
            self.plan(job)

    def drop(self, id: str) -> None:
        """The job of that id, which waits, is not done any more."""
        self._stop_waiting(id)
        with self._store.transaction():
            self._store.db.execute("DELETE FROM jobs WHERE id = ?", (id,))

    def _stop_waiting(self, id: str) -> None:
        _, timer = self._waiting.pop(id, (None, None))
        if timer is not None:
            timer.cancel()

    def _wait(self, job: Job) -> None:
        if self._stopped:
            return
        delay = max(0.0, job.due_at - time.time())
        timer = asyncio.get_running_loop().call_later(delay, self._begin, job)
        self._waiting[job.id] = (job, timer)

    def _begin(self, job: Job) -> None:
        self._waiting.pop(job.id, None)
        task = asyncio.get_running_loop().create_task(self._run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, job: Job) -> None:
        if gate := self._gates.get(job.kind):
            await gate.wait()
        async with self._slots:
            try:
                following = await self._handlers[job.kind](job)
            except ApiAway:
                following = again(job)
            except Exception:
                # The edge of a job: a bug in one story must not end the process that all others live in.
                log.exception("job_failed", job=job.id, kind=job.kind)
                following = again(job)
        with self._store.transaction():
            if following is None:
                self._store.db.execute("DELETE FROM jobs WHERE id = ?", (job.id,))
            else:
                self.plan(following)


def again(job: Job) -> Job:
    """The same job, tried again after a pause that doubles each time."""
    pause = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** min(job.attempts, 16))
    return replace(job, due_at=time.time() + pause, attempts=job.attempts + 1)
