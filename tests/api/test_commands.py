"""Commands on orders while the engine is away: a clear 503 that changes nothing, and what needs no engine goes on."""

from typing import Any

import pytest

from tests.api.bodies import errors, order
from tests.api.conftest import Api

ADDRESS = {"lines": ["2 Low St"], "city": "Leeds", "postal_code": "LS1 4DY", "country": "GB"}


async def taken(api: Api) -> str:
    answer = await api["storefront"].post("/v1/orders", json=order())
    assert answer.status_code == 201, answer.text
    order_id: str = answer.json()["order_id"]
    return order_id


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "cancel", {"reason": "customer", "note": "changed my mind"}),
        ("POST", "holds", {"reason": "other"}),
        ("POST", "holds/hld_x/release", {}),
        ("PATCH", "shipping-address", ADDRESS),
        ("POST", "payments", {"method": "card", "token": "pm_card_visa"}),
        ("POST", "attention/att_x/resolve", {"fix": "close"}),
    ],
)
async def test_a_command_without_an_engine_is_503_and_changes_nothing(
    api: Api, method: str, path: str, body: dict[str, Any]
) -> None:
    order_id = await taken(api)
    before = await api.value("SELECT snapshot FROM orders WHERE order_id = :id", id=order_id)

    answers = [
        await api["support"].request(
            method, f"/v1/orders/{order_id}/{path}", json=body, headers={"Idempotency-Key": f"{path}-1"}
        )
        for _ in range(2)
    ]

    assert [(a.status_code, a.json()["code"]) for a in answers] == [(503, "engine_away")] * 2
    assert all(int(a.headers["retry-after"]) > 0 for a in answers)
    assert await api.value("SELECT snapshot FROM orders WHERE order_id = :id", id=order_id) == before


async def test_a_key_that_was_used_for_another_command_is_refused(api: Api) -> None:
    order_id = await taken(api)
    path, headers = f"/v1/orders/{order_id}/cancel", {"Idempotency-Key": "one"}
    await api["support"].post(path, json={"reason": "customer"}, headers=headers)

    other = await api["support"].post(path, json={"reason": "other"}, headers=headers)

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("cancel", {"reason": "bored"}, "reason"),
        ("cancel", {"reason": "other", "note": "x" * 2001}, "note"),
        ("cancel", {"reason": "other", "lines": []}, "lines"),
        ("cancel", {"reason": "other", "lines": [{"line_id": "1", "quantity": 0}]}, "lines[0].quantity"),
        ("cancel", {"reason": "other", "lines": [{"line_id": "1", "quantity": 100_001}]}, "lines[0].quantity"),
        ("holds", {"reason": "bored"}, "reason"),
        ("holds", {"reason": "other", "fulfillment_id": "f" * 65}, "fulfillment_id"),
        ("holds/h/release", {"decision": "maybe"}, "decision"),
        ("notes", {"text": "x" * 2001}, "text"),
        ("notes", {"text": "a\0b"}, "text"),
        ("payments", {"method": "shells"}, "method"),
        ("payments", {"method": "card", "token": "t" * 201}, "token"),
        ("attention/a/resolve", {"fix": "pray"}, "fix"),
        ("attention/a/resolve", {"fix": "wait_longer", "parameters": {"hours": 721}}, "parameters.hours"),
        ("attention/a/resolve", {"fix": "assign", "parameters": {"person": "p" * 65}}, "parameters.person"),
    ],
)
async def test_what_makes_no_sense_names_its_field(api: Api, path: str, body: dict[str, Any], field: str) -> None:
    answer = await api["support"].post(f"/v1/orders/{await taken(api)}/{path}", json=body)

    assert answer.status_code == 422, answer.text
    assert field in errors(answer)


async def test_a_note_is_taken_without_an_engine_once(api: Api) -> None:
    order_id = await taken(api)
    notes = [
        await api["support"].post(
            f"/v1/orders/{order_id}/notes", json={"text": "called"}, headers={"Idempotency-Key": "note"}
        )
        for _ in range(2)
    ]

    view = (await api["support"].get(f"/v1/orders/{order_id}")).json()
    assert [a.status_code for a in notes] == [201, 201]
    assert [note["text"] for note in view["notes"]] == ["called"]


async def test_another_shops_order_cannot_be_cancelled(api: Api) -> None:
    answer = await api["other_storefront"].post(f"/v1/orders/{await taken(api)}/cancel", json={"reason": "customer"})

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
