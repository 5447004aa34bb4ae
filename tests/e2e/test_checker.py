"""The checker itself: for every invariant, books that break it, and the finding that must name it."""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent

from tests import invariants
from tests.fixtures import bodies
from tests.fixtures.shop import Shop
from tests.invariants import judge, read_books, settle
from tests.invariants.books import Books, Row

Corrupt = Callable[[Books], Books]


@pytest.fixture(scope="module")
async def true_books(playing_stack: Shop) -> Books:
    """The books of a delivered order in two parcels, a cancelled one, a rejected one and an open one."""
    shop = playing_stack
    sku = await shop.product(20)
    made = {
        "delivered": bodies.order([bodies.line(sku, 3, 333)], scenario="two_parcels", shipping_minor=100),
        "cancelled": bodies.order([bodies.line(sku, 2)], scenario="refuse"),
        "rejected": bodies.order([bodies.line(sku, 1)], payments=[bodies.card("pm_card_chargeDeclined")]),
        "open": bodies.order([bodies.line(sku, 2)], scenario="floor_silent"),
    }
    ids = {name: (await shop.order(body))["order_id"] for name, body in made.items()}
    await shop.until_over([order_id for name, order_id in ids.items() if name != "open"])
    await shop.until_state(ids["open"], "fulfilling")
    await settle(shop, ids.values())
    books = await read_books(shop, list(ids.values()))
    assert judge(books) == []
    return books


def one(books: Books, state: str) -> dict[str, Any]:
    """A copy of the row of the order in that state."""
    return copy.deepcopy(dict(next(order for order in books.orders if order["state"] == state)))


def with_order(books: Books, changed: Row) -> Books:
    """*books* with the row of that order replaced."""
    orders = [changed if order["order_id"] == changed["order_id"] else order for order in books.orders]
    return replace(books, orders=tuple(orders))


def with_rows(books: Books, name: str, rows: Iterable[Row]) -> Books:
    """*books* with other rows called *name*."""
    change: dict[str, Any] = {name: tuple(rows)}
    return replace(books, **change)


def in_order(state: str, change: Callable[[dict[str, Any]], None]) -> Corrupt:
    """The row of the order in *state*, changed."""

    def corrupt(books: Books) -> Books:
        order = one(books, state)
        change(order)
        return with_order(books, order)

    return corrupt


def without(name: str, **wanted: Any) -> Corrupt:
    """The first of the rows called *name* that is like *wanted* is gone."""

    def corrupt(books: Books) -> Books:
        rows = getattr(books, name)
        gone = _first(books, rows, wanted)
        return with_rows(books, name, (row for row in rows if row is not gone))

    return corrupt


def twice(name: str, change: Mapping[str, Any] | None = None, **wanted: Any) -> Corrupt:
    """The first of the rows called *name* that is like *wanted* is there twice, the second time with *change*."""

    def corrupt(books: Books) -> Books:
        rows = getattr(books, name)
        again = _first(books, rows, wanted)
        return with_rows(books, name, (*rows, {**again, **(change or {})}))

    return corrupt


def changed(name: str, change: Mapping[str, Any], **wanted: Any) -> Corrupt:
    """The first of the rows called *name* that is like *wanted* has *change*."""

    def corrupt(books: Books) -> Books:
        rows = getattr(books, name)
        other = _first(books, rows, wanted)
        return with_rows(books, name, ({**row, **change} if row is other else row for row in rows))

    return corrupt


def of(state: str, corrupt: Callable[[str], Corrupt]) -> Corrupt:
    """*corrupt* for the id of the order in that state."""
    return lambda books: corrupt(one(books, state)["order_id"])(books)


def _first(books: Books, rows: Iterable[Row], wanted: Mapping[str, Any]) -> Row:
    """The first of *rows* that is like *wanted*: the delivered order's if there is one, else one of no order's own."""
    like = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    delivered = one(books, "delivered")["order_id"]
    ours = [row for row in like if delivered in {row.get("order_id"), str(row.get("cause")).split("/", 1)[0]}]
    return (ours or like)[0]


def in_engine(state: str, **change: Any) -> Corrupt:
    """What the engine shows of the order in that state, changed."""

    def corrupt(books: Books) -> Books:
        order_id = one(books, state)["order_id"]
        executions = {**books.executions, order_id: replace(books.executions[order_id], **change)}
        return replace(books, executions=executions)

    return corrupt


def no_workflow(books: Books) -> Books:
    """The engine does not know the open order."""
    order_id = one(books, "fulfilling")["order_id"]
    return replace(books, executions={key: value for key, value in books.executions.items() if key != order_id})


def failed_task(books: Books) -> Books:
    """A workflow task failed because the code was not the same."""
    order_id = one(books, "delivered")["order_id"]
    [history] = books.executions[order_id].histories
    event = HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)
    cause = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
    event.workflow_task_failed_event_attributes.cause = cause
    return in_engine("delivered", histories=(replace(history, events=[*history.events, event]),))(books)


def told(where: str, canary: str) -> Corrupt:
    """Something personal stands in a text."""
    return lambda books: replace(books, texts={**books.texts, where: books.texts.get(where, b"") + canary.encode()})


def gap(books: Books) -> Books:
    """An event of the delivered order is missing."""
    order_id = one(books, "delivered")["order_id"]
    return replace(books, events={**books.events, order_id: books.events[order_id][:-2] + books.events[order_id][-1:]})


def early_release(books: Books) -> Books:
    """The delivered order tells of its money only after its release."""
    order_id = one(books, "delivered")["order_id"]
    events = sorted(books.events[order_id], key=lambda event: event["kind"] == "payment.authorized")
    return replace(books, events={**books.events, order_id: tuple(events)})


def no_waits(books: Books) -> Books:
    """The open order's view waits for nothing."""
    order_id = one(books, "fulfilling")["order_id"]
    return replace(books, views={**books.views, order_id: {**books.views[order_id], "waits": [], "waiting": None}})


def other_wait(books: Books) -> Books:
    """The open order shows a wait of nobody."""
    order_id = one(books, "fulfilling")["order_id"]
    view = books.views[order_id]
    waits = [{**view["waits"][0], "owner": "nobody"}]
    return replace(books, views={**books.views, order_id: {**view, "waits": waits, "waiting": waits[0]}})


def shown_captured(books: Books) -> Books:
    """The delivered order's view shows a minor unit too much."""
    order_id = one(books, "delivered")["order_id"]
    view = copy.deepcopy(dict(books.views[order_id]))
    view["amounts"]["captured_minor"] += 1
    return replace(books, views={**books.views, order_id: view})


def _unit_lost(order: dict[str, Any]) -> None:
    order["snapshot"]["portions"][0]["quantity"] -= 1


def _unit_left_behind(order: dict[str, Any]) -> None:
    order["snapshot"]["portions"][0]["stage"] = "packed"


def _not_closed(order: dict[str, Any]) -> None:
    order["closed_at"] = None


def _nobody_owns(order: dict[str, Any]) -> None:
    order["owner"] = None


def _other_identity(order: dict[str, Any]) -> None:
    order["order_ref"] += "x"


def _label_forgotten(order: dict[str, Any]) -> None:
    order["snapshot"]["parcels"][0]["tracking_number"] = None


def _left_before_it_was_paid(order: dict[str, Any]) -> None:
    for parcel in order["snapshot"]["parcels"]:
        parcel["heard_at"] = "2020-01-01T00:00:00Z"


def _believes_in_no_capture(order: dict[str, Any]) -> None:
    order["snapshot"]["authorizations"][0]["captured_minor"] = 0


CORRUPTIONS: list[tuple[str, str, Corrupt]] = [
    ("every_accepted_order_has_one_row_and_one_workflow", name, corrupt)
    for name, corrupt in (
        ("no row", of("delivered", lambda order_id: without("orders", order_id=order_id))),
        ("two rows", of("delivered", lambda order_id: twice("orders", order_id=order_id))),
        ("another identity", in_order("delivered", _other_identity)),
        ("no workflow", no_workflow),
        ("two workflows", in_engine("delivered", first_run_ids=frozenset({"a", "b"}))),
        ("a workflow that ended otherwise", in_engine("delivered", result="cancelled")),
        ("a workflow that failed", in_engine("delivered", status="FAILED")),
        ("a closed row of a running workflow", in_engine("delivered", status="RUNNING")),
        (
            "a start that is parked",
            lambda b: replace(b, parked=({"order_id": "o", "kind": "start", "last_error": ""},)),
        ),
        ("no archive", lambda b: replace(b, archived={})),
    )
]
CORRUPTIONS += [
    (
        "captured_is_what_left",
        "nothing captured",
        of("delivered", lambda o: without("entries", order_id=o, kind="capture")),
    ),
    (
        "captured_is_what_left",
        "a minor unit too much",
        of("delivered", lambda o: changed("entries", {"amount_minor": 1100}, order_id=o, kind="capture")),
    ),
    (
        "captured_is_what_left",
        "captured of an order that was cancelled",
        of("cancelled", lambda o: twice("entries", {"kind": "capture"}, order_id=o, kind="authorization")),
    ),
    ("captured_is_what_left", "shown is not taken", shown_captured),
    ("each_charge_is_made_once", "captured twice under a key", twice("entries", kind="capture")),
    ("each_charge_is_made_once", "captured twice under two keys", twice("entries", {"key": "other"}, kind="capture")),
    ("each_charge_is_made_once", "held twice", twice("entries", {"key": "other"}, kind="authorization")),
    ("each_charge_is_made_once", "picked twice", twice("entries", {"key": "other"}, kind="pick_request")),
    ("each_charge_is_made_once", "more than was held", changed("entries", {"amount_minor": 1}, kind="authorization")),
    (
        "nothing_is_held_for_nothing",
        "no void",
        of("cancelled", lambda o: without("entries", order_id=o, kind="void")),
    ),
    (
        "nothing_is_held_for_nothing",
        "refunded more than was taken",
        of(
            "delivered",
            lambda o: twice("entries", {"kind": "refund", "amount_minor": 9999}, order_id=o, kind="capture"),
        ),
    ),
    ("the_stock_ledger_adds_up", "a row that is off", changed("stock", {"on_hand": 10_000})),
    ("the_stock_ledger_adds_up", "a movement is missing", without("movements", kind="shipped")),
    ("the_stock_ledger_adds_up", "oversold on the way", without("movements", kind="received")),
    ("the_stock_ledger_adds_up", "a reservation is missing", without("reservations")),
    ("every_unit_is_in_one_bucket", "a unit is lost", in_order("delivered", _unit_lost)),
    ("every_unit_is_in_one_bucket", "a unit is left behind", in_order("delivered", _unit_left_behind)),
    ("every_unit_is_in_one_bucket", "ended and not closed", in_order("delivered", _not_closed)),
    (
        "every_unit_is_in_one_bucket",
        "a live reservation",
        of("delivered", lambda o: twice("reservations", {"order_id": o})),
    ),
    ("what_left_was_shipped", "shipped twice", twice("movements", kind="shipped")),
    ("every_parcel_has_one_live_label_at_most", "two labels", twice("entries", {"reference": "other"}, kind="label")),
    ("every_parcel_has_one_live_label_at_most", "a label for nothing", in_order("delivered", _label_forgotten)),
    ("every_parcel_has_one_live_label_at_most", "a label of nobody", without("operations", kind="label")),
    ("every_parcel_has_one_live_label_at_most", "a label that was never bought", without("entries", kind="label")),
    ("goods_leave_only_against_held_money", "left first", in_order("delivered", _left_before_it_was_paid)),
    (
        "goods_leave_only_against_held_money",
        "left without",
        of("delivered", lambda o: without("entries", order_id=o, kind="authorization")),
    ),
    ("goods_leave_only_against_held_money", "released first", early_release),
    ("every_timeline_is_told_without_gaps", "an event is missing", gap),
    ("every_timeline_is_told_without_gaps", "a place is missing", lambda b: replace(b, positions=(1, 2))),
    ("every_timeline_is_told_without_gaps", "not taken", lambda b: replace(b, undelivered=({"delivery_id": "d"},))),
    (
        "the_shop_heard_of_every_step",
        "one step was not told",
        lambda b: with_rows(b, "heard", [r for r in b.heard if r["type"] != "order.delivered"]),
    ),
    (
        "the_shop_heard_of_every_step",
        "a repeat said something else",
        lambda b: with_rows(b, "heard", [{**r, "altered": True} for r in b.heard]),
    ),
    ("every_open_order_waits_for_somebody", "nobody owns it", in_order("fulfilling", _nobody_owns)),
    ("every_open_order_waits_for_somebody", "waits for nothing", no_waits),
    ("every_open_order_waits_for_somebody", "waits for nobody", other_wait),
    ("every_history_replays", "does not replay", lambda b: replace(b, unreplayable=("order-x does not replay",))),
    ("every_history_replays", "a task failed", failed_task),
    ("every_history_replays", "a task fails again and again", in_engine("fulfilling", task_attempt=9)),
    ("nothing_personal_is_told", "a name in a log", told("logs/api.log", f"{bodies.MARK} Person")),
    (
        "nothing_personal_is_told",
        "a mail address in an event",
        told("order_events", f"{bodies.MARK.lower()}.1@example.org"),
    ),
    ("nothing_personal_is_told", "a telephone number", told("outbox", f"+44{bodies.PHONE}123")),
    ("nothing_personal_is_told", "a token in an operation", told("operations", "pm_card_visa")),
    ("both_ledgers_agree", "still sending", changed("operations", {"state": "sending"}, kind="capture")),
    ("both_ledgers_agree", "another amount", changed("operations", {"amount_minor": 1}, kind="capture")),
    ("both_ledgers_agree", "another currency", changed("operations", {"currency": "EUR"}, kind="authorization")),
    (
        "both_ledgers_agree",
        "done with us only",
        of("delivered", lambda o: without("entries", order_id=o, kind="capture")),
    ),
    (
        "both_ledgers_agree",
        "done in the world only",
        of("cancelled", lambda o: without("operations", order_id=o, kind="void")),
    ),
    (
        "both_ledgers_agree",
        "failed with us",
        of("delivered", lambda o: changed("operations", {"state": "failed"}, order_id=o, kind="capture")),
    ),
    ("both_ledgers_agree", "void with us only", of("cancelled", lambda o: without("entries", order_id=o, kind="void"))),
    ("both_ledgers_agree", "the order believes otherwise", in_order("delivered", _believes_in_no_capture)),
]


@pytest.mark.parametrize(
    ("invariant", "corrupt"),
    [pytest.param(invariant, corrupt, id=f"{invariant}: {name}") for invariant, name, corrupt in CORRUPTIONS],
)
def test_books_that_break_an_invariant_are_found(true_books: Books, invariant: str, corrupt: Corrupt):
    findings = judge(corrupt(true_books))

    assert invariant in {finding.split(":", 1)[0] for finding in findings}, findings


def test_every_invariant_has_books_that_break_it():
    assert {name for name, _, _ in CORRUPTIONS} == {invariant.__name__ for invariant in invariants.INVARIANTS}
