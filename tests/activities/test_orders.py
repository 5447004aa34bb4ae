"""The one write: whole or not at all, harmless when repeated, and never the older over the newer."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter
from sqlalchemy import text
from temporalio.common import RawValue
from temporalio.testing import ActivityEnvironment

from activities.inventory import InventoryActivities
from activities.orders import OrderActivities
from contracts import names
from contracts.orders import Move
from db import inbox
from db.inbox import Incoming
from db.session import Sessions
from domain.messages import CarrierFact, Message
from domain.orders import Order
from domain.steps import ReserveStock, next_steps
from domain.vocabulary import TrackingStatus
from runtime.wire import WireConverter
from tests.db.placing import any_order, fresh_sku, level, place, rows, stock_up, tell
from tests.db.racing import until_one_waits
from tests.domain import making
from tests.domain.making import PREPAID, Warehouse

ORDER = TypeAdapter(Order)
NOW = datetime.now(UTC)


async def write(sessions: Sessions, move: Move, order: Order) -> None:
    """Run the activity."""
    payload = WireConverter().to_payload(order)
    assert payload is not None
    await ActivityEnvironment().run(OrderActivities(sessions).write_move, move, RawValue(payload))


async def released(sessions: Sessions, sku: str, *, quantity: int = 4) -> Order:
    """A prepaid order at its warehouse, written as far as that."""
    await stock_up(sessions, {("LEEDS", sku): 10})
    order = await place(sessions, any_order([sku], quantity=quantity, shipping=0, payments=[(PREPAID, 100 * quantity)]))
    (step,) = next_steps(order).values()
    assert isinstance(step, ReserveStock)
    reserved = await ActivityEnvironment().run(InventoryActivities(sessions).reserve_stock, step)
    return await told(sessions, order, reserved)


async def told(sessions: Sessions, order: Order, *messages: Message) -> Order:
    """*order* after *messages*, written."""
    after, move = tell(order, *messages, now=NOW)
    await write(sessions, move, after)
    return after


def warehouse_of(order: Order) -> Warehouse:
    """The warehouse of the only fulfillment."""
    return Warehouse(order.fulfillments[0].fulfillment_id)


async def events(sessions: Sessions, order: Order) -> list[tuple[int, str]]:
    """The timeline: sequence and kind."""
    found = await rows(
        sessions, "SELECT sequence, kind FROM order_events WHERE order_id = :id ORDER BY sequence", id=order.order_id
    )
    return [(row["sequence"], row["kind"]) for row in found]


async def stored(sessions: Sessions, order: Order) -> Order:
    """The value as the projection keeps it."""
    (row,) = await rows(sessions, "SELECT snapshot FROM orders WHERE order_id = :id", id=order.order_id)
    return ORDER.validate_python(row["snapshot"])


async def test_a_move_writes_value_row_timeline_and_parts_together(sessions: Sessions):
    order = await released(sessions, fresh_sku())

    assert await stored(sessions, order) == order
    (row,) = await rows(
        sessions,
        "SELECT state, version, owner, next_step, last_sequence FROM orders WHERE order_id = :id",
        id=order.order_id,
    )
    assert row == {
        "state": "fulfilling",
        "version": 1,
        "owner": "warehouse",
        "next_step": "accept",
        "last_sequence": 5,
    }
    assert await events(sessions, order) == [
        (1, "order.received"),
        (2, "stock.reserved"),
        (3, "order.confirmed"),
        (4, "fulfillment.released"),
        (5, "order.fulfilling"),
    ]
    (fulfillment,) = await rows(
        sessions, "SELECT state, location_id FROM fulfillments WHERE order_id = :id", id=order.order_id
    )
    assert fulfillment == {"state": "released", "location_id": "LEEDS"}


async def test_a_write_repeated_tells_and_books_once(sessions: Sessions):
    sku = fresh_sku()
    order = await released(sessions, sku)
    after, move = tell(order, warehouse_of(order).misses({"1": 1}), now=NOW)

    await write(sessions, move, after)
    before = await events(sessions, order)
    await write(sessions, move, after)

    assert await events(sessions, order) == before
    row = await level(sessions, "LEEDS", sku)
    assert (row.on_hand, row.reserved) == (9, 3)
    (reservation,) = await rows(sessions, "SELECT quantity FROM reservations WHERE order_id = :id", id=order.order_id)
    assert reservation == {"quantity": 3}


async def test_two_at_once_with_the_same_write_tell_and_book_once(sessions: Sessions):
    sku = fresh_sku()
    order = await released(sessions, sku)
    after, move = tell(order, warehouse_of(order).misses({"1": 2}), now=NOW)

    done = await asyncio.gather(*(write(sessions, move, after) for _ in range(2)), return_exceptions=True)
    if any(done):
        await write(sessions, move, after)

    row = await level(sessions, "LEEDS", sku)
    assert (row.on_hand, row.reserved) == (8, 2)
    kinds = [kind for _, kind in await events(sessions, order)]
    assert kinds.count("fulfillment.short_picked") == 1


async def test_a_write_that_comes_after_a_later_one_does_nothing(sessions: Sessions):
    """A first try that stalled wakes up when its repetition and the next move have long been written."""
    sku = fresh_sku()
    order = await released(sessions, sku)
    warehouse = warehouse_of(order)
    accepted, first = tell(order, warehouse.accepts(), now=NOW)
    picked, second = tell(accepted, warehouse.picks({"1": 4}), now=NOW)
    await write(sessions, first, accepted)
    await write(sessions, second, picked)
    before = await events(sessions, order)

    await write(sessions, first, accepted)

    assert await stored(sessions, order) == picked
    assert await events(sessions, order) == before


async def test_a_task_that_is_done_again_with_more_signals_loses_no_event(sessions: Sessions):
    """The write was committed and its task lost; done again, a signal that came meanwhile is applied first."""
    order = await released(sessions, fresh_sku())
    warehouse = warehouse_of(order)
    accepts, picks = warehouse.accepts(), warehouse.picks({"1": 4})
    lost, move = tell(order, picks, now=NOW)
    await write(sessions, move, lost)

    again = await told(sessions, order, accepts, picks)

    kinds = [kind for _, kind in await events(sessions, order)]
    assert kinds.count("fulfillment.picked") == 1
    assert kinds.count("fulfillment.accepted") == 1
    assert await stored(sessions, order) == again
    sequences = [sequence for sequence, _ in await events(sessions, order)]
    assert sequences == list(range(1, len(sequences) + 1))


async def test_the_move_of_an_order_without_a_row_is_refused(sessions: Sessions):
    order = any_order([fresh_sku()])
    after, move = tell(order, making.Carrier().says(TrackingStatus.IN_TRANSIT), now=NOW)

    with pytest.raises(LookupError):
        await write(sessions, move, after)


async def test_what_a_rejection_gives_back_is_available_again(sessions: Sessions):
    sku = fresh_sku()
    order = await released(sessions, sku)

    await told(sessions, order, warehouse_of(order).refuses())

    row = await level(sessions, "LEEDS", sku)
    assert (row.on_hand, row.reserved) == (10, 0)


async def test_what_is_handed_over_leaves_the_shelf_once_with_its_scan(sessions: Sessions):
    sku = fresh_sku()
    order = await released(sessions, sku)
    warehouse = warehouse_of(order)
    packed = await told(sessions, order, warehouse.picks({"1": 4}), warehouse.packs({"A": {"1": 4}}, own_label=True))
    carrier = making.Carrier()

    gone = await told(sessions, packed, carrier.says(TrackingStatus.PICKED_UP))
    await told(sessions, gone, warehouse.hands_over("A"), carrier.says(TrackingStatus.DELIVERED))

    row = await level(sessions, "LEEDS", sku)
    assert (row.on_hand, row.reserved) == (6, 0)
    (closed,) = await rows(
        sessions, "SELECT state, closed_at IS NOT NULL AS over FROM orders WHERE order_id = :id", id=order.order_id
    )
    assert closed == {"state": "delivered", "over": True}


def early(number: str) -> Incoming:
    """A carrier's fact whose parcel nobody knows yet."""
    fact = CarrierFact(
        id=names.fact_id(names.carrier_source("own"), number),
        carrier="own",
        tracking_number=number,
        status=TrackingStatus.IN_TRANSIT,
        occurred_at=NOW,
    )
    return Incoming(
        source=names.carrier_source("own"),
        event_id=number,
        signal=names.CARRIER_FACT,
        fact=TypeAdapter(CarrierFact).dump_python(fact, mode="json"),
        received_at=NOW,
        matches=names.tracking_match("own", number),
    )


async def to_pack(sessions: Sessions, number: str) -> tuple[Order, Message]:
    """An order that is picked, and the packing that tells us its number."""
    order = await released(sessions, fresh_sku())
    warehouse = warehouse_of(order)
    picked = await told(sessions, order, warehouse.picks({"1": 4}))
    packs = warehouse.packs({"A": {"1": 4}}, own_label=True)
    return picked, replace(packs, parcels=(replace(packs.parcels[0], tracking_number=number),))


async def take(sessions: Sessions, number: str, hold: asyncio.Event | None = None) -> str | None:
    """What the carriers' route does with a fact: find the order, else keep it unmatched; all under the number's lock."""
    async with sessions.begin() as session:
        order_id = await inbox.order_of_parcel(session, carrier="own", tracking_number=number)
        await inbox.keep(session, replace(early(number), order_id=order_id))
        if hold is not None:
            await hold.wait()
    return order_id


async def signals(sessions: Sessions, order: Order) -> list[str]:
    """The facts that are on their way to the order."""
    found = await rows(
        sessions,
        "SELECT payload->>'tracking_number' AS number FROM outbox WHERE order_id = :id AND kind = 'signal'",
        id=order.order_id,
    )
    return [row["number"] for row in found]


async def test_a_carriers_fact_that_comes_first_is_sent_on_once_its_parcel_is_known(sessions: Sessions):
    number = fresh_sku("TN")
    order, packs = await to_pack(sessions, number)

    assert await take(sessions, number) is None
    assert await signals(sessions, order) == []
    packed = await told(sessions, order, packs)

    assert await signals(sessions, order) == [number]
    await told(sessions, packed, warehouse_of(order).hands_over("A"))
    assert await signals(sessions, order) == [number]


async def test_a_carriers_fact_that_comes_second_finds_its_order(sessions: Sessions):
    number = fresh_sku("TN")
    order, packs = await to_pack(sessions, number)

    await told(sessions, order, packs)

    assert await take(sessions, number) == order.order_id
    assert await signals(sessions, order) == [number]


async def test_a_fact_being_kept_while_its_number_becomes_known_is_not_lost(sessions: Sessions):
    number = fresh_sku("TN")
    order, packs = await to_pack(sessions, number)
    may_commit = asyncio.Event()
    keeping = asyncio.create_task(take(sessions, number, may_commit))
    await _until_locked(sessions, number)

    writing = asyncio.create_task(told(sessions, order, packs))
    await until_one_waits(sessions, writing)
    may_commit.set()
    await keeping
    await writing

    assert await signals(sessions, order) == [number]


async def _until_locked(sessions: Sessions, number: str) -> None:
    """Return once somebody holds the number's lock; the database tells nobody, so it is asked."""
    async with asyncio.timeout(10):
        while not await rows(sessions, "SELECT 1 AS one FROM pg_locks WHERE locktype = 'advisory' AND granted"):
            await asyncio.sleep(0.01)


async def test_a_fact_that_waits_for_the_number_being_written_finds_its_order(sessions: Sessions):
    """The other way round: the carriers' route comes while the move that knows the number is not committed."""
    number = fresh_sku("TN")
    order, packs = await to_pack(sessions, number)
    after, move = tell(order, packs, now=NOW)

    async with sessions() as holder:
        lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:match, 0))")
        await holder.execute(lock, {"match": names.tracking_match("own", number)})
        taking = asyncio.create_task(take(sessions, number))
        await until_one_waits(sessions, taking)
        writing = asyncio.create_task(write(sessions, move, after))
        await holder.rollback()
    await asyncio.gather(taking, writing)

    assert await signals(sessions, order) == [number]


async def test_moves_of_one_order_at_different_versions_end_with_the_newest(sessions: Sessions):
    order = await released(sessions, fresh_sku())
    warehouse = warehouse_of(order)
    values = [order]
    moves: list[Move] = []
    for fact in (warehouse.accepts(), warehouse.picks({"1": 2}), warehouse.picks({"1": 2})):
        after, move = tell(values[-1], fact, now=NOW + timedelta(seconds=len(moves)))
        values.append(after)
        moves.append(move)

    await asyncio.gather(
        *(write(sessions, move, value) for move, value in zip(moves, values[1:], strict=True)), return_exceptions=True
    )
    await write(sessions, moves[-1], values[-1])

    assert await stored(sessions, order) == values[-1]
