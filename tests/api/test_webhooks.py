"""Webhooks from the event to the receiver: what each key is told, signed, in order, again until taken, and given up."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from sqlalchemy import text
from standardwebhooks.webhooks import WebhookVerificationError
from starlette.responses import RedirectResponse, Response, StreamingResponse

from api.app import create_app
from db import webhooks as stored
from devstack.ports import HOST, free_base
from domain.webhooks import MOST_FAILURES, PAUSES, WAITED_FOR
from providers.outward import LARGEST_ANSWER, Outward
from tests.api.bodies import order
from tests.api.conftest import KEYS, Api, settings_for
from tests.api.test_warehouse import released
from tests.fixtures.events import add_events
from tests.fixtures.receiver import Receiver, receiving
from tests.fixtures.waiting import until
from workers.freezing import Freezer
from workers.relays import Publisher
from workers.webhooks import SHARE, WebhookRelay


@dataclass
class Told:
    """The API where loopback may be called, the relays of a worker, and somebody who listens."""

    api: Api
    clients: dict[str, httpx.AsyncClient]
    receiver: Receiver
    publisher: Publisher
    relay: WebhookRelay

    def __getitem__(self, name: str) -> httpx.AsyncClient:
        return self.clients[name]

    async def endpoint(self, *events: str, who: str = "support") -> dict[str, Any]:
        """A new endpoint of that key at a path of its own, which the view has as *path*."""
        path = f"/{uuid4().hex}"
        body = {"url": self.receiver.url + path, "events": list(events)}
        answer = await self[who].post("/v1/webhook-endpoints", json=body)
        assert answer.status_code == 201, answer.text
        view: dict[str, Any] = answer.json()
        return view | {"path": path}

    async def shown(self, endpoint: dict[str, Any], *, who: str = "support") -> dict[str, Any]:
        """The endpoint as it is now."""
        view: dict[str, Any] = (await self[who].get(f"/v1/webhook-endpoints/{endpoint['endpoint_id']}")).json()
        return view

    async def log(self, endpoint: dict[str, Any], *, who: str = "support") -> list[dict[str, Any]]:
        """The endpoint's deliveries, the oldest first."""
        path = f"/v1/webhook-endpoints/{endpoint['endpoint_id']}/deliveries?limit=200"
        items: list[dict[str, Any]] = (await self[who].get(path)).json()["items"]
        return items[::-1]

    async def order(self, who: str = "storefront", **changes: Any) -> str:
        """The id of a new order."""
        return str((await self[who].post("/v1/orders", json=order(**changes))).json()["order_id"])

    async def publish(self) -> None:
        """Stamp what is committed, and let the relay know."""
        while await self.publisher.work():
            pass
        self.relay.wake()

    async def until_log(self, endpoint: dict[str, Any], *states: tuple[str, int]) -> list[dict[str, Any]]:
        """The log once its deliveries are in these states after so many attempts."""

        found: list[dict[str, Any]] = []

        async def look() -> bool:
            found[:] = await self.log(endpoint)
            return [(one["state"], one["attempts"]) for one in found] == list(states)

        await until(look, f"deliveries {states}")
        return found

    async def until_disabled(self, endpoint: dict[str, Any]) -> dict[str, Any]:
        """The endpoint once it is disabled."""

        async def look() -> dict[str, Any] | None:
            found = await self.shown(endpoint)
            return found if found["disabled_at"] else None

        return await until(look, "the endpoint to be disabled")

    async def pass_time(self, endpoint: dict[str, Any]) -> None:
        """Let the pauses of the endpoint's failed deliveries be over."""
        async with self.api.sessions.begin() as session:
            await session.execute(
                text(
                    "UPDATE webhook_deliveries SET due_at = now() WHERE endpoint_id = :id AND leased_until IS NULL"
                    " AND attempts > 0 AND due_at > now()"
                ),
                {"id": endpoint["endpoint_id"]},
            )
        self.relay.wake()


@pytest.fixture(scope="module")
async def told(api: Api, database_url: str) -> AsyncIterator[Told]:
    settings = replace(settings_for(database_url), webhooks_allow_loopback=True)
    app = create_app(settings, sessions=api.sessions)
    freezer = Freezer(settings)
    outward = Outward(allow_loopback=True, answer_within=2)
    async with contextlib.AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(app), base_url="http://api", headers=api[name].headers, timeout=60
                )
            )
            for name in KEYS
        }
        receiver = await stack.enter_async_context(receiving())
        relay = WebhookRelay(api.sessions, outward, freezer)
        publisher = Publisher(api.sessions, queue=freezer.queue, published=relay.wake)
        running = asyncio.create_task(relay.run())
        yield Told(api=api, clients=clients, receiver=receiver, publisher=publisher, relay=relay)
        assert not running.done(), "the relay ended by itself"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await publisher.lose()
        await outward.close()


@pytest.fixture(autouse=True)
async def quiet(told: Told) -> AsyncIterator[None]:
    """Each test begins with a receiver that takes everything, and leaves no endpoint behind."""
    told.receiver.answer = lambda _: 204
    told.receiver.received.clear()
    yield
    async with told.api.sessions.begin() as session:
        await session.execute(text("DELETE FROM webhook_endpoints"))


async def test_an_event_is_told_with_the_order_as_its_key_sees_it(told: Told) -> None:
    endpoint = await told.endpoint("order.*", who="storefront")
    order_id = await told.order()
    await told.publish()

    [webhook] = await told.receiver.until(1, endpoint["path"])

    event = (await told["storefront"].get(f"/v1/orders/{order_id}/events")).json()["items"][0]
    view = (await told["storefront"].get(f"/v1/orders/{order_id}")).json()
    assert webhook.verify(endpoint["secret"]) == {
        "type": "order.received",
        "timestamp": event["at"],
        "data": {"event": event, "order": view},
    }
    assert webhook.headers["content-type"] == "application/json"


async def test_each_key_is_told_what_it_may_see(told: Told) -> None:
    everything = {name: await told.endpoint("*", who=name) for name in KEYS}
    fulfillment_id = await released(told.api)
    elsewhere = await told.order("other_storefront", source="elsewhere")
    order_id = str(
        await told.api.value("SELECT order_id FROM fulfillments WHERE fulfillment_id = :id", id=fulfillment_id)
    )
    await add_events(told.api.sessions, order_id, kind="payment.captured")
    async with told.api.sessions.begin() as session:
        await session.execute(
            text(
                "INSERT INTO order_events (order_id, sequence, cause_id, ordinal, kind, at, actor_kind, data) VALUES"
                " (:order_id, 3, 'x', 0, 'fulfillment.released', now(), 'system', CAST(:data AS jsonb))"
            ),
            {"order_id": order_id, "data": orjson.dumps({"fulfillment_id": fulfillment_id}).decode()},
        )
    await told.publish()

    mine = [(order_id, 1), (order_id, 2), (order_id, 3)]
    other = [(elsewhere, 1)]
    for name, expected in {
        "storefront": mine,
        "other_storefront": other,
        "warehouse": mine[2:],
        "support": mine + other,
        "operations": mine + other,
        "admin": mine + other,
    }.items():
        found = await told.receiver.until(len(expected), everything[name]["path"])
        about = [one.payload["data"] for one in found]
        views = [one.get("order") or one["fulfillment"] for one in about]
        told_of = [(view["order_id"], one["event"]["sequence"]) for view, one in zip(views, about, strict=True)]
        assert sorted(told_of) == sorted(expected), name
    assert told.receiver.at(everything["carrier"]["path"]) == []
    [work] = told.receiver.at(everything["warehouse"]["path"])
    assert (
        work.payload["data"]["fulfillment"]
        == (await told["warehouse"].get(f"/v1/fulfillments/{fulfillment_id}")).json()
    )
    assert "order" not in work.payload["data"]
    assert b"payment" not in work.body


@pytest.mark.parametrize(
    ("filters", "told_of"),
    [
        (["*"], ["order.received", "parcel.delivered", "parcel.tracked", "payment.captured"]),
        (["parcel.*"], ["parcel.delivered", "parcel.tracked"]),
        (["parcel.delivered"], ["parcel.delivered"]),
        (["order.*", "parcel.tracked", "parcel.tracked"], ["order.received", "parcel.tracked"]),
        (["hold.*"], []),
    ],
)
async def test_filters_choose_the_kinds(told: Told, filters: list[str], told_of: list[str]) -> None:
    endpoint = await told.endpoint(*filters)
    witness = await told.endpoint("*")
    order_id = await told.order()
    for kind in ("parcel.tracked", "parcel.delivered", "payment.captured"):
        await add_events(told.api.sessions, order_id, kind=kind)
    await told.publish()

    await told.receiver.until(4, witness["path"])
    await told.until_log(endpoint, *[("delivered", 1)] * len(told_of))

    assert sorted(one.payload["type"] for one in told.receiver.at(endpoint["path"])) == told_of


async def test_the_body_is_frozen_and_the_id_stays(told: Told) -> None:
    endpoint = await told.endpoint("order.*")
    told.receiver.answer = lambda one: 503 if len(told.receiver.at(one.path)) == 1 else 200
    order_id = await told.order()
    await told.publish()
    await told.receiver.until(1, endpoint["path"])
    await told.until_log(endpoint, ("waiting", 1))
    await add_events(told.api.sessions, order_id, 5)

    await told.pass_time(endpoint)
    first, second = await told.receiver.until(2, endpoint["path"])

    assert first.body == second.body
    assert first.id == second.id
    assert first.payload["data"]["order"]["version"] == 1
    for one in (first, second):
        one.verify(endpoint["secret"])
    [logged] = await told.until_log(endpoint, ("delivered", 2))
    assert (logged["delivery_id"], logged["last_status"], logged["last_error"]) == (first.id, 200, None)


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


async def test_events_of_many_orders_come_in_their_order_and_once(told: Told) -> None:
    endpoint = await told.endpoint("*")
    orders = [await told.order() for _ in range(5)]
    for _ in range(4):
        for order_id in orders:
            await add_events(told.api.sessions, order_id, 2)
        await told.publish()

    found = await told.receiver.until(45, endpoint["path"])
    await told.until_log(endpoint, *[("delivered", 1)] * 45)

    by_order = {order_id: [o.sequence for o in found if order_id in o.id] for order_id in orders}
    assert by_order == {order_id: list(range(1, 10)) for order_id in orders}


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


async def test_both_secrets_sign_after_a_rotation_and_the_old_one_ends(told: Told) -> None:
    endpoint = await told.endpoint("order.*")
    path = f"/v1/webhook-endpoints/{endpoint['endpoint_id']}"
    rotated = (await told["support"].post(f"{path}/rotate")).json()
    await told.order()
    await told.publish()
    [both] = await told.receiver.until(1, endpoint["path"])
    async with told.api.sessions.begin() as session:
        await session.execute(text("UPDATE webhook_endpoints SET previous_until = now()"))
    await told.order()
    await told.publish()
    _, after = await told.receiver.until(2, endpoint["path"])

    assert rotated["secret"] != endpoint["secret"]
    assert len(both.headers["webhook-signature"].split(" ")) == 2
    for secret in (endpoint["secret"], rotated["secret"]):
        both.verify(secret)
    after.verify(rotated["secret"])
    with pytest.raises(WebhookVerificationError):
        after.verify(endpoint["secret"])
    overlap = await told.api.value("SELECT count(*) FROM webhook_endpoints WHERE previous_until <= now()")
    assert overlap == 1


async def test_a_delivery_is_sent_again_when_asked_for(told: Told) -> None:
    endpoint = await told.endpoint("*")
    order_id = await told.order()
    await told.publish()
    [logged] = await told.until_log(endpoint, ("delivered", 1))

    answer = await told["support"].post(f"/v1/webhook-deliveries/{logged['delivery_id']}/redeliver")
    told.relay.wake()
    first, second = await told.receiver.until(2, endpoint["path"])
    await told.until_log(endpoint, ("delivered", 1))
    told.receiver.answer = lambda one: 500 if one.sequence == 1 else 204
    await told["support"].post(f"/v1/webhook-deliveries/{logged['delivery_id']}/redeliver")
    await add_events(told.api.sessions, order_id)
    await told.publish()
    await told.until_log(endpoint, ("waiting", 1), ("delivered", 1))

    assert (answer.status_code, answer.json()["state"]) == (202, "waiting")
    assert (first.id, first.body) == (second.id, second.body)


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


async def test_a_revoked_key_is_told_nothing_more(told: Told) -> None:
    endpoint = await told.endpoint("order.*", who="operations")
    witness = await told.endpoint("order.*")
    told.receiver.answer = lambda _: 500
    await told.order()
    await told.publish()
    await told.receiver.until(1, endpoint["path"])
    await told.receiver.until(1, witness["path"])
    async with told.api.sessions.begin() as session:
        await session.execute(text("UPDATE api_keys SET revoked_at = now() WHERE name = 'operations'"))
    try:
        await told.order()
        await told.publish()
        await told.pass_time(endpoint)
        await told.pass_time(witness)
        await told.receiver.until(3, witness["path"])
        assert len(told.receiver.at(endpoint["path"])) == 1
    finally:
        async with told.api.sessions.begin() as session:
            await session.execute(text("UPDATE api_keys SET revoked_at = NULL WHERE name = 'operations'"))


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
