"""Webhooks that are not taken: again by the schedule, overtaken, given up; endpoints that are slow, broken or gone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text
from starlette.responses import RedirectResponse, Response, StreamingResponse

from db import webhooks as stored
from devstack.ports import HOST, free_base
from domain.webhooks import MOST_FAILURES, PAUSES, WAITED_FOR
from providers.outward import LARGEST_ANSWER
from tests.api.conftest import Api
from tests.api.telling import Told, begin_quietly, telling
from tests.fixtures.events import add_events
from tests.fixtures.waiting import until
from workers.webhooks import SHARE


@pytest.fixture(scope="module")
async def running(api: Api, database_url: str) -> AsyncIterator[Told]:
    async with telling(api, database_url) as found:
        yield found


@pytest.fixture
async def told(running: Told) -> Told:
    await begin_quietly(running)
    return running


async def test_ten_attempts_by_the_schedule_then_it_is_given_up(told: Told) -> None:
    endpoint = await told.endpoint("order.*")
    told.receiver.answer = lambda _: 500
    await told.order()
    await told.publish()

    for attempt in range(1, len(PAUSES) + 2):
        last = attempt == len(PAUSES) + 1
        [logged] = await told.until_log(endpoint, ("given_up" if last else "waiting", attempt))
        pause = await told.api.value(
            "SELECT due_at - last_attempt_at FROM webhook_deliveries WHERE delivery_id = :id", id=logged["delivery_id"]
        )
        assert pause == (None if last else PAUSES[attempt - 1])
        await told.pass_time(endpoint)

    assert len(told.receiver.at(endpoint["path"])) == len(PAUSES) + 1
    assert (logged["last_status"], logged["next_attempt_at"]) == (500, None)
    assert logged["given_up_at"] is not None


async def test_later_events_of_an_order_wait_through_five_attempts_then_overtake(told: Told) -> None:
    endpoint = await told.endpoint("*")
    told.receiver.answer = lambda one: 500 if one.sequence == 1 and len(told.receiver.at(one.path)) < 9 else 204
    order_id = await told.order()
    await add_events(told.api.sessions, order_id, 2)
    await told.publish()

    for attempt in range(1, WAITED_FOR + 1):
        found = await told.receiver.until(attempt, endpoint["path"])
        assert [one.sequence for one in found[:WAITED_FOR]] == [1] * attempt
        if attempt < WAITED_FOR:
            await told.until_log(endpoint, ("waiting", attempt), ("waiting", 0), ("waiting", 0))
            await told.pass_time(endpoint)
    await told.until_log(endpoint, ("waiting", WAITED_FOR), ("delivered", 1), ("delivered", 1))
    told.receiver.answer = lambda _: 204
    await told.pass_time(endpoint)
    await told.until_log(endpoint, ("delivered", WAITED_FOR + 1), ("delivered", 1), ("delivered", 1))

    assert [one.sequence for one in told.receiver.at(endpoint["path"])] == [1] * WAITED_FOR + [2, 3, 1]


async def test_gone_disables_at_once(told: Told) -> None:
    endpoint = await told.endpoint("*")
    told.receiver.answer = lambda _: 410
    order_id = await told.order()
    await add_events(told.api.sessions, order_id)
    await told.publish()

    shown = await told.until_disabled(endpoint)
    await told.order()
    await told.publish()

    assert shown["disabled_reason"] == "gone"
    await told.until_log(endpoint, ("given_up", 1), ("waiting", 0))
    assert len(told.receiver.at(endpoint["path"])) == 1


async def test_fifteen_failures_in_a_row_disable_and_enabling_goes_on(told: Told) -> None:
    endpoint = await told.endpoint("order.*")
    told.receiver.answer = lambda _: 500
    for _ in range(MOST_FAILURES - 1):
        await told.order()
    await told.publish()
    await told.until_log(endpoint, *[("waiting", 1)] * (MOST_FAILURES - 1))
    assert (await told.shown(endpoint))["disabled_at"] is None
    async with told.api.sessions.begin() as session:
        await session.execute(text("UPDATE webhook_endpoints SET failing_since = now() - interval '5 seconds'"))
    await told.order()
    await told.publish()

    shown = await told.until_disabled(endpoint)
    told.receiver.answer = lambda _: 204
    await told.order()
    await told.publish()
    parked = await told.log(endpoint)
    enabled = await told["support"].post(f"/v1/webhook-endpoints/{endpoint['endpoint_id']}/enable")

    assert (shown["disabled_reason"], shown["failures"]) == ("failing", MOST_FAILURES)
    assert [(one["state"], one["next_attempt_at"]) for one in parked] == [("waiting", None)] * MOST_FAILURES
    assert (enabled.json()["disabled_at"], enabled.json()["failures"]) == (None, 0)
    told.relay.wake()
    await told.until_log(endpoint, *[("delivered", 2)] * MOST_FAILURES)


async def test_a_success_between_failures_begins_the_count_anew(told: Told) -> None:
    endpoint = await told.endpoint("order.*")
    answers: list[int] = []
    told.receiver.answer = lambda _: answers[-1]
    for status, failures in ((500, 1), (204, 0), (500, 1)):
        answers.append(status)
        await told.order()
        await told.publish()

        async def look(expected: int = failures) -> bool:
            return bool((await told.shown(endpoint))["failures"] == expected)

        await until(look, f"{failures} failures")


async def _endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 1024
        await asyncio.sleep(0)


async def _slow() -> AsyncIterator[bytes]:
    yield b"x"
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (lambda: RedirectResponse("/elsewhere", 302), 302, "redirect"),
        (lambda: RedirectResponse("/elsewhere", 307), 307, "redirect"),
        (lambda: StreamingResponse(_endless()), None, "answer_too_large"),
        (lambda: Response(b"x" * (LARGEST_ANSWER + 1)), None, "answer_too_large"),
        (lambda: StreamingResponse(_slow()), None, "timeout"),
        (lambda: Response(status_code=404), 404, None),
    ],
    ids=["302", "307", "endless", "large", "slow", "404"],
)
async def test_what_is_no_success_is_a_failure(told: Told, answer: Any, status: int | None, error: str | None) -> None:
    endpoint = await told.endpoint("order.*")
    told.receiver.answer = lambda _: answer()
    await told.order()
    await told.publish()

    [logged] = await told.until_log(endpoint, ("waiting", 1))

    assert (logged["last_status"], logged["last_error"]) == (status, error)
    assert {one.path for one in told.receiver.received} == {endpoint["path"]}


async def test_the_largest_answer_is_read(told: Told) -> None:
    endpoint = await told.endpoint("order.*")
    told.receiver.answer = lambda _: Response(b"x" * LARGEST_ANSWER)
    await told.order()
    await told.publish()

    await told.until_log(endpoint, ("delivered", 1))


async def test_a_receiver_that_is_not_there_is_a_failure(told: Told) -> None:
    body = {"url": f"http://{HOST}:{free_base(1)}/", "events": ["order.*"]}
    endpoint = (await told["support"].post("/v1/webhook-endpoints", json=body)).json()
    await told.order()
    await told.publish()

    [logged] = await told.until_log(endpoint, ("waiting", 1))

    assert (logged["last_status"], logged["last_error"]) == (None, "unreachable")


async def test_a_slow_endpoint_keeps_no_other_waiting(told: Told) -> None:
    slow, quick = await told.endpoint("order.*"), await told.endpoint("order.*")
    told.receiver.answer = lambda one: StreamingResponse(_slow()) if one.path == slow["path"] else 204
    for _ in range(4 * SHARE):
        await told.order()
    await told.publish()

    await told.receiver.until(4 * SHARE, quick["path"])

    assert len(told.receiver.at(slow["path"])) <= SHARE


async def test_a_view_that_cannot_be_built_does_not_stop_the_feed(told: Told) -> None:
    endpoint = await told.endpoint("order.*")
    broken, whole = await told.order(), await told.order()
    async with told.api.sessions.begin() as session:
        await session.execute(
            text("UPDATE orders SET snapshot = '{}' WHERE order_id = :order_id"), {"order_id": broken}
        )
    await told.publish()

    found = await told.receiver.until(2, endpoint["path"])

    views = {one.id.split("_ord_")[1][:20]: one.payload["data"]["order"] for one in found}
    assert views[broken.removeprefix("ord_")] is None
    assert views[whole.removeprefix("ord_")]["order_id"] == whole


async def test_what_an_earlier_release_queued_is_frozen_when_it_is_sent(told: Told) -> None:
    endpoint = await told.endpoint("order.*")
    told.receiver.answer = lambda _: 500
    order_id = await told.order()
    await told.publish()
    await told.until_log(endpoint, ("waiting", 1))
    async with told.api.sessions.begin() as session:
        await session.execute(text("UPDATE webhook_deliveries SET body = NULL"))
    await told.pass_time(endpoint)
    _, second = await told.receiver.until(2, endpoint["path"])
    await told.until_log(endpoint, ("waiting", 2))

    assert second.payload["data"]["order"]["order_id"] == order_id
    assert await told.api.value("SELECT body FROM webhook_deliveries") == second.body.decode()


async def test_the_endpoint_of_a_development_stack_stays_quick_and_is_never_given_up(told: Told) -> None:
    async with told.api.sessions.begin() as session:
        await stored.ensure_endpoint(
            session,
            key_name="support",
            url=f"{told.receiver.url}/floor",
            secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            events=["order.*"],
            quick=True,
        )
    endpoint = {"endpoint_id": str(await told.api.value("SELECT endpoint_id FROM webhook_endpoints"))}
    told.receiver.answer = lambda _: 500
    await told.order()
    await told.publish()

    for attempt in range(1, MOST_FAILURES + 3):
        [logged] = await told.until_log(endpoint, ("waiting", attempt))
        pause = await told.api.value("SELECT due_at - last_attempt_at FROM webhook_deliveries")
        assert pause.total_seconds() == min(60, 2 ** (attempt - 1))
        await told.pass_time(endpoint)

    assert logged["given_up_at"] is None
    assert (await told.shown(endpoint))["disabled_at"] is None
