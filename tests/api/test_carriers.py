"""Carriers and the payment provider: only what they signed is taken, early facts wait, pictures are served."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from standardwebhooks import Webhook

from domain.steps import authorize_key
from tests.api.bodies import errors
from tests.api.conftest import CARRIER_SECRET, STRIPE_SECRET, Api
from tests.api.test_warehouse import released

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
JPEG = b"\xff\xd8\xff" + b"\0" * 20


def _event(event_id: str, number: str = "TN-unknown", **fields: Any) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "tracking_number": number,
        "status": "in_transit",
        "occurred_at": "2026-01-31T12:00:00Z",
        **fields,
    }


def _signed(raw: bytes, *, at: datetime | None = None, secret: str = CARRIER_SECRET) -> dict[str, str]:
    when = at or datetime.now(UTC)
    return {
        "content-type": "application/json",
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(when.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", when, raw.decode()),
    }


async def _tell(api: Api, body: Any, *, carrier: str = "swift") -> httpx.Response:
    raw = json.dumps(body).encode()
    return await api["nobody"].post(f"/v1/carriers/{carrier}/events", content=raw, headers=_signed(raw))


async def test_an_early_fact_is_kept_until_its_parcel_is_known(api: Api) -> None:
    answers = [await _tell(api, _event("early")) for _ in range(2)]

    assert [(answer.status_code, answer.json()["duplicate"]) for answer in answers] == [(202, False), (202, True)]
    kept = await api.rows("SELECT order_id, matches, signal FROM inbox WHERE event_id = 'early'")
    assert [tuple(row) for row in kept] == [(None, "swift/TN-unknown", "carrier_fact")]


async def test_a_fact_of_a_known_parcel_is_queued(api: Api) -> None:
    order_id = (await released(api, packed=True)).replace("ful_", "ord_").removesuffix("_1")
    body = _event(
        "known", f"TN-{order_id}", location="Leeds hub", reason="Left with A. Reader", estimated_on="2026-02-01"
    )

    answers = await asyncio.gather(*(_tell(api, body) for _ in range(10)))

    assert sorted(answer.json()["duplicate"] for answer in answers) == [False] + [True] * 9
    queued = await api.rows("SELECT name, payload FROM outbox WHERE order_id = :id AND kind = 'signal'", id=order_id)
    assert [row.name for row in queued] == ["carrier_fact"]
    assert queued[0].payload["estimated_on"] == "2026-02-01"
    assert "Reader" not in json.dumps(queued[0].payload)
    assert "hub" not in json.dumps(queued[0].payload)


async def test_tracking_and_proof_are_shown_to_those_who_see_the_order(api: Api) -> None:
    order_id = (await released(api, packed=True)).replace("ful_", "ord_").removesuffix("_1")
    number, parcel = f"TN-{order_id}", f"/v1/parcels/{order_id.replace('ord_', 'par_')}_1"
    proof = {
        "signed_by": "A. Reader",
        "signature_png": base64.b64encode(PNG).decode(),
        "photo_jpeg": base64.b64encode(JPEG).decode(),
    }
    assert (await api["support"].get(f"{parcel}/proof")).status_code == 404
    await _tell(api, _event("p-2", number, status="delivered", occurred_at="2026-01-31T14:00:00Z", proof=proof))
    await _tell(api, _event("p-1", number, location="Leeds hub", party="weather", reason="snow"))

    tracking = (await api["storefront"].get(f"{parcel}/tracking")).json()
    shown = (await api["support"].get(f"{parcel}/proof")).json()
    signature = await api["support"].get(shown["signature_url"])
    photo = await api["support"].get(shown["photo_url"])

    assert [event["status"] for event in tracking["events"]] == ["in_transit", "delivered"]
    assert (
        tracking["events"][0] | {"location": "Leeds hub", "party": "weather", "reason": "snow"} == tracking["events"][0]
    )
    assert shown["signed_by"] == "A. Reader"
    assert (signature.content, signature.headers["content-type"]) == (PNG, "image/png")
    assert (photo.content, photo.headers["content-type"]) == (JPEG, "image/jpeg")
    for path in ("tracking", "proof", "proof/photo"):
        assert (await api["other_storefront"].get(f"{parcel}/{path}")).status_code == 404


async def test_a_label_is_served_once_there_is_one(api: Api) -> None:
    parcel_id = (await released(api, packed=True)).replace("ful_", "par_")
    before = await api["warehouse"].get(f"/v1/parcels/{parcel_id}/label")

    await api.context.documents.put(f"label/{parcel_id}", "application/pdf", b"%PDF-1.4")
    answer = await api["warehouse"].get(f"/v1/parcels/{parcel_id}/label")

    assert before.status_code == 404
    assert (answer.content, answer.headers["content-type"]) == (b"%PDF-1.4", "application/pdf")


RAW = json.dumps(_event("forged")).encode()
STALE = datetime.fromtimestamp(time.time() - 600, UTC)


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "nonsense"},
        {"webhook-signature": "v1,not base64!"},
        {"webhook-signature": "v1,a,b"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,\xe9"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": "1e999"},
        {"webhook-timestamp": "-1"},
        {"webhook-id": ""},
        {"webhook-id": "other"},
        _signed(RAW, at=STALE),
        _signed(RAW, secret="whsec_" + base64.b64encode(b"another secret").decode()),
        _signed(b"{}"),
    ],
    ids=range(15),
)
async def test_what_is_not_signed_is_401(api: Api, changes: dict[str, str]) -> None:
    headers = httpx.Headers(_signed(RAW) | changes, encoding="latin-1")

    answer = await api["nobody"].post("/v1/carriers/swift/events", content=RAW, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "bad_signature")


async def test_signatures_of_what_is_no_text_are_401(api: Api) -> None:
    answer = await api["nobody"].post("/v1/carriers/swift/events", content=b"\xff\xfe", headers=_signed(b"{}"))

    assert answer.status_code == 401


async def test_an_unknown_carrier_is_404(api: Api) -> None:
    assert (await _tell(api, _event("x"), carrier="pigeon")).status_code == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"event_id": "x" * 101}, "event_id"),
        ({"status": "eaten"}, "status"),
        ({"occurred_at": "now"}, "occurred_at"),
        ({"estimated_on": "2026-02-30"}, "estimated_on"),
        ({"estimated_on": "0001-01-01"}, "estimated_on"),
        ({"collected_minor": -1}, "collected_minor"),
        ({"party": "dog"}, "party"),
        ({"proof": {"photo_jpeg": "not base64!"}}, "proof.photo_jpeg"),
        ({"proof": {"photo_jpeg": base64.b64encode(PNG).decode()}}, "proof.photo_jpeg"),
        ({"proof": {"signature_png": base64.b64encode(PNG + b"\0" * 3 * 1024 * 1024).decode()}}, "proof.signature_png"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_is_signed_but_wrong_is_422(api: Api, changes: dict[str, Any], field: str) -> None:
    answer = await _tell(api, _event("wrong") | changes)

    assert answer.status_code == 422, answer.text
    assert set(errors(answer)) == {field}


@pytest.mark.parametrize("raw", [b"", b"[]", b"nonsense", b"[" * 100_000])
async def test_what_is_signed_but_no_event_is_422(api: Api, raw: bytes) -> None:
    answer = await api["nobody"].post("/v1/carriers/swift/events", content=raw, headers=_signed(raw))

    assert answer.status_code == 422


async def test_a_carriers_body_may_be_eight_mebibytes(api: Api) -> None:
    raw = json.dumps(_event("large")).encode()
    raw += b" " * (8 * 1024 * 1024 - len(raw))

    largest = await api["nobody"].post("/v1/carriers/swift/events", content=raw, headers=_signed(raw))
    larger = await api["nobody"].post("/v1/carriers/swift/events", content=raw + b" ", headers=_signed(raw + b" "))

    assert (largest.status_code, larger.status_code) == (202, 413)


def _stripe_headers(raw: bytes, *, at: float | None = None, secret: str = STRIPE_SECRET) -> dict[str, str]:
    when = int(at or time.time())
    digest = hmac.new(secret.encode(), f"{when}.".encode() + raw, hashlib.sha256).hexdigest()
    return {"content-type": "application/json", "stripe-signature": f"t={when},v1={digest}"}


def _stripe_event(event_id: str, kind: str, metadata: dict[str, str], **fields: Any) -> bytes:
    about = {"id": "pi_1", "object": "payment_intent", "metadata": metadata, **fields}
    return json.dumps(
        {"id": event_id, "object": "event", "type": kind, "created": 1769860800, "data": {"object": about}, "more": 1}
    ).encode()


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (
            "payment_intent.amount_capturable_updated",
            {"latest_charge": "ch_1"},
            {"outcome": "authorized", "reference": "pi_1", "expires_at": "2026-02-07T12:00:00Z"},
        ),
        (
            "payment_intent.amount_capturable_updated",
            {"latest_charge": {"payment_method_details": {"card": {"capture_before": 1769947200}}}},
            {"outcome": "authorized", "expires_at": "2026-02-01T12:00:00Z"},
        ),
        (
            "payment_intent.payment_failed",
            {"last_payment_error": {"code": "card_declined", "decline_code": "insufficient_funds"}},
            {"outcome": "failed", "code": "insufficient_funds"},
        ),
        ("checkout.session.expired", {}, {"outcome": "expired"}),
    ],
)
async def test_a_payment_event_that_an_order_waits_for_is_queued(
    api: Api, kind: str, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    order_id = (await released(api)).replace("ful_", "ord_").removesuffix("_1")
    await _asked(api, order_id, state="done", result='{"kind": "PaymentActionRequired"}')
    raw = _stripe_event(f"evt_{order_id}", kind, _labels(order_id), **fields)

    answers = [
        await api["nobody"].post("/v1/payments/stripe/events", content=raw, headers=_stripe_headers(raw))
        for _ in range(2)
    ]

    assert [(a.status_code, a.json()["duplicate"]) for a in answers] == [(202, False), (202, True)]
    queued = await api.rows("SELECT name, payload FROM outbox WHERE order_id = :id AND kind = 'signal'", id=order_id)
    assert [row.name for row in queued] == ["payment_fact"]
    assert queued[0].payload | expected == queued[0].payload


def _labels(order_id: str) -> dict[str, str]:
    return {"order_id": order_id, "authorization_id": f"{order_id}:1:1"}


async def _asked(api: Api, order_id: str, *, state: str, result: str | None) -> None:
    """The ledger's entry of our asking the provider to hold the money."""
    async with api.sessions.begin() as session:
        await session.execute(
            text(
                "INSERT INTO operations (key, order_id, kind, subject, state, request, result, started_at)"
                " VALUES (:key, :order_id, 'authorization', 'pay_1', :state, '{}', CAST(:result AS jsonb), now())"
            ),
            {
                "key": authorize_key(order_id, f"{order_id}:1:1"),
                "order_id": order_id,
                "state": state,
                "result": result,
            },
        )


async def test_a_payment_event_that_overtakes_the_answer_waits_for_it(api: Api) -> None:
    order_id = (await released(api)).replace("ful_", "ord_").removesuffix("_1")
    await _asked(api, order_id, state="sending", result=None)
    raw = _stripe_event(f"evt_{order_id}", "payment_intent.amount_capturable_updated", _labels(order_id))

    await api["nobody"].post("/v1/payments/stripe/events", content=raw, headers=_stripe_headers(raw))

    kept = await api.rows("SELECT order_id, matches, signal FROM inbox WHERE event_id = :id", id=f"evt_{order_id}")
    assert [tuple(row) for row in kept] == [(None, f"{order_id}:1:1", "payment_fact")]


@pytest.mark.parametrize("kind", ["customer.created", "payment_intent.amount_capturable_updated"])
@pytest.mark.parametrize("labelled", [True, False])
async def test_payment_events_that_tell_nothing_new_are_kept(api: Api, kind: str, labelled: bool) -> None:
    order_id = (await released(api)).replace("ful_", "ord_").removesuffix("_1")
    await _asked(api, order_id, state="done", result='{"kind": "PaymentAuthorized"}')
    raw = _stripe_event(f"evt_{order_id}", kind, _labels(order_id) if labelled else {})

    answer = await api["nobody"].post("/v1/payments/stripe/events", content=raw, headers=_stripe_headers(raw))

    assert answer.status_code == 202, answer.text
    kept = await api.rows("SELECT order_id, matches, signal FROM inbox WHERE event_id = :id", id=f"evt_{order_id}")
    assert [tuple(row) for row in kept] == [(None, None, None)]


@pytest.mark.parametrize(
    "header", [None, "", "nonsense", "t=1", "t=x,v1=y", "t=1,v1=zz", "v1=00", "t=9" + "9" * 5000 + ",v1=00", "\xe9"]
)
async def test_payment_events_that_are_not_signed_are_401(api: Api, header: str | None) -> None:
    raw = _stripe_event("evt_forged", "payment_intent.payment_failed", {})
    headers: dict[str, Any] = {"content-type": "application/json"}
    if header is not None:
        headers["stripe-signature"] = header.encode("latin-1")

    answer = await api["nobody"].post("/v1/payments/stripe/events", content=raw, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "bad_signature")


async def test_stale_and_broken_payment_events(api: Api) -> None:
    raw = _stripe_event("evt_stale", "payment_intent.payment_failed", {})
    broken = b'{"id": 1'

    stale = await api["nobody"].post(
        "/v1/payments/stripe/events", content=raw, headers=_stripe_headers(raw, at=time.time() - 3600)
    )
    no_json = await api["nobody"].post("/v1/payments/stripe/events", content=broken, headers=_stripe_headers(broken))

    assert (stale.status_code, no_json.status_code) == (401, 422)
