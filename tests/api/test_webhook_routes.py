"""Webhook endpoints over HTTP: made, seen by their key alone, bounded; a secret is shown once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from api.schemas.webhooks import MOST_ENDPOINTS, MOST_FILTERS
from domain.webhooks import LONGEST_URL
from tests.api.bodies import errors, order
from tests.api.conftest import Api, all_pages
from workers.freezing import Freezer
from workers.relays import Publisher

GOOD = {"url": "https://shop.example/hooks", "events": ["order.*"], "description": "The shop"}
PATH = "/v1/webhook-endpoints"


@pytest.fixture(autouse=True)
async def none_left(api: Api) -> AsyncIterator[None]:
    yield
    async with api.sessions.begin() as session:
        await session.execute(text("DELETE FROM webhook_endpoints"))


async def made(api: Api, who: str = "storefront", **changes: Any) -> dict[str, Any]:
    """A new endpoint, with its secret."""
    answer = await api[who].post(PATH, json=GOOD | changes)
    assert answer.status_code == 201, answer.text
    view: dict[str, Any] = answer.json()
    return view


async def told(api: Api) -> str:
    """The id of a delivery that waits."""
    await api["storefront"].post("/v1/orders", json=order())
    publisher = Publisher(api.sessions, queue=Freezer(api.context.settings).queue, published=lambda: None)
    while await publisher.work():
        pass
    await publisher.lose()
    return str(await api.value("SELECT delivery_id FROM webhook_deliveries ORDER BY position DESC LIMIT 1"))


async def test_an_endpoint_is_made_and_its_secret_shown_once(api: Api) -> None:
    answer = await api["storefront"].post(PATH, json=GOOD)

    view = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{PATH}/{view['endpoint_id']}"
    assert view["endpoint_id"].startswith("whk_")
    assert view.pop("secret").startswith("whsec_")
    assert {name: view[name] for name in GOOD} == GOOD
    assert (view["disabled_at"], view["disabled_reason"], view["failures"]) == (None, None, 0)
    assert (await api["storefront"].get(answer.headers["location"])).json() == view
    assert (await api["storefront"].get(PATH)).json() == {"items": [view], "next_cursor": None}


async def test_a_repeated_call_makes_one_endpoint(api: Api) -> None:
    answers = [await api["storefront"].post(PATH, json=GOOD, headers={"Idempotency-Key": "one"}) for _ in range(2)]

    assert answers[0].content == answers[1].content
    assert answers[1].headers["idempotent-replayed"] == "true"
    assert await api.value("SELECT count(*) FROM webhook_endpoints") == 1


async def test_only_its_key_sees_an_endpoint(api: Api) -> None:
    own = f"{PATH}/{(await made(api))['endpoint_id']}"
    again = f"/v1/webhook-deliveries/{await told(api)}/redeliver"

    for who in ("other_storefront", "support", "admin"):
        assert (await api[who].get(own)).status_code == 404
        assert (await api[who].get(f"{own}/deliveries")).status_code == 404
        assert (await api[who].delete(own)).status_code == 404
        for path in (f"{own}/rotate", f"{own}/enable", again):
            assert (await api[who].post(path)).status_code == 404
        assert (await api[who].get(PATH)).json()["items"] == []
    assert (await api["nobody"].get(PATH)).status_code == 401
    assert (await api["storefront"].get(own)).status_code == 200


async def test_endpoints_come_in_pages(api: Api) -> None:
    ids = [(await made(api))["endpoint_id"] for _ in range(5)]

    assert [one["endpoint_id"] for one in await all_pages(api["storefront"], PATH, limit=2)] == ids


async def test_deliveries_come_in_pages_the_newest_first(api: Api) -> None:
    endpoint = await made(api)
    ids = [await told(api) for _ in range(5)]

    found = await all_pages(api["storefront"], f"{PATH}/{endpoint['endpoint_id']}/deliveries", limit=2)

    assert [one["delivery_id"] for one in found] == ids[::-1]
    assert {(one["state"], one["attempts"], one["kind"]) for one in found} == {("waiting", 0, "order.received")}
    assert found[0]["next_attempt_at"] is not None
    assert "body" not in found[0]


async def test_a_deleted_endpoint_is_gone_with_its_log(api: Api) -> None:
    own = f"{PATH}/{(await made(api))['endpoint_id']}"
    delivery_id = await told(api)

    assert (await api["storefront"].delete(own)).status_code == 204
    assert (await api["storefront"].delete(own)).status_code == 404
    assert (await api["storefront"].get(own)).status_code == 404
    assert (await api["storefront"].post(f"/v1/webhook-deliveries/{delivery_id}/redeliver")).status_code == 404


async def test_a_rotation_shows_the_new_secret_and_how_long_the_old_one_signs(api: Api) -> None:
    endpoint = await made(api)
    answer = await api["storefront"].post(f"{PATH}/{endpoint['endpoint_id']}/rotate", json={})

    view = answer.json()
    assert answer.status_code == 200
    assert view.pop("secret") != endpoint["secret"]
    assert view["previous_secret_until"] is not None
    hours = await api.value("SELECT extract(epoch FROM previous_until - now()) / 3600 FROM webhook_endpoints")
    assert 23.9 < hours <= 24
    assert (await api["storefront"].get(f"{PATH}/{endpoint['endpoint_id']}")).json() == view


async def test_nothing_is_sent_again_to_a_disabled_endpoint(api: Api) -> None:
    await made(api)
    delivery_id = await told(api)
    async with api.sessions.begin() as session:
        await session.execute(text("UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = 'gone'"))

    answer = await api["storefront"].post(f"/v1/webhook-deliveries/{delivery_id}/redeliver")

    assert (answer.status_code, answer.json()["code"]) == (409, "endpoint_disabled")


def _url(length: int) -> str:
    base = "https://shop.example/"
    return base + "x" * (length - len(base))


@pytest.mark.parametrize(
    "changes",
    [
        {"url": _url(LONGEST_URL)},
        {"events": ["*"] * MOST_FILTERS},
        {"events": ["*"]},
        {"events": ["parcel.delivered", "order.*"]},
        {"description": "x" * 500},
        {"description": None},
        {"url": "https://8.8.8.8:8443/x?y=z"},
    ],
    ids=range(7),
)
async def test_what_is_within_the_limits_is_taken(api: Api, changes: dict[str, Any]) -> None:
    await made(api, **changes)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": _url(LONGEST_URL + 1)}, "url"),
        ({"url": ""}, "url"),
        ({"url": None}, "url"),
        ({"url": "http://shop.example/"}, "url"),
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "https://[::1]/"}, "url"),
        ({"url": "https://user:word@shop.example/"}, "url"),
        ({"url": "https://shop.example/\u0000"}, "url"),
        ({"events": []}, "events"),
        ({"events": ["*"] * (MOST_FILTERS + 1)}, "events"),
        ({"events": ["order.*", "order.shiped"]}, "events[1]"),
        ({"events": ["x" * 65]}, "events[0]"),
        ({"events": [""]}, "events[0]"),
        ({"events": "order.*"}, "events"),
        ({"description": "x" * 501}, "description"),
        ({"description": ""}, "description"),
        ({"colour": "red"}, "colour"),
    ],
    ids=range(18),
)
async def test_what_is_beyond_them_is_named(api: Api, changes: dict[str, Any], field: str) -> None:
    answer = await api["storefront"].post(PATH, json=GOOD | changes)

    assert answer.status_code == 422, answer.text
    assert set(errors(answer)) == {field}


@pytest.mark.parametrize("missing", ["url", "events"])
async def test_what_is_missing_is_named(api: Api, missing: str) -> None:
    answer = await api["storefront"].post(PATH, json={name: value for name, value in GOOD.items() if name != missing})

    assert set(errors(answer)) == {missing}


async def test_a_key_has_so_many_endpoints_and_no_more(api: Api) -> None:
    for _ in range(MOST_ENDPOINTS - 1):
        await made(api)

    answers = await asyncio.gather(*(api["storefront"].post(PATH, json=GOOD) for _ in range(16)))

    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 15]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"too_many_endpoints"}
    assert (await api["other_storefront"].post(PATH, json=GOOD)).status_code == 201


async def test_a_call_that_says_nothing_may_not_say_something(api: Api) -> None:
    endpoint = await made(api)

    answer = await api["storefront"].post(f"{PATH}/{endpoint['endpoint_id']}/rotate", json={"secret": "mine"})

    assert set(errors(answer)) == {"secret"}
