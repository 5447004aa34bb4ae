"""What an order survives: writes that fail, steps that break, facts that come after its end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from sqlalchemy import text

from contracts import names
from db import inbox
from db.inbox import Incoming
from domain.orders import order_state
from domain.steps import next_steps
from domain.vocabulary import OrderState
from domain.waits import waits
from providers.errors import ProviderRejected
from providers.payment import Captured, CaptureRefused
from tests.fixtures.waiting import until
from tests.workflows.outside import MemoryPayments
from tests.workflows.shop import Shop, relaying


@asynccontextmanager
async def without(shop: Shop, table: str) -> AsyncIterator[None]:
    """The table is gone while the block lasts: whatever needs it fails at once."""
    await _execute(shop, f"ALTER TABLE {table} RENAME TO {table}_gone")
    try:
        yield
    finally:
        await _execute(shop, f"ALTER TABLE {table}_gone RENAME TO {table}")


async def _execute(shop: Shop, statement: str) -> None:
    async with shop.sessions.begin() as session:
        await session.execute(text(statement))


async def scheduled(shop: Shop) -> list[str]:
    """The regular activities that were ever wanted."""
    history = await shop.handle.fetch_history()
    wanted = [event.activity_task_scheduled_event_attributes.activity_type.name for event in history.events]
    return [name for name in wanted if name]


async def test_a_write_that_fails_twice_locally_becomes_a_regular_activity_and_loses_nothing(shop: Shop):
    async with shop.worker():
        await shop.place()
        await shop.until(lambda order: order.fulfillments and order.fulfillments[0].released_at, "released")

        async def gave_up_the_local_way() -> bool:
            return "write_move" in await scheduled(shop)

        async with without(shop, "order_events"):
            await shop.warehouse("accepted")
            await until(gave_up_the_local_way, "a regular write")
        await shop.until(lambda order: order.fulfillments[0].accepted_at, "accepted")
        await shop.warehouse("refused", reason="other")
        end = await shop.handle.result()

    assert end == "cancelled"
    assert (await scheduled(shop)).count("write_move") == 1
    assert (await shop.kinds()).count("fulfillment.accepted") == 1


async def test_a_reservation_that_fails_twice_locally_is_made_by_a_regular_activity(shop: Shop):
    async with without(shop, "step_marks"), shop.worker():
        await shop.place()

        async def gave_up_the_local_way() -> bool:
            return "reserve_stock" in await scheduled(shop)

        await until(gave_up_the_local_way, "a regular reservation")
    async with shop.worker():
        order = await shop.until(lambda order: order.fulfillments and order.fulfillments[0].released_at, "released")

    assert order_state(order) is OrderState.FULFILLING


class ContradictingPayments(MemoryPayments):
    """Calls void what it said was held: nobody planned for that."""

    async def capture(self, *, key: str, reference: str, amount_minor: int) -> Captured | CaptureRefused:
        """Never heard of it."""
        raise ProviderRejected("no_such_payment", reference)


async def test_a_step_that_breaks_is_a_case_and_the_order_still_hears_of_the_world(shop: Shop):
    shop.payments = ContradictingPayments()
    async with shop.worker():
        await shop.place()
        await shop.pack_all()
        await shop.warehouse("handed_over", parcel_refs=["A"])
        broken = await shop.until(lambda order: order.attention, "a case")
        await shop.carrier_says("delivered")
        order = await shop.until(lambda order: order.parcels[0].delivered_at, "delivered")

    assert [case.code for case in broken.attention] == ["unexpected_error"]
    assert next_steps(order) == {}
    assert waits(order)
    await shop.handle.terminate("the test is over")


async def test_a_fact_that_comes_after_the_end_is_kept_and_a_contradiction_is_a_case(shop: Shop):
    shop.payments.answers = ["card_declined"]
    async with shop.worker():
        await shop.place()
        await shop.handle.result()
    order = await shop.order()
    fulfillment_id = order.fulfillments[0].fulfillment_id

    async with relaying(shop):
        await _tell(shop, fulfillment_id)

        async def recorded() -> bool:
            return "fulfillment.handed_over" in await shop.kinds()

        await until(recorded, "the late fact in the timeline")

    row = await shop.columns()
    assert row["state"] == "rejected"
    assert row["attention"] == ["contradicting_fact"]
    assert await shop.order() == order


async def _tell(shop: Shop, fulfillment_id: str) -> None:
    """A warehouse hands over what was never released, told as its route tells it."""
    at = datetime.now(UTC)
    fact = {
        "id": f"{shop.task_queue}/1",
        "kind": "handed_over",
        "fulfillment_id": fulfillment_id,
        "occurred_at": at.isoformat(),
    }
    incoming = Incoming(
        source=shop.task_queue,
        event_id="1",
        signal=names.WAREHOUSE_FACT,
        fact=fact,
        received_at=at,
        order_id=shop.order_id,
    )
    async with shop.sessions.begin() as session:
        assert await inbox.keep(session, incoming)
