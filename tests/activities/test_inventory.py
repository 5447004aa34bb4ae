"""Promising stock: everything or nothing, once, never more than is there, and nothing for an order that gave up."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.inventory import InventoryActivities
from db import projection
from db.session import Sessions
from domain.change import UndoStep
from domain.messages import StockReserved, StockShort
from domain.orders import Order
from domain.steps import ReserveStock, next_steps
from tests.db.placing import any_order, fresh_sku, level, place, rows, stock_up
from tests.db.racing import until_one_waits


async def reserve(sessions: Sessions, step: ReserveStock) -> StockReserved | StockShort:
    """Run the activity."""
    found: StockReserved | StockShort = await ActivityEnvironment().run(
        InventoryActivities(sessions).reserve_stock, step
    )
    return found


async def placed(sessions: Sessions, skus: Sequence[str], *, quantity: int = 1) -> tuple[Order, ReserveStock]:
    """An order of these skus, and the step that it needs."""
    order = await place(sessions, any_order(skus, quantity=quantity))
    (step,) = next_steps(order).values()
    assert isinstance(step, ReserveStock)
    return order, step


async def undo(sessions: Sessions, order: Order, step: ReserveStock) -> None:
    """The order gives up: a transaction of its own leaves the tombstone."""
    async with sessions.begin() as session:
        undone = [UndoStep(cause_id="due/1", step_key=step.key)]
        await projection.undo_steps(session, order.order_id, undone, at=datetime.now(UTC))


async def test_a_reservation_repeated_is_the_same_reservation(sessions: Sessions):
    sku = fresh_sku()
    await stock_up(sessions, {("LEEDS", sku): 5})
    _, step = await placed(sessions, [sku], quantity=3)

    first = await reserve(sessions, step)

    assert isinstance(first, StockReserved)
    assert await reserve(sessions, step) == first
    assert (await level(sessions, "LEEDS", sku)).reserved == 3


async def test_a_shortfall_is_a_result_and_is_the_same_when_repeated_after_goods_came(sessions: Sessions):
    sku = fresh_sku()
    await stock_up(sessions, {("LEEDS", sku): 2})
    _, step = await placed(sessions, [sku], quantity=3)

    first = await reserve(sessions, step)
    await stock_up(sessions, {("LEEDS", sku): 9})

    assert isinstance(first, StockShort)
    assert first.missing == ((sku, 1),)
    assert await reserve(sessions, step) == first
    assert (await level(sessions, "LEEDS", sku)).reserved == 0


async def test_safety_stock_is_kept(sessions: Sessions):
    sku = fresh_sku()
    await stock_up(sessions, {("LEEDS", sku): 5})
    async with sessions.begin() as session:
        await session.execute(text("UPDATE products SET safety_stock = 3 WHERE sku = :sku"), {"sku": sku})
    _, step = await placed(sessions, [sku], quantity=3)

    assert isinstance(await reserve(sessions, step), StockShort)


async def test_two_locations_serve_what_one_cannot_and_the_choice_is_explained(sessions: Sessions):
    sku = fresh_sku()
    await stock_up(sessions, {("LEEDS", sku): 2, ("YORK", sku): 3})
    _, step = await placed(sessions, [sku], quantity=4)

    found = await reserve(sessions, step)

    assert isinstance(found, StockReserved)
    assert [fulfillment.location_id for fulfillment in found.fulfillments] == ["LEEDS", "YORK"]
    assert found.decision.chosen == "LEEDS+YORK"


async def test_fifty_buyers_of_twenty_units_get_exactly_twenty(sessions: Sessions):
    sku = fresh_sku()
    await stock_up(sessions, {("LEEDS", sku): 12, ("YORK", sku): 8})
    steps = [(await placed(sessions, [sku]))[1] for _ in range(50)]

    found = await asyncio.gather(*(reserve(sessions, step) for step in steps))

    assert sum(isinstance(one, StockReserved) for one in found) == 20
    assert (await level(sessions, "LEEDS", sku)).available == 0
    assert (await level(sessions, "YORK", sku)).available == 0


async def test_carts_with_the_same_skus_in_opposite_order_never_deadlock(sessions: Sessions):
    skus = [fresh_sku(letter) for letter in "ABC"]
    await stock_up(sessions, {(place, sku): 40 for place in ("LEEDS", "DERBY") for sku in skus})
    steps = [(await placed(sessions, skus if n % 2 else skus[::-1], quantity=2))[1] for n in range(20)]

    found = await asyncio.gather(*(reserve(sessions, step) for step in steps))

    assert all(isinstance(one, StockReserved) for one in found)
    held = [(await level(sessions, place, sku)).reserved for place in ("LEEDS", "DERBY") for sku in skus]
    assert sum(held) == 20 * 3 * 2


async def test_one_step_run_by_two_at_once_reserves_once(sessions: Sessions):
    sku = fresh_sku()
    await stock_up(sessions, {("LEEDS", sku): 5})
    _, step = await placed(sessions, [sku], quantity=2)

    first, second = await asyncio.gather(reserve(sessions, step), reserve(sessions, step))

    assert first == second
    assert (await level(sessions, "LEEDS", sku)).reserved == 2


async def test_a_reserve_that_comes_after_the_order_gave_up_holds_nothing(sessions: Sessions):
    sku = fresh_sku()
    await stock_up(sessions, {("LEEDS", sku): 5})
    order, step = await placed(sessions, [sku])

    await undo(sessions, order, step)
    found = await reserve(sessions, step)

    assert isinstance(found, StockShort)
    assert (await level(sessions, "LEEDS", sku)).reserved == 0


async def test_giving_up_after_a_reserve_gives_everything_back_once(sessions: Sessions):
    sku = fresh_sku()
    await stock_up(sessions, {("LEEDS", sku): 5})
    order, step = await placed(sessions, [sku], quantity=2)
    await reserve(sessions, step)

    await undo(sessions, order, step)
    await undo(sessions, order, step)

    assert (await level(sessions, "LEEDS", sku)).reserved == 0
    assert await _reservations(sessions, order) == []


async def _reservations(sessions: Sessions, order: Order) -> list[dict[str, int]]:
    return await rows(sessions, "SELECT quantity FROM reservations WHERE order_id = :id", id=order.order_id)


async def test_a_reserve_that_hangs_and_commits_while_the_order_gives_up_holds_nothing(sessions: Sessions):
    """The undo waits behind the reserve's claim, and gives back what it then finds."""
    sku = fresh_sku()
    await stock_up(sessions, {("LEEDS", sku): 5})
    order, step = await placed(sessions, [sku], quantity=2)

    async with sessions() as holder:
        await holder.execute(text("SELECT 1 FROM stock WHERE sku = :sku FOR UPDATE"), {"sku": sku})
        hanging = asyncio.create_task(reserve(sessions, step))
        await until_one_waits(sessions, hanging)
        undoing = asyncio.create_task(undo(sessions, order, step))
        await holder.rollback()
    found = await hanging
    await undoing

    assert isinstance(found, StockReserved)
    assert (await level(sessions, "LEEDS", sku)).reserved == 0
    assert isinstance(await reserve(sessions, step), StockShort), "a retry would promise what was given back"


async def test_a_reserve_that_waits_behind_an_undo_holds_nothing(sessions: Sessions):
    sku = fresh_sku()
    await stock_up(sessions, {("LEEDS", sku): 5})
    order, step = await placed(sessions, [sku], quantity=2)

    async with sessions.begin() as session:
        undone = [UndoStep(cause_id="due/1", step_key=step.key)]
        await projection.undo_steps(session, order.order_id, undone, at=datetime.now(UTC))
        waiting = asyncio.create_task(reserve(sessions, step))
        await until_one_waits(sessions, waiting)

    assert isinstance(await waiting, StockShort)
    assert (await level(sessions, "LEEDS", sku)).reserved == 0
