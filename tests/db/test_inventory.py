"""Stock: each movement booked once, no row ever oversold, and the ledger explains every figure."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from db import inventory
from db.session import Sessions
from domain.inventory import DELTAS, StockChange
from domain.vocabulary import MovementKind
from tests.db.placing import any_order, fresh_sku, level, place, rows, stock_up

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def change(kind: MovementKind, sku: str, quantity: int, location_id: str = "LEEDS") -> StockChange:
    """One movement."""
    return StockChange(kind=kind, location_id=location_id, sku=sku, quantity=quantity)


async def book(sessions: Sessions, changes: Sequence[StockChange], cause: str) -> list[StockChange]:
    """*changes* in a transaction of their own; answers what was new."""
    async with sessions.begin() as session:
        return await inventory.book(session, changes, cause=cause, actor="test", at=NOW)


async def test_a_movement_booked_twice_counts_once(sessions: Sessions):
    sku = fresh_sku()
    changes = [change(MovementKind.RECEIVED, sku, 5)]

    assert await book(sessions, changes, f"r/{sku}") == changes
    assert await book(sessions, changes, f"r/{sku}") == []

    assert (await level(sessions, "LEEDS", sku)).on_hand == 5


async def test_one_booking_of_which_a_part_is_known_books_the_rest(sessions: Sessions):
    one, other = fresh_sku(), fresh_sku("B")
    await book(sessions, [change(MovementKind.RECEIVED, one, 5)], f"r/{one}")

    both = [change(MovementKind.RECEIVED, one, 5), change(MovementKind.RECEIVED, other, 3)]
    fresh = await book(sessions, both, f"r/{one}")

    assert fresh == [change(MovementKind.RECEIVED, other, 3)]
    assert (await level(sessions, "LEEDS", one)).on_hand == 5


async def test_one_sku_on_two_lines_is_one_movement_of_their_sum(sessions: Sessions):
    sku = fresh_sku()

    await book(sessions, [change(MovementKind.RECEIVED, sku, 5), change(MovementKind.RECEIVED, sku, 2)], f"r/{sku}")

    assert (await level(sessions, "LEEDS", sku)).on_hand == 7


@pytest.mark.parametrize(
    ("kind", "quantity"),
    [
        (MovementKind.RESERVED, 6),
        (MovementKind.UNRESERVED, 1),
        (MovementKind.QUARANTINED, 6),
        (MovementKind.ADJUSTED, -6),
        (MovementKind.SCRAPPED, 1),
        (MovementKind.SHIPPED, 1),
    ],
)
async def test_what_would_oversell_or_go_below_nothing_is_refused_whole(
    sessions: Sessions, kind: MovementKind, quantity: int
):
    sku, other = fresh_sku(), fresh_sku("B")
    await stock_up(sessions, {("LEEDS", sku): 5, ("LEEDS", other): 5})

    with pytest.raises(IntegrityError):
        await book(sessions, [change(MovementKind.RECEIVED, other, 1), change(kind, sku, quantity)], f"x/{sku}")

    assert (await level(sessions, "LEEDS", sku)).on_hand == 5
    assert (await level(sessions, "LEEDS", other)).on_hand == 5


@pytest.mark.parametrize(
    "statement",
    ["UPDATE stock_movements SET quantity = 9", "DELETE FROM stock_movements", "UPDATE order_archive SET body = 'x'"],
)
async def test_the_ledger_and_the_archive_are_never_changed(sessions: Sessions, statement: str):
    sku = fresh_sku()
    await stock_up(sessions, {("LEEDS", sku): 1})
    await place(sessions, any_order([sku]))

    with pytest.raises(DBAPIError, match="append-only"):
        async with sessions.begin() as session:
            await session.execute(text(statement))


async def test_after_every_booking_the_ledger_explains_the_row(sessions: Sessions):
    """Any bookings whatever: those that may not be are refused, and the sums of the rest are the stock rows."""
    random = Random(7)
    skus = [fresh_sku() for _ in range(3)]
    await stock_up(sessions, {(place, sku): 20 for place in ("LEEDS", "DERBY") for sku in skus})

    refused = 0
    for number in range(120):
        changes = [
            change(
                random.choice(list(MovementKind)),
                random.choice(skus),
                random.randint(-4, 6),
                random.choice(["LEEDS", "DERBY"]),
            )
            for _ in range(random.randint(1, 3))
        ]
        try:
            await book(sessions, changes, f"any/{number}")
        except IntegrityError:
            refused += 1

    assert 0 < refused < 120
    for sku in skus:
        for location in ("LEEDS", "DERBY"):
            await _ledger_explains(sessions, location, sku)


async def _ledger_explains(sessions: Sessions, location_id: str, sku: str) -> None:
    """At every prefix that ends with a booking nothing is negative or oversold, and the last one is the row."""
    moved = await rows(
        sessions,
        "SELECT kind, quantity, cause FROM stock_movements WHERE sku = :sku AND location_id = :place"
        " ORDER BY movement_id",
        sku=sku,
        place=location_id,
    )
    on_hand = reserved = unavailable = 0
    for position, movement in enumerate(moved):
        delta, quantity = DELTAS[MovementKind(movement["kind"])], movement["quantity"]
        on_hand += delta.on_hand * quantity
        reserved += delta.reserved * quantity
        unavailable += delta.unavailable * quantity
        last_of_booking = position + 1 == len(moved) or moved[position + 1]["cause"] != movement["cause"]
        if last_of_booking:
            assert reserved >= 0
            assert unavailable >= 0
            assert reserved + unavailable <= on_hand
    row = await level(sessions, location_id, sku)
    assert (row.on_hand, row.reserved, row.unavailable) == (on_hand, reserved, unavailable)


async def test_bookings_of_the_same_rows_in_opposite_order_never_deadlock(sessions: Sessions):
    skus = [fresh_sku(letter) for letter in "ABCD"]
    await stock_up(sessions, {("LEEDS", sku): 1000 for sku in skus})

    await asyncio.gather(
        *(
            book(
                sessions,
                [change(MovementKind.RESERVED, sku, 1) for sku in (skus if number % 2 else reversed(skus))],
                f"race/{skus[0]}/{number}",
            )
            for number in range(20)
        )
    )

    assert [(await level(sessions, "LEEDS", sku)).reserved for sku in skus] == [20] * 4


async def test_rows_that_are_made_at_once_by_two_are_one_row(sessions: Sessions):
    sku = fresh_sku()

    await asyncio.gather(*(book(sessions, [change(MovementKind.RECEIVED, sku, 1)], f"m/{sku}/{n}") for n in range(8)))

    assert (await level(sessions, "LEEDS", sku)).on_hand == 8
