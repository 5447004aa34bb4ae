"""Money: asked for once in effect whatever is lost on the way, and given back whatever became of asking for it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.payments import PaymentActivities
from db import payments
from db.session import Sessions
from domain.messages import (
    CaptureRefused,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentVoided,
)
from domain.steps import AuthorizePayment, CapturePayment, VoidAuthorization, authorize_key
from tests.activities.providers import DECLINED, NEEDS_ACTION, NO_CAPTURE, FakePayments
from tests.db.placing import CANARIES, any_order, fresh_sku, place, rows


class Till:
    """One order's payment against a provider of its own."""

    def __init__(self, sessions: Sessions, order_id: str, payment_id: str) -> None:
        self.sessions = sessions
        self.provider = FakePayments()
        self.activities = PaymentActivities(sessions, self.provider)
        tail = order_id.removeprefix("ord_")
        self.authorize_step = self._authorize(order_id, payment_id, f"ful_{tail}_1:1:1")
        self.capture_step = CapturePayment(
            key=f"{order_id}:capture:1",
            order_id=order_id,
            authorization_id=self.authorize_step.authorization_id,
            reference=f"pi_{self.authorize_step.authorization_id}",
            amount_minor=80,
            currency="GBP",
        )
        self.void_step = VoidAuthorization(
            key=f"{order_id}:void:1",
            order_id=order_id,
            authorization_id=self.authorize_step.authorization_id,
            authorize_key=self.authorize_step.key,
            amount_minor=100,
            currency="GBP",
        )

    def _authorize(self, order_id: str, payment_id: str, authorization_id: str) -> AuthorizePayment:
        return AuthorizePayment(
            key=authorize_key(order_id, authorization_id),
            order_id=order_id,
            payment_id=payment_id,
            authorization_id=authorization_id,
            amount_minor=100,
            currency="GBP",
        )

    async def run(self, activity: Callable[..., Any], step: object) -> Any:
        """Run one activity as a worker would."""
        return await ActivityEnvironment().run(activity, step)

    async def authorize(self) -> Any:
        """Hold the money."""
        return await self.run(self.activities.authorize_payment, self.authorize_step)

    async def capture(self) -> Any:
        """Take it."""
        return await self.run(self.activities.capture_payment, self.capture_step)

    async def void(self) -> Any:
        """Give the hold back."""
        return await self.run(self.activities.void_authorization, self.void_step)

    async def states(self) -> dict[str, str]:
        """The operations of the order: kind -> state."""
        found = await rows(
            self.sessions,
            "SELECT kind, state FROM operations WHERE order_id = :id",
            id=self.authorize_step.order_id,
        )
        return {row["kind"]: row["state"] for row in found}

    async def pass_time(self, **columns: timedelta) -> None:
        """Move times of the order's operations into the past."""
        for column, ago in columns.items():
            async with self.sessions.begin() as session:
                await session.execute(
                    text(f"UPDATE operations SET {column} = {column} - CAST(:ago AS interval) WHERE order_id = :id"),
                    {"ago": ago, "id": self.authorize_step.order_id},
                )


async def till(sessions: Sessions, token: str | None = CANARIES["token"]) -> Till:
    """A placed order with one payment."""
    order = await place(sessions, any_order([fresh_sku()]), token=token)
    return Till(sessions, order.order_id, order.payments[0].payment_id)


async def unavailable(work: Any) -> ApplicationError:
    """The failure that *work* ends in, which the engine tries again."""
    with pytest.raises(ApplicationError) as failure:
        await work
    assert not failure.value.non_retryable
    return failure.value


async def test_money_is_held_once_however_often_it_is_asked_for(sessions: Sessions):
    one = await till(sessions)

    first = await one.authorize()

    assert isinstance(first, PaymentAuthorized)
    assert await one.authorize() == first
    assert len(one.provider.sent) == 1
    assert await one.states() == {"authorization": "done"}


async def test_an_answer_that_was_lost_is_asked_for_again_with_the_same_body(sessions: Sessions):
    """Between the answer and our own commit the worker may die as well: both find the row still sending."""
    one = await till(sessions)
    one.provider.faults.after["authorize"] = 1
    failure = await unavailable(one.authorize())
    assert failure.type == "provider_unavailable"
    async with sessions.begin() as session:
        await payments.keep_saved_method(session, one.authorize_step.payment_id, "pm_of_a_later_world")

    again = await one.authorize()

    assert isinstance(again, PaymentAuthorized)
    assert one.provider.sent[0] == one.provider.sent[1]
    assert one.provider.kinds() == ["authorization"]


async def test_an_outage_before_the_work_holds_nothing_and_is_tried_again(sessions: Sessions):
    one = await till(sessions)
    one.provider.faults.before.update(create_customer=1, authorize=1)

    await unavailable(one.authorize())
    await unavailable(one.authorize())

    assert isinstance(await one.authorize(), PaymentAuthorized)
    assert one.provider.kinds() == ["authorization"]


@pytest.mark.parametrize(("token", "kind"), [(DECLINED, PaymentDeclined), (NEEDS_ACTION, PaymentActionRequired)])
async def test_a_decline_and_an_action_are_results_and_stay_so(sessions: Sessions, token: str, kind: type):
    one = await till(sessions, token)

    first = await one.authorize()

    assert isinstance(first, kind)
    assert await one.authorize() == first
    assert len(one.provider.sent) == 1


async def test_a_second_hold_uses_the_method_that_the_first_saved(sessions: Sessions):
    one = await till(sessions)
    first = await one.authorize()
    second = one._authorize(one.authorize_step.order_id, one.authorize_step.payment_id, "ful_2:1:1")

    await one.run(one.activities.authorize_payment, replace(second, saved_by=first.reference))

    asked = one.provider.sent[-1]
    assert (asked.token, asked.saved_method_id, asked.save_method) == (None, "pm_saved", False)
    assert asked.customer_id == one.provider.sent[0].customer_id


async def test_once_the_provider_forgets_keys_it_is_asked_what_it_knows_and_nothing_is_sent(sessions: Sessions):
    one = await till(sessions)
    one.provider.faults.after["authorize"] = 1
    await unavailable(one.authorize())
    await one.pass_time(started_at=timedelta(hours=21))

    found = await one.authorize()

    assert isinstance(found, PaymentAuthorized)
    assert len(one.provider.sent) == 1


async def test_what_was_asked_long_ago_and_is_not_found_is_left_to_people(sessions: Sessions):
    one = await till(sessions)
    one.provider.faults.before["authorize"] = 1
    await unavailable(one.authorize())
    await one.pass_time(started_at=timedelta(hours=21))

    with pytest.raises(ApplicationError) as failure:
        await one.authorize()

    assert failure.value.non_retryable
    assert failure.value.type == "outcome_unknown"
    assert one.provider.sent == []


async def test_money_is_taken_once_when_the_answer_is_lost(sessions: Sessions):
    one = await till(sessions)
    await one.authorize()
    one.provider.faults.after["capture"] = 1
    await unavailable(one.capture())

    assert await one.capture() == PaymentCaptured(
        step_key=one.capture_step.key, authorization_id=one.capture_step.authorization_id, amount_minor=80
    )
    assert await one.capture() == await one.capture()
    assert one.provider.kinds() == ["authorization", "capture"]
    assert await one.states() == {"authorization": "done", "capture": "done"}


async def test_a_capture_whose_key_is_forgotten_looks_before_it_takes(sessions: Sessions):
    one = await till(sessions)
    await one.authorize()
    one.provider.faults.after["capture"] = 1
    await unavailable(one.capture())
    await one.pass_time(started_at=timedelta(hours=21))
    one.provider.faults.before["capture"] = 99

    assert isinstance(await one.capture(), PaymentCaptured)


async def test_a_capture_that_is_refused_is_a_result(sessions: Sessions):
    one = await till(sessions, NO_CAPTURE)
    await one.authorize()

    refused = await one.capture()

    assert isinstance(refused, CaptureRefused)
    assert await one.capture() == refused
    assert await one.states() == {"authorization": "done", "capture": "failed"}


async def test_a_hold_is_given_back_once(sessions: Sessions):
    one = await till(sessions)
    await one.authorize()
    one.provider.faults.after["void"] = 1
    await unavailable(one.void())

    assert isinstance(await one.void(), PaymentVoided)
    assert isinstance(await one.void(), PaymentVoided)
    assert one.provider.kinds() == ["authorization", "void"]
    assert await one.states() == {"authorization": "done", "void": "done"}


async def test_what_was_never_asked_for_needs_no_call_and_is_never_asked_for_after(sessions: Sessions):
    one = await till(sessions)

    assert isinstance(await one.void(), PaymentVoided)
    late = await one.authorize()

    assert isinstance(late, PaymentDeclined)
    assert late.code == "given_up"
    assert one.provider.effects == []


async def test_a_decline_leaves_nothing_to_give_back(sessions: Sessions):
    one = await till(sessions, DECLINED)
    await one.authorize()

    assert isinstance(await one.void(), PaymentVoided)
    assert one.provider.effects == []


async def test_a_link_that_was_not_used_is_given_back(sessions: Sessions):
    one = await till(sessions, NEEDS_ACTION)
    await one.authorize()

    await one.void()

    assert one.provider.kinds() == ["void"]


async def test_a_void_waits_until_the_call_on_the_wire_must_have_ended(sessions: Sessions):
    """A void that asked at once found nothing and left the money held."""
    one = await till(sessions)
    one.provider.faults.hang("authorize")
    asking = asyncio.create_task(one.authorize())
    await asyncio.wait_for(one.provider.faults.arrived["authorize"].wait(), 10)

    failure = await unavailable(one.void())
    assert failure.type == "still_sending"
    assert failure.next_retry_delay is not None
    assert timedelta(seconds=20) < failure.next_retry_delay < timedelta(seconds=26)

    one.provider.faults.let_go("authorize")
    assert isinstance(await asking, PaymentAuthorized)
    await one.void()
    assert one.provider.kinds() == ["authorization", "void"]
    assert await one.states() == {"authorization": "done", "void": "done"}


async def test_a_hold_whose_answer_was_lost_is_found_by_listing_and_given_back(sessions: Sessions):
    one = await till(sessions)
    one.provider.faults.after["authorize"] = 1
    await unavailable(one.authorize())
    assert (await unavailable(one.void())).type == "still_sending"
    await one.pass_time(leased_until=timedelta(seconds=30))

    await one.void()

    assert one.provider.kinds() == ["authorization", "void"]
    assert await one.states() == {"authorization": "done", "void": "done"}


async def test_a_call_that_never_arrived_is_closed_without_a_void(sessions: Sessions):
    one = await till(sessions)
    one.provider.faults.before["authorize"] = 1
    await unavailable(one.authorize())
    await unavailable(one.void())
    await one.pass_time(leased_until=timedelta(seconds=30))

    await one.void()

    assert one.provider.effects == []
    assert await one.states() == {"authorization": "failed"}


async def test_a_retry_after_the_tombstone_sends_nothing(sessions: Sessions):
    one = await till(sessions)
    one.provider.faults.before["authorize"] = 1
    await unavailable(one.authorize())
    await unavailable(one.void())

    assert isinstance(await one.authorize(), PaymentDeclined)
    assert one.provider.sent == []


async def test_an_attempt_that_was_still_making_its_customer_when_it_was_given_up_sends_nothing(sessions: Sessions):
    one = await till(sessions)
    one.provider.faults.hang("create_customer")
    asking = asyncio.create_task(one.authorize())
    await asyncio.wait_for(one.provider.faults.arrived["create_customer"].wait(), 10)

    await one.void()
    one.provider.faults.let_go("create_customer")

    assert isinstance(await asking, PaymentDeclined)
    assert one.provider.sent == []


async def test_a_refusal_nobody_planned_is_not_tried_again(sessions: Sessions):
    one = await till(sessions)
    await one.authorize()
    await one.capture()

    with pytest.raises(ApplicationError) as failure:
        await one.void()

    assert failure.value.non_retryable
    assert failure.value.type == "provider_rejected"


async def test_no_token_stands_in_what_is_kept_of_a_call(sessions: Sessions):
    one = await till(sessions)
    await one.authorize()

    (kept,) = await rows(
        sessions,
        "SELECT request::text || result::text AS all FROM operations WHERE order_id = :id",
        id=one.authorize_step.order_id,
    )
    assert CANARIES["token"] not in kept["all"]
    assert one.provider.sent[0].token == CANARIES["token"]
    assert CANARIES["token"] not in repr(one.provider.sent[0])
