"""The tracking page and its JSON: the link is the key, nothing personal is shown, and what customers say is kept once."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from domain.messages import PaymentActionRequired
from domain.steps import AuthorizePayment
from domain.tracking_page import MOST_QUESTIONS, OPEN_FOR
from runtime import tracking_links
from tests.api.conftest import Api
from tests.api.tracked import PERSONAL, placed, scan, served
from tests.domain import making
from tests.fixtures.shop import JPEG, proof_pictures
from tests.fixtures.sse import reading
from tests.workers.desk import Desk

NEVER_SHOWN = ("Nightingale", "example.org", "1632960001", "Canary Wharf", "LS1 4DY", "back door", "sing for", "255")


@pytest.fixture
def nobody(api: Api) -> httpx.AsyncClient:
    """A browser: it has no key."""
    return api["nobody"]


async def close(api: Api, order_id: str, *, ago: timedelta) -> None:
    """As if the order had closed that long ago."""
    async with api.sessions.begin() as session:
        await session.connection()
        await (await session.connection()).exec_driver_sql(
            "UPDATE orders SET closed_at = now() - $1::interval WHERE order_id = $2", (ago, order_id)
        )


async def test_the_view_tells_the_orders_story_and_nothing_personal(api: Api, nobody: httpx.AsyncClient):
    desk, token = await placed(api)
    await desk.confirm()
    await desk.ship()
    await scan(api, desk, "in_transit", location="Leeds hub")
    await scan(api, desk, "out_for_delivery", location="17 Canary Wharf Lane, Leeds")

    answer = await nobody.get(f"/v1/track/{token}")
    page = await nobody.get(f"/track/{token}")

    view = answer.json()
    assert view["customer"] == {"first_name": "Amy", "town": "Leeds"}
    assert (view["state"], view["order_ref"]) == ("shipped", (await _view(api, desk))["order_ref"])
    assert [(step["step"], step["state"], step["at"] is not None) for step in view["steps"]] == [
        ("received", "done", True),
        ("confirmed", "done", True),
        ("fulfilling", "done", True),
        ("shipped", "current", True),
        ("delivered", "ahead", False),
    ]
    [parcel] = view["parcels"]
    assert parcel["tracking_number"] == desk.order.parcels[0].tracking_number
    assert [(event["status"], event["location"]) for event in parcel["events"]] == [
        ("out_for_delivery", None),
        ("in_transit", "Leeds hub"),
    ]
    assert view["lines"] == [{"name": "A mug", "quantity": 6, "cancelled": 0}]
    assert (view["may"], view["rating"], view["language"]) == ({"ask": True, "rate": False}, None, "en")
    assert "Hello Amy" in page.text and "On its way" in page.text and "Leeds hub" in page.text
    for text in (answer.text, page.text):
        assert not [word for word in NEVER_SHOWN if word in text]


async def _view(api: Api, desk: Desk) -> dict[str, Any]:
    found: dict[str, Any] = (await api["support"].get(f"/v1/orders/{desk.order.order_id}")).json()
    return found


async def test_what_must_be_paid_and_what_was_cancelled_is_shown(api: Api, nobody: httpx.AsyncClient):
    acting, token = await placed(api)
    await acting.send(making.done(acting.order, acting.step()))
    step = acting.step()
    assert isinstance(step, AuthorizePayment)
    due = datetime.now(UTC) + timedelta(hours=1)
    await acting.send(
        PaymentActionRequired(
            step_key=step.key,
            authorization_id=step.authorization_id,
            reference="pi_1",
            url="https://pay.example/1",
            expires_at=due,
        )
    )
    short, short_token = await placed(api)
    await short.confirm()
    await short.miss({"1": 2})

    view = (await nobody.get(f"/v1/track/{token}")).json()
    page = (await nobody.get(f"/track/{token}")).text
    cancelled = (await nobody.get(f"/v1/track/{short_token}")).json()

    assert [(action["type"], action["url"]) for action in view["actions"]] == [("pay", "https://pay.example/1")]
    assert 'href="https://pay.example/1"' in page and "Confirm the payment" in page
    assert cancelled["lines"] == [{"name": "A mug", "quantity": 6, "cancelled": 2}]


async def test_an_order_that_ended_early_ends_its_steps(api: Api, nobody: httpx.AsyncClient):
    desk, token = await placed(api)
    await desk.find_nothing()

    view = (await nobody.get(f"/v1/track/{token}")).json()

    assert [(step["step"], step["state"]) for step in view["steps"]] == [("received", "done"), ("rejected", "done")]


async def test_the_proof_is_the_photo_and_never_the_signature(api: Api, nobody: httpx.AsyncClient):
    desk, token = await placed(api)
    await desk.confirm()
    await desk.ship()
    before = await nobody.get(f"/v1/track/{token}/parcels/1/photo")
    await scan(api, desk, "delivered", proof={"signed_by": "Amy Nightingale", **proof_pictures()})

    view = await nobody.get(f"/v1/track/{token}")
    proof = view.json()["parcels"][0]["proof"]
    photo = await nobody.get(proof["photo_url"])
    page = await nobody.get(f"/track/{token}")

    assert proof == {"is_signed": True, "photo_url": f"/v1/track/{token}/parcels/1/photo"}
    assert (photo.status_code, photo.content, photo.headers["content-type"]) == (200, JPEG, "image/jpeg")
    assert proof["photo_url"] in page.text and "Nightingale" not in view.text + page.text
    for number in ("0", "2", "-1"):
        assert (await nobody.get(f"/v1/track/{token}/parcels/{number}/photo")).status_code == 404
    assert before.status_code == 404


async def test_a_token_that_is_nobodys_opens_nothing(api: Api, nobody: httpx.AsyncClient):
    desk, token = await placed(api)
    other, _ = await placed(api)
    tail = desk.order.order_id.removeprefix("ord_")
    wrong = [
        token[:-1] + ("0" if token[-1] != "0" else "1"),
        ("A" if token[0] != "A" else "B") + token[1:],
        token[:32] + other.order.order_id.removeprefix("ord_"),
        token[:32],
        tail,
        desk.order.order_id,
        "x",
        "%00",
        "é" * 40,
    ]

    for each in wrong:
        for path in (f"/v1/track/{each}", f"/track/{each}", f"/v1/track/{each}/events"):
            assert (await nobody.get(path)).status_code in {404, 422}, path
        for route, body in (("questions", {"text": "?"}), ("rating", {"score": 1})):
            assert (await nobody.post(f"/v1/track/{each}/{route}", json=body)).status_code in {404, 422}
    assert len(token) == 32 + len(tail) and (await nobody.get(f"/v1/track/{token}")).status_code == 200


async def test_links_of_an_older_secret_stay_good_and_of_another_do_not(api: Api, nobody: httpx.AsyncClient):
    desk, token = await placed(api)
    order_id = desk.order.order_id
    older = tracking_links.token_of(order_id, ["an-older-one"])
    foreign = tracking_links.token_of(order_id, ["somebody-elses"])

    assert token == tracking_links.token_of(order_id, ["tracking-secret"])
    assert (await nobody.get(f"/v1/track/{older}")).status_code == 200
    assert (await nobody.get(f"/v1/track/{foreign}")).status_code == 404
    assert tracking_links.token_of(order_id, []) is None and tracking_links.order_of(token, []) is None


async def test_a_page_is_there_for_ninety_days_after_the_order_closed(api: Api, nobody: httpx.AsyncClient):
    desk, token = await placed(api)
    await close(api, desk.order.order_id, ago=OPEN_FOR - timedelta(minutes=1))
    still = await nobody.get(f"/track/{token}")
    await close(api, desk.order.order_id, ago=OPEN_FOR)

    gone = [await nobody.get(f"/v1/track/{token}{path}") for path in ("", "/events", "/parcels/1/photo")]
    gone += [await nobody.post(f"/v1/track/{token}/questions", json={"text": "?"})]
    page = await nobody.get(f"/track/{token}", headers={"Accept-Language": "zh-CN,zh;q=0.9"})

    assert still.status_code == 200
    assert {answer.status_code for answer in gone} == {404} and {a.json()["code"] for a in gone} == {"not_found"}
    assert page.status_code == 404 and '<html lang="zh">' in page.text and "页面不存在" in page.text


class Resources(HTMLParser):
    """Everything that a page would load, and every inline script or style with its nonce."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.nonces: list[str | None] = []
        self.handlers: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        self.loaded += [str(given[name]) for name in ("src", "srcset", "data", "poster") if name in given]
        self.handlers += [name for name in given if name.startswith("on") or name == "style"]
        if tag == "link":
            self.loaded.append(str(given["href"]))
        if tag in {"script", "style"}:
            self.nonces.append(given.get("nonce"))


async def test_the_page_loads_nothing_and_runs_only_what_it_brings(api: Api, nobody: httpx.AsyncClient):
    nasty = "<script>alert(1)</script>"
    desk, token = await placed(api, customer=PERSONAL["customer"] | {"name": f"{nasty} X"})
    async with api.sessions.begin() as session:
        await (await session.connection()).exec_driver_sql(
            "UPDATE orders SET request = jsonb_set(request, '{lines,0,name}', to_jsonb($1::text)) WHERE order_id = $2",
            (nasty, desk.order.order_id),
        )

    answer, again = await nobody.get(f"/track/{token}"), await nobody.get(f"/track/{token}")

    found = Resources(answer.text)
    policy = answer.headers["content-security-policy"]
    [nonce] = set(re.findall(r"'nonce-([\w-]+)'", policy))
    assert found.loaded == ["data:,"]
    assert (found.nonces, found.handlers) == ([nonce, nonce], [])
    assert nasty not in answer.text and "&lt;script&gt;" in answer.text
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    assert nonce not in again.text


async def test_every_answer_under_a_link_says_how_to_keep_it(api: Api, nobody: httpx.AsyncClient):
    _, token = await placed(api)

    answers = [
        await nobody.get(f"/track/{token}"),
        await nobody.get(f"/v1/track/{token}"),
        await nobody.get("/track/unknown"),
        await nobody.get("/v1/track/unknown"),
        await nobody.get(f"/v1/track/{token}/nowhere"),
        await nobody.post(f"/v1/track/{token}/rating", json={"score": 9}),
    ]

    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "noindex" in answer.headers["x-robots-tag"]


@pytest.mark.parametrize(
    ("locale", "query", "lang"),
    [("en-GB", "", "en"), ("zh-Hant-TW", "", "zh"), ("zh-CN", "?lang=en", "en"), ("fr-FR", "?lang=zh", "zh")],
)
async def test_the_page_speaks_the_customers_language_or_the_other(
    api: Api, nobody: httpx.AsyncClient, locale: str, query: str, lang: str
):
    _, token = await placed(api, customer=PERSONAL["customer"] | {"locale": locale})

    page = (await nobody.get(f"/track/{token}{query}")).text

    words = {"en": "We have your order", "zh": "订单已收到"}
    assert f'<html lang="{lang}">' in page and words[lang] in page


async def test_a_question_is_kept_for_people_and_named_in_the_timeline(api: Api, nobody: httpx.AsyncClient):
    desk, token = await placed(api)
    body, key = {"text": "Is it the blue one? Amy Nightingale"}, {"Idempotency-Key": "q-1"}

    first = await nobody.post(f"/v1/track/{token}/questions", json=body, headers=key)
    again = await nobody.post(f"/v1/track/{token}/questions", json=body, headers=key)
    other = await nobody.post(f"/v1/track/{token}/questions", json={"text": "And when?"})

    assert [answer.status_code for answer in (first, again, other)] == [201] * 3
    assert again.headers["idempotent-replayed"] == "true" and first.json() == again.json()
    view = await _view(api, desk)
    assert [(note["note_id"], note["text"], note["actor"]["kind"]) for note in view["notes"]] == [
        (first.json()["question_id"], body["text"], "customer"),
        (other.json()["question_id"], "And when?", "customer"),
    ]
    events = (await api["support"].get(f"/v1/orders/{desk.order.order_id}/events")).json()["items"]
    assert [event["data"] for event in events if event["kind"] == "order.note_added"] == [
        {"note_id": first.json()["question_id"]},
        {"note_id": other.json()["question_id"]},
    ]
    assert "Nightingale" not in json.dumps(events) and view["version"] == len(events)


async def test_one_order_brings_only_so_many_questions_a_day(api: Api, nobody: httpx.AsyncClient):
    desk, token = await placed(api)

    answers = await asyncio.gather(
        *(nobody.post(f"/v1/track/{token}/questions", json={"text": f"{n}?"}) for n in range(MOST_QUESTIONS + 3))
    )

    refused = [answer for answer in answers if answer.status_code != 201]
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(429, "too_many_questions")}
    assert len(refused) == 3 and all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    assert len((await _view(api, desk))["notes"]) == MOST_QUESTIONS


async def test_a_delivery_is_rated_once_and_not_before_it_happened(api: Api, nobody: httpx.AsyncClient):
    desk, token = await placed(api)
    await desk.confirm()
    await desk.ship()
    early = await nobody.post(f"/v1/track/{token}/rating", json={"score": 5})
    await scan(api, desk, "delivered")
    may = (await nobody.get(f"/v1/track/{token}")).json()["may"]
    body, key = {"score": 4, "text": "Quick, thank you"}, {"Idempotency-Key": "r"}
    first = await nobody.post(f"/v1/track/{token}/rating", json=body, headers=key)
    again = await nobody.post(f"/v1/track/{token}/rating", json=body, headers=key)
    second = await nobody.post(f"/v1/track/{token}/rating", json={"score": 1})
    view = (await nobody.get(f"/v1/track/{token}")).json()

    assert (early.status_code, early.json()["code"]) == (409, "not_delivered")
    assert may == {"ask": True, "rate": True}
    assert (first.status_code, first.json(), again.json()) == (201, {"score": 4}, {"score": 4})
    assert (second.status_code, second.json()["code"]) == (409, "already_rated")
    assert (view["rating"], view["may"]["rate"]) == (4, False)
    [row] = await api.rows("SELECT score, text FROM delivery_ratings WHERE order_id = :id", id=desk.order.order_id)
    assert tuple(row) == (4, "Quick, thank you")


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("questions", {}),
        ("questions", {"text": ""}),
        ("questions", {"text": "a\0b"}),
        ("questions", {"text": "x" * 2001}),
        ("questions", {"text": "?", "more": 1}),
        ("rating", {"score": 0}),
        ("rating", {"score": 6}),
        ("rating", {"score": "5"}),
        ("rating", {"text": "good"}),
    ],
)
async def test_what_is_not_as_it_must_be_is_named(
    api: Api, nobody: httpx.AsyncClient, route: str, body: dict[str, Any]
):
    _, token = await placed(api)

    answer = await nobody.post(f"/v1/track/{token}/{route}", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_the_stream_tells_that_something_happened_and_never_what_is_ours(api: Api, database_url: str):
    desk, token = await placed(api)

    async with served(database_url) as browser:
        async with reading(browser, f"/v1/track/{token}/events?after=1") as reader:
            await desk.confirm()
            events = await reader.until_events(2)
        async with reading(browser, f"/v1/track/{token}/events?after=1", after=events[0].id) as resumed:
            await desk.ship()
            more = await resumed.until_events(3)
        beyond = await browser.get(f"/v1/track/{token}/events?after=9999")

    shown = ["payment.authorized", "order.confirmed", "order.fulfilling"]
    assert [event.kind for event in events][:2] == shown[:2]
    assert [event.kind for event in more][:2] == shown[1:]
    for event in (*events, *more):
        assert event.data.keys() == {"sequence", "kind", "at"} and event.data["sequence"] == event.id
    assert beyond.status_code == 422 and beyond.headers["referrer-policy"] == "no-referrer"
