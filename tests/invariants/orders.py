"""What must be true of orders as such: accepted once, told without gaps, every unit in one place, always waited for."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tests.invariants.books import ENDED, STAGES, TERMINAL, Books, Finding, Row, is_closed, portions, tripled

OWNERS = frozenset(
    {
        *("customer", "support", "risk", "payments", "inventory", "warehouse", "dispatch", "carrier_desk"),
        *("returns_desk", "operations", "engineering"),
    }
)


def every_accepted_order_has_one_row_and_one_workflow(books: Books) -> Iterator[Finding]:
    """Invariant 1."""
    rows = Counter(order["order_id"] for order in books.orders)
    for order_id in books.accepted:
        if rows[order_id] != 1:
            yield f"{order_id} was accepted and has {rows[order_id]} rows"
    for order in books.orders:
        identity = f"{order['channel']}/{order['source']}/{order['order_ref']}"
        if books.accepted.get(order["order_id"], identity) != identity:
            yield f"{order['order_id']} was accepted as {books.accepted[order['order_id']]} and is {identity}"
        if books.archived.get(order["order_id"], 0) != 1:
            yield f"{order['order_id']}: its request is archived {books.archived.get(order['order_id'], 0)} times"
        yield from _has_one_workflow(books, order)
    living = Counter((o["channel"], o["source"], o["order_ref"]) for o in books.orders if o["state"] != "rejected")
    yield from (f"{count} living orders are {identity}" for identity, count in living.items() if count > 1)
    for row in books.parked:
        yield f"{row['order_id']}: a {row['kind']} was never sent to the engine ({row['last_error']})"


def _has_one_workflow(books: Books, order: Row) -> Iterator[Finding]:
    order_id = order["order_id"]
    execution = books.executions.get(order_id)
    if execution is None:
        lost_at = books.engine_lost_at
        if not (lost_at is not None and is_closed(order) and order["closed_at"] <= lost_at):
            yield f"{order_id} has no workflow"
        return
    if len(execution.first_run_ids) != 1:
        yield f"{order_id} has {len(execution.first_run_ids)} workflows"
    wanted = "COMPLETED" if is_closed(order) else "RUNNING"
    if execution.status != wanted:
        yield f"{order_id}: its row is {'closed' if is_closed(order) else 'open'}, its workflow {execution.status}"
    elif is_closed(order) and execution.result not in {None, order["state"]}:
        yield f"{order_id}: its row says {order['state']}, its workflow ended as {execution.result}"


def every_timeline_is_told_without_gaps(books: Books) -> Iterator[Finding]:
    """Invariant 9: sequence per order, one feed, every webhook taken."""
    for order in books.orders:
        order_id, events = order["order_id"], books.events.get(order["order_id"], ())
        sequences = [event["sequence"] for event in events]
        if sequences != list(range(1, order["last_sequence"] + 1)):
            yield f"{order_id}: its events are numbered {sequences}, the row says {order['last_sequence']}"
        if not events or events[0]["kind"] != "order.received":
            yield f"{order_id}: its timeline does not begin with order.received"
        kinds = Counter(event["kind"] for event in events)
        for kind in ("order.received", f"order.{order['state']}"):
            if order["state"] in TERMINAL and kinds[kind] != 1:
                yield f"{order_id}: {kind} was told {kinds[kind]} times"
    stamped, highest = books.positions
    if stamped != highest:
        yield f"the feed has {stamped} places and its last one is {highest}"
    for delivery in books.undelivered:
        yield f"webhook {delivery['delivery_id']} was not taken"


def the_shop_heard_of_every_step(books: Books) -> Iterator[Finding]:
    """Invariant 9, seen from outside: the world's shop, which asked for ``order.*``, has each of them, always the same."""
    told = defaultdict(list)
    for record in books.heard:
        told[record["order"]["order_id"]].append(record["event"]["sequence"])
        if record["altered"]:
            yield f"webhook {record['webhook_id']} came again and said something else"
    for order in books.orders:
        order_id = order["order_id"]
        steps = [e["sequence"] for e in books.events.get(order_id, ()) if e["kind"].startswith("order.")]
        if sorted(told[order_id]) != steps:
            yield f"{order_id}: its steps are events {steps}, the shop heard of {sorted(told[order_id])}"


def every_unit_is_in_one_bucket(books: Books) -> Iterator[Finding]:
    """Invariant 5."""
    promised: Counter[str] = Counter()
    for reservation in books.reservations:
        promised[reservation["order_id"]] += reservation["quantity"]
    for order in books.orders:
        order_id = order["order_id"]
        for line_id, ordered, counted in tripled(order):
            if ordered != counted:
                yield f"{order_id} line {line_id}: {ordered} ordered, {counted} in buckets"
        for portion in portions(order):
            if portion["quantity"] <= 0 or portion["stage"] not in STAGES:
                yield f"{order_id} line {portion['line_id']}: {portion['quantity']} units are {portion['stage']}"
        if order["state"] not in TERMINAL:
            continue
        if not is_closed(order) and order["state"] != "cancelled" and order["state"] != "rejected":
            yield f"{order_id} is {order['state']} and not closed"
        if promised[order_id]:
            yield f"{order_id} is {order['state']} and still has {promised[order_id]} units reserved"
        if stuck := {portion["stage"] for portion in portions(order)} - ENDED:
            yield f"{order_id} is {order['state']} and has units {sorted(stuck)}"


def every_open_order_waits_for_somebody(books: Books) -> Iterator[Finding]:
    """Invariant 10."""
    for order in books.orders:
        order_id = order["order_id"]
        named = [order[name] for name in ("owner", "next_step", "due_at")]
        if is_closed(order) != (named == [None, None, None]) or (not is_closed(order) and None in named):
            yield f"{order_id} is {'closed' if is_closed(order) else 'open'} and its row waits for {named}"
        view = books.views.get(order_id)
        if view is None:
            continue
        waits = view["waits"]
        if is_closed(order) and (waits or view["waiting"] is not None):
            yield f"{order_id} is closed and shows waits: {waits}"
        if not is_closed(order):
            yield from _waits_are_whole(order, waits, view["waiting"])


def _waits_are_whole(order: Row, waits: list[dict[str, Any]], waiting: dict[str, Any] | None) -> Iterator[Finding]:
    order_id = order["order_id"]
    if not waits:
        yield f"{order_id} is open and waits for nothing"
        return
    for wait in waits:
        if wait["owner"] not in OWNERS or not wait["next_step"] or not wait["subject"]:
            yield f"{order_id}: a wait without owner, step or subject: {wait}"
        since, due_at = (datetime.fromisoformat(wait[name]) for name in ("since", "due_at"))
        if since.tzinfo is None or due_at.tzinfo is None or due_at < since:
            yield f"{order_id}: a wait that is due before it began: {wait}"
    if len({(wait["subject"], wait["next_step"]) for wait in waits}) != len(waits):
        yield f"{order_id}: waits for the same thing twice: {waits}"
    earliest = min(waits, key=lambda wait: datetime.fromisoformat(wait["due_at"]))
    if waiting is None or waiting["due_at"] != earliest["due_at"] or waiting not in waits:
        yield f"{order_id}: the earliest wait is {earliest}, shown is {waiting}"
    shown = None if waiting is None else (waiting["owner"], waiting["next_step"])
    if shown != (order["owner"], order["next_step"]):
        yield f"{order_id}: the view waits for {shown}, the row for {order['owner']} {order['next_step']}"
