"""Effects in the outside world: written ahead once, settled once, and never begun after a tombstone."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from db import operations
from db.models import Operation
from db.session import Sessions
from domain.vocabulary import OperationKind, OperationState
from tests.db.placing import fresh_sku
from tests.db.racing import until_one_waits

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
LEASE = timedelta(seconds=25)


async def begin(
    sessions: Sessions, key: str, request: Mapping[str, Any] | None = None, *, now: datetime = NOW
) -> Operation:
    """Begin in a transaction of its own."""
    async with sessions.begin() as session:
        return await operations.begin(
            session,
            key=key,
            order_id="ord_1",
            kind=OperationKind.AUTHORIZATION,
            subject="ful_1:1:1",
            request=request or {"amount_minor": 5},
            now=now,
            lease=LEASE,
        )


async def bury(sessions: Sessions, key: str) -> Operation:
    """Leave a tombstone in a transaction of its own."""
    async with sessions.begin() as session:
        return await operations.bury(
            session, key=key, order_id="ord_1", kind=OperationKind.AUTHORIZATION, subject="ful_1:1:1", now=NOW
        )


async def settle(sessions: Sessions, key: str, result: Mapping[str, Any], reference: str = "pi_1") -> None:
    """Settle in a transaction of its own."""
    async with sessions.begin() as session:
        await operations.settle(session, key, state=OperationState.DONE, result=result, reference=reference, now=NOW)


async def found(sessions: Sessions, key: str) -> Operation:
    """The operation as it stands."""
    async with sessions() as session:
        operation = await operations.find(session, key)
    assert operation is not None
    return operation


async def test_whoever_begins_again_gets_the_first_body(sessions: Sessions):
    key = fresh_sku("op")
    await begin(sessions, key, {"amount_minor": 5})

    again = await begin(sessions, key, {"amount_minor": 7}, now=NOW + timedelta(hours=1))

    assert again.request == {"amount_minor": 5}
    assert again.started_at == NOW
    assert again.leased_until == NOW + timedelta(hours=1) + LEASE


async def test_what_is_settled_stays_as_it_is(sessions: Sessions):
    key = fresh_sku("op")
    await begin(sessions, key)
    await settle(sessions, key, {"n": 1}, "pi_1")

    await settle(sessions, key, {"n": 2}, "pi_2")
    again = await begin(sessions, key, {"amount_minor": 7})

    assert (again.state, again.result, again.reference) == ("done", {"n": 1}, "pi_1")
    assert again.leased_until is None


async def test_settling_what_never_began_does_nothing(sessions: Sessions):
    key = fresh_sku("op")

    await settle(sessions, key, {"n": 1})

    async with sessions() as session:
        assert await operations.find(session, key) is None


async def test_a_tombstone_before_the_beginning_keeps_it_from_ever_beginning(sessions: Sessions):
    key = fresh_sku("op")

    buried = await bury(sessions, key)
    late = await begin(sessions, key)

    assert buried.state == OperationState.FAILED
    assert late.state == OperationState.FAILED
    assert late.result == {"given_up": True}


async def test_a_tombstone_while_it_is_sending_ends_the_renewal_of_its_lease(sessions: Sessions):
    key = fresh_sku("op")
    await begin(sessions, key)

    buried = await bury(sessions, key)
    again = await begin(sessions, key, now=NOW + timedelta(hours=1))

    assert buried.state == OperationState.SENDING
    assert buried.tombstoned_at == NOW
    assert again.leased_until == NOW + LEASE


async def test_a_tombstone_after_it_was_done_changes_no_result(sessions: Sessions):
    key = fresh_sku("op")
    await begin(sessions, key)
    await settle(sessions, key, {"n": 1})

    buried = await bury(sessions, key)

    assert (buried.state, buried.result) == ("done", {"n": 1})
    assert (await bury(sessions, key)).tombstoned_at == NOW


async def test_an_answer_that_comes_after_the_tombstone_is_still_kept(sessions: Sessions):
    key = fresh_sku("op")
    await begin(sessions, key)
    await bury(sessions, key)

    await settle(sessions, key, {"n": 1})

    operation = await found(sessions, key)
    assert (operation.state, operation.reference) == ("done", "pi_1")


async def test_one_of_two_that_begin_at_once_waits_and_finds_the_other(sessions: Sessions):
    key = fresh_sku("op")
    async with sessions.begin() as session:
        await operations.begin(
            session,
            key=key,
            order_id="ord_1",
            kind=OperationKind.CAPTURE,
            subject="a",
            request={"first": True},
            now=NOW,
            lease=LEASE,
        )
        second = asyncio.create_task(begin(sessions, key, {"first": False}))
        await until_one_waits(sessions, second)

    assert (await second).request == {"first": True}


async def test_a_beginning_that_waits_behind_a_tombstone_finds_it(sessions: Sessions):
    key = fresh_sku("op")
    async with sessions.begin() as session:
        await operations.bury(
            session, key=key, order_id="ord_1", kind=OperationKind.AUTHORIZATION, subject="a", now=NOW
        )
        beginning = asyncio.create_task(begin(sessions, key))
        await until_one_waits(sessions, beginning)

    assert (await beginning).state == OperationState.FAILED
