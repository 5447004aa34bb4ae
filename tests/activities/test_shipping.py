"""Labels: the choice is kept before the purchase, one is bought whatever is lost, and none is left for a cancelled parcel."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.shipping import ShippingActivities
from db.session import Sessions
from domain.messages import LabelBooked, LabelRefused, LabelVoided
from domain.steps import BookLabel, VoidLabel
from domain.vocabulary import ServiceLevel
from tests.activities.providers import FakeCarrier
from tests.db.placing import CANARIES, any_order, fresh_sku, place, rows, stock_up


class Desk:
    """One parcel at the dispatch desk, and two carriers: the cheap one slow, the dear one fast."""

    def __init__(self, sessions: Sessions, order_id: str, sku: str) -> None:
        self.sessions = sessions
        self.swift = FakeCarrier("swift", price_minor=900, days=1)
        self.parcelway = FakeCarrier("parcelway", price_minor=400, days=3)
        self.activities = ShippingActivities(sessions, {"swift": self.swift, "parcelway": self.parcelway})
        self.parcel_id = f"par_{order_id.removeprefix('ord_')}_1"
        self.book_step = BookLabel(
            key=f"{order_id}:label:{self.parcel_id}:1",
            order_id=order_id,
            parcel_id=self.parcel_id,
            location_id="LEEDS",
            contact_revision=1,
            skus=((sku, 2),),
            weight_g=None,
            length_mm=None,
            width_mm=None,
            height_mm=None,
            service_level=ServiceLevel.STANDARD,
            deliver_by=datetime.now(UTC) + timedelta(days=7),
            collect_minor=0,
            currency="GBP",
        )
        self.void_step = VoidLabel(
            key=f"{order_id}:void_label:{self.parcel_id}:1",
            order_id=order_id,
            parcel_id=self.parcel_id,
            label_key=self.book_step.key,
        )

    async def run(self, activity: Callable[..., Any], step: object) -> Any:
        """Run one activity as a worker would."""
        return await ActivityEnvironment().run(activity, step)

    async def book(self) -> Any:
        """Buy the label."""
        return await self.run(self.activities.book_label, self.book_step)

    async def void(self) -> Any:
        """Give it back."""
        return await self.run(self.activities.void_label, self.void_step)

    async def operations(self) -> dict[str, dict[str, Any]]:
        """The operations of the order, by kind."""
        found = await rows(
            self.sessions,
            "SELECT kind, state, request FROM operations WHERE order_id = :id",
            id=self.book_step.order_id,
        )
        return {row["kind"]: row for row in found}

    async def let_the_lease_run_out(self) -> None:
        """Time passes."""
        async with self.sessions.begin() as session:
            await session.execute(
                text("UPDATE operations SET leased_until = leased_until - interval '30 s' WHERE order_id = :id"),
                {"id": self.book_step.order_id},
            )


@pytest.fixture
async def desk(sessions: Sessions) -> Desk:
    """A parcel of two units of something."""
    sku = fresh_sku()
    await stock_up(sessions, {("LEEDS", sku): 5})
    order = await place(sessions, any_order([sku], quantity=2))
    return Desk(sessions, order.order_id, sku)


async def retried(work: Any) -> str | None:
    """The type of the failure that *work* ends in, which the engine tries again."""
    with pytest.raises(ApplicationError) as failure:
        await work
    assert not failure.value.non_retryable
    return failure.value.type


async def test_the_cheapest_that_keeps_the_promise_is_bought_once(desk: Desk):
    first = await desk.book()

    assert isinstance(first, LabelBooked)
    assert (first.carrier, first.price_minor) == ("parcelway", 400)
    assert await desk.book() == first
    assert desk.parcelway.bought == [desk.book_step.key]
    assert desk.swift.bought == []


async def test_the_label_is_stored_and_the_weight_is_the_goods(desk: Desk):
    await desk.book()

    (document,) = await rows(
        desk.sessions, "SELECT body FROM documents WHERE document_key = :key", key=f"label/{desk.parcel_id}"
    )
    assert document["body"].startswith(b"%PDF")
    (shipment,) = desk.parcelway.shipments
    assert shipment.weight_g == 300
    assert shipment.destination.lines == (CANARIES["street"],)
    assert CANARIES["street"] not in repr(shipment)


async def test_the_choice_is_kept_before_anything_is_bought(desk: Desk):
    desk.parcelway.faults.hang("buy_label")
    buying = asyncio.create_task(desk.book())
    await asyncio.wait_for(desk.parcelway.faults.arrived["buy_label"].wait(), 10)

    kept = (await desk.operations())["label"]
    desk.parcelway.faults.let_go("buy_label")
    await buying

    assert kept["state"] == "sending"
    assert kept["request"]["decision"]["chosen"] == "parcelway/standard"


async def test_a_purchase_whose_answer_was_lost_is_repeated_word_for_word(desk: Desk):
    desk.parcelway.faults.after["buy_label"] = 1
    assert await retried(desk.book()) == "provider_unavailable"
    desk.swift.serves = False

    booked = await desk.book()

    assert isinstance(booked, LabelBooked)
    first, second = desk.parcelway.shipments
    assert first == second
    assert desk.parcelway.bought == [desk.book_step.key]


async def test_a_choice_once_made_is_not_made_again_when_prices_change(desk: Desk):
    desk.parcelway.faults.before["buy_label"] = 1
    await retried(desk.book())
    desk.parcelway.serves = False

    booked = await desk.book()

    assert isinstance(booked, LabelBooked)
    assert booked.carrier == "parcelway"


async def test_nobody_taking_the_parcel_is_a_result_with_its_reason(desk: Desk):
    desk.swift.serves = desk.parcelway.serves = False

    refused = await desk.book()

    assert isinstance(refused, LabelRefused)
    assert refused.code == "no_carrier"
    assert await desk.operations() == {}


async def test_a_carrier_that_refuses_after_all_is_a_result_and_stays_so(desk: Desk):
    desk.parcelway.refuses = "address_not_served"

    refused = await desk.book()

    assert isinstance(refused, LabelRefused)
    assert refused.code == "address_not_served"
    assert await desk.book() == refused


async def test_carriers_being_away_is_tried_again(desk: Desk):
    desk.swift.faults.before["rates"] = 1

    assert await retried(desk.book()) == "provider_unavailable"
    assert isinstance(await desk.book(), LabelBooked)


async def test_a_label_is_given_back_once(desk: Desk):
    booked = await desk.book()
    assert isinstance(booked, LabelBooked)

    assert isinstance(await desk.void(), LabelVoided)
    assert isinstance(await desk.void(), LabelVoided)

    assert desk.parcelway.voided == [f"lbl_{desk.parcel_id}"]
    assert {kind: row["state"] for kind, row in (await desk.operations()).items()} == {
        "label": "done",
        "label_void": "done",
    }


async def test_a_parcel_cancelled_while_its_label_is_bought_gets_it_voided(desk: Desk):
    desk.parcelway.faults.hang("buy_label")
    buying = asyncio.create_task(desk.book())
    await asyncio.wait_for(desk.parcelway.faults.arrived["buy_label"].wait(), 10)

    assert await retried(desk.void()) == "still_sending"
    desk.parcelway.faults.let_go("buy_label")
    await buying
    await desk.void()

    assert desk.parcelway.voided == [f"lbl_{desk.parcel_id}"]


async def test_a_label_whose_answer_was_lost_is_found_and_voided(desk: Desk):
    desk.parcelway.faults.after["buy_label"] = 1
    await retried(desk.book())
    assert await retried(desk.void()) == "still_sending"
    await desk.let_the_lease_run_out()

    await desk.void()

    assert desk.parcelway.voided == [f"lbl_{desk.parcel_id}"]
    assert {row["state"] for row in (await desk.operations()).values()} == {"done"}


async def test_a_label_that_was_never_bought_needs_no_voiding(desk: Desk):
    desk.parcelway.faults.before["buy_label"] = 1
    await retried(desk.book())
    await retried(desk.void())
    await desk.let_the_lease_run_out()

    await desk.void()

    assert desk.parcelway.voided == []
    assert {kind: row["state"] for kind, row in (await desk.operations()).items()} == {"label": "failed"}


async def test_a_label_that_was_given_up_before_it_was_asked_for_is_never_bought(desk: Desk):
    await desk.void()

    refused = await desk.book()

    assert isinstance(refused, LabelRefused)
    assert desk.parcelway.bought == []


async def test_nothing_stays_sending_when_the_answer_to_a_void_was_lost(desk: Desk):
    await desk.book()
    desk.parcelway.faults.after["void_label"] = 1
    assert await retried(desk.void()) == "provider_unavailable"

    await desk.void()

    assert desk.parcelway.voided == [f"lbl_{desk.parcel_id}"]
    assert {row["state"] for row in (await desk.operations()).values()} == {"done"}
