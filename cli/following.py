"""Follows orders to their ends over the API, politely, and compares each end with what its file expects."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from cli.client import Client, read_json, reason
from cli.rows import Row
from cli.text import TERMINAL_STATES, clean, moment

ROLE = "storefront"
PAGE = 200
KEPT = ("state", "outcome", "version", "changed_at", "amounts", "waits", "waiting", "attention")
# Up to this many open orders are asked for one by one; more come by pages of the list.
FEW = 12
# What the pages did not show is asked for one by one, so many per poll.
ONE_BY_ONE = 50
# A poll may keep the API busy for a tenth of the time at most.
REST_PER_POLL = 9.0
LONGEST_REST = 30.0
# Seconds between polls: few at first, so that short runs end soon; more when nothing moves.
FIRST_REST, USUAL_REST, IDLE_REST = 0.25, 1.0, 5.0


@dataclass(slots=True, kw_only=True)
class Watched:
    """One order on its way: where it came from, how it must end, how it was last seen."""

    order_id: str
    order_ref: str
    place: str
    expect: Mapping[str, Any] | None
    received_at: datetime | None
    view: Mapping[str, Any]
    problem: str | None = None

    @property
    def state(self) -> str:
        """The state last seen; ``unknown`` where the API no longer shows the order."""
        return "unknown" if self.problem else str(self.view.get("state", "unknown"))

    @property
    def over(self) -> bool:
        """Whether nothing more can be learnt about it."""
        return self.problem is not None or self.state in TERMINAL_STATES

    def verdict(self) -> str | None:
        """What is wrong with how it ended, or None."""
        if self.problem:
            return self.problem
        if not self.over:
            return f"still {clean(self.state)}"
        wanted, found = self.expect or {}, _found(self.view)
        wrong = [
            f"{name} {clean(found.get(name))} instead of {clean(value)}"
            for name, value in wanted.items()
            if found.get(name) != value
        ]
        return ", ".join(wrong) or None


def _kept(view: Mapping[str, Any]) -> dict[str, Any]:
    """The few fields that are used later: whole views of many orders would fill the memory."""
    return {name: view[name] for name in KEPT if name in view} | {"parts": len(view.get("fulfillments") or ())}


def _needs_whole(view: Mapping[str, Any]) -> bool:
    """Whether an ended order came as a summary, without the amounts that its expectation names."""
    return view.get("state") in TERMINAL_STATES and not isinstance(view.get("amounts"), Mapping)


def _found(view: Mapping[str, Any]) -> dict[str, Any]:
    amounts = view.get("amounts")
    captured = amounts.get("captured_minor") if isinstance(amounts, Mapping) else None
    return {"state": view.get("state"), "outcome": outcome_of(view), "captured_minor": captured}


def outcome_of(view: Mapping[str, Any]) -> str | None:
    """Why an order ended other than delivered: the reason of its outcome, or None."""
    outcome = view.get("outcome")
    why = outcome.get("reason") if isinstance(outcome, Mapping) else outcome
    return None if why is None else str(why)


@dataclass(slots=True)
class Watch:
    """Every order that one run follows, and what changed at the last look."""

    client: Client
    orders: dict[str, Watched] = field(default_factory=dict)
    open_ids: set[str] = field(default_factory=set)
    changed_at: float = field(default_factory=time.monotonic)

    def add(self, row: Row, view: Mapping[str, Any]) -> None:
        """Follow the order that the API answered for *row*."""
        order_id = str(view.get("order_id", ""))
        watched = Watched(
            order_id=order_id,
            order_ref=str(view.get("order_ref", row.body.get("order_ref", ""))),
            place=row.place,
            expect=row.expect,
            received_at=moment(view.get("received_at")),
            view=_kept(view),
        )
        if (known := self.orders.get(order_id)) is not None and known.expect is not None and row.expect is None:
            return
        self.orders[order_id] = watched
        # A stored answer may be older than the truth, so even a terminal one is looked at once more.
        self.open_ids.add(order_id)
        self.changed_at = time.monotonic()

    def counts(self) -> Counter[str]:
        """How many orders are in which state."""
        return Counter(order.state for order in self.orders.values())

    def wrong(self) -> list[tuple[Watched, str]]:
        """The orders that did not end as their file says, with what is wrong."""
        verdicts = ((order, order.verdict()) for order in self.orders.values())
        return [(order, verdict) for order, verdict in verdicts if verdict]

    async def poll(self) -> list[Watched]:
        """Look at every open order once; the orders that changed, most recent change first."""
        unseen = set(self.open_ids)
        changed: list[Watched] = []
        if len(unseen) > FEW:
            async for view in self._listed(unseen):
                if not _needs_whole(view):
                    unseen.discard(str(view["order_id"]))
                    changed += self._see(str(view["order_id"]), view)
        for watched in await asyncio.gather(*(self._look_at(order_id) for order_id in sorted(unseen)[:ONE_BY_ONE])):
            changed += watched
        if changed:
            self.changed_at = time.monotonic()
        return sorted(changed, key=lambda order: str(order.view.get("changed_at", "")), reverse=True)

    async def _listed(self, wanted: set[str]) -> AsyncIterator[Mapping[str, Any]]:
        # Newest first, so the oldest open order bounds how far back a poll has to read.
        times = [at for order_id in wanted if (at := self.orders[order_id].received_at) is not None]
        params: dict[str, Any] = {"limit": PAGE}
        if times:
            params["received_from"] = (min(times) - timedelta(seconds=1)).isoformat()
        cursor: str | None = None
        while True:
            here = params | ({"cursor": cursor} if cursor else {})
            page = await self.client.get("/v1/orders", role=ROLE, params=here)
            content = read_json(page)
            if not page.is_success or not isinstance(content, Mapping):
                return
            for view in content.get("items", ()):
                if view.get("order_id") in wanted:
                    yield view
            cursor = content.get("next_cursor")
            if not cursor or not wanted:
                return

    async def _look_at(self, order_id: str) -> list[Watched]:
        response = await self.client.get(f"/v1/orders/{order_id}", role=ROLE)
        view = read_json(response)
        if response.status_code == httpx.codes.NOT_FOUND or not isinstance(view, Mapping):
            self.orders[order_id].problem = f"cannot be looked at: {reason(response)}"
            self.open_ids.discard(order_id)
            return [self.orders[order_id]]
        return self._see(order_id, view) if response.is_success else []

    def _see(self, order_id: str, view: Mapping[str, Any]) -> list[Watched]:
        watched = self.orders[order_id]
        before = watched.view
        watched.view = _kept(view)
        if watched.over:
            self.open_ids.discard(order_id)
        signs = ("state", "version", "changed_at")
        return [watched] if any(before.get(sign) != view.get(sign) for sign in signs) else []


async def follow(
    watch: Watch,
    *,
    more_to_come: Callable[[], bool],
    timeout: float,
    after_poll: Callable[[Sequence[Watched]], Awaitable[None]],
) -> bool:
    """Poll until every order is over and none is to come; False when nothing changed for *timeout* seconds."""
    rest = FIRST_REST
    while True:
        started = time.monotonic()
        changed = await watch.poll()
        await after_poll(changed)
        if not watch.open_ids and not more_to_come():
            return True
        if time.monotonic() - watch.changed_at > timeout and not more_to_come():
            return False
        rest = min(rest * 1.5, USUAL_REST if changed else IDLE_REST)
        took = time.monotonic() - started
        await asyncio.sleep(min(max(rest, REST_PER_POLL * took), LONGEST_REST))


def earliest_due(views: Iterable[Mapping[str, Any]]) -> str | None:
    """The earliest due time among the waits of *views*."""
    times = [str(wait["due_at"]) for view in views for wait in waits_of(view) if wait.get("due_at")]
    return min(times, default=None)


def waits_of(view: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The waits that a view names; the single `waiting` where a list shows only that."""
    waits = view.get("waits")
    if not isinstance(waits, list):
        waits = [view.get("waiting")]
    return [wait for wait in waits if isinstance(wait, Mapping)]
