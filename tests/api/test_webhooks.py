"""Webhooks that are taken: what each key is told, signed, frozen, in order."""

from collections.abc import AsyncIterator

import orjson
import pytest
from sqlalchemy import text
from standardwebhooks.webhooks import WebhookVerificationError

from tests.api.conftest import KEYS, Api
from tests.api.telling import Told, begin_quietly, telling
from tests.api.test_warehouse import released
from tests.fixtures.events import add_events


@pytest.fixture(scope="module")
async def running(api: Api, database_url: str) -> AsyncIterator[Told]:
    async with telling(api, database_url) as found:
        yield found


@pytest.fixture
async def told(running: Told) -> Told:
    await begin_quietly(running)
    return running


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
