"""Stock, catalogue and policy: booked once, never below what is promised, every change in the ledger."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from tests.api.bodies import LOCATIONS, PRODUCTS, errors, order
from tests.api.conftest import Api


def _receipt(reference: str, quantity: int, *, sku: str = "MUG", location_id: str = "LEEDS") -> dict[str, Any]:
    return {"location_id": location_id, "reference": reference, "lines": [{"sku": sku, "quantity": quantity}]}


async def _level(api: Api, sku: str = "MUG", location_id: str = "LEEDS") -> dict[str, Any]:
    page = (await api["support"].get("/v1/stock", params={"sku": sku, "location_id": location_id})).json()
    level: dict[str, Any] = page["items"][0]
    return level


async def test_a_receipt_is_booked_once_per_reference(api: Api) -> None:
    answers = await asyncio.gather(
        *(api["warehouse"].post("/v1/stock/receipts", json=_receipt("po-1", 10)) for _ in range(10))
    )
    other = await api["warehouse"].post("/v1/stock/receipts", json=_receipt("po-1", 11))
    elsewhere = await api["warehouse"].post("/v1/stock/receipts", json=_receipt("po-1", 3, location_id="LYON"))

    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert len({answer.content for answer in answers}) == 1
    assert (other.status_code, other.json()["code"]) == (409, "reference_taken")
    assert elsewhere.status_code == 201
    level = await _level(api)
    assert (level["on_hand"], level["available"]) == (10, 10)


async def test_one_sku_on_two_lines_of_a_receipt_is_added_up(api: Api) -> None:
    lines = [{"sku": "LAMP", "quantity": 2}, {"sku": "LAMP", "quantity": 3}]

    answer = await api["operations"].post(
        "/v1/stock/receipts", json={"location_id": "LEEDS", "reference": "twice", "lines": lines}
    )

    assert answer.status_code == 201
    assert (await _level(api, "LAMP"))["on_hand"] == 5


async def test_unknown_skus_and_locations_are_named(api: Api) -> None:
    body = {"location_id": "NOWHERE", "reference": "x", "lines": [{"sku": "MUG", "quantity": 1}]}
    body["lines"] = [*PLAIN, {"sku": "NOPE", "quantity": 1}]

    answer = await api["warehouse"].post("/v1/stock/receipts", json=body)

    assert errors(answer) == {"location_id": "unknown_location", "lines[1].sku": "unknown_sku"}


PLAIN: list[dict[str, Any]] = [{"sku": "MUG", "quantity": 1}]


async def test_an_adjustment_never_takes_what_is_promised(api: Api) -> None:
    await api["warehouse"].post("/v1/stock/receipts", json=_receipt("adj", 5, location_id="LYON", sku="LAMP"))
    async with api.sessions.begin() as session:
        await session.execute(
            text("UPDATE stock SET reserved = 3, unavailable = 1 WHERE location_id = 'LYON' AND sku = 'LAMP'")
        )

    def body(delta: int) -> dict[str, Any]:
        return {"location_id": "LYON", "reason": "broken", "lines": [{"sku": "LAMP", "delta": delta}]}

    refused = await api["warehouse"].post("/v1/stock/adjustments", json=body(-2))
    taken = await api["warehouse"].post("/v1/stock/adjustments", json=body(-1))

    assert (refused.status_code, refused.json()["code"]) == (409, "stock_reserved")
    assert taken.status_code == 201
    assert (await _level(api, "LAMP", "LYON"))["on_hand"] == 4


async def test_an_adjustment_with_a_key_is_booked_once(api: Api) -> None:
    before = (await _level(api))["on_hand"]
    body = {"location_id": "LEEDS", "reason": "found", "lines": [{"sku": "MUG", "delta": 1}]}
    headers = {"Idempotency-Key": "adjust-once"}

    answers = [await api["warehouse"].post("/v1/stock/adjustments", json=body, headers=headers) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert (await _level(api))["on_hand"] == before + 1


async def test_a_count_is_booked_against_what_stood_there_then(api: Api) -> None:
    await api["operations"].put("/v1/products/BOOK", json=PRODUCTS["MUG"])
    await api["warehouse"].post("/v1/stock/receipts", json=_receipt("c-1", 10, sku="BOOK"))
    counted_at = datetime.now(UTC)
    await api["warehouse"].post("/v1/stock/receipts", json=_receipt("c-2", 5, sku="BOOK"))
    body = {
        "location_id": "LEEDS",
        "reference": "year-end",
        "counted_at": counted_at.isoformat(),
        "lines": [{"sku": "BOOK", "counted": 8}],
    }

    first = await api["warehouse"].post("/v1/stock/counts", json=body)
    again = await api["warehouse"].post("/v1/stock/counts", json=body)
    other = await api["warehouse"].post("/v1/stock/counts", json=body | {"lines": [{"sku": "BOOK", "counted": 9}]})

    assert [answer.status_code for answer in (first, again, other)] == [201, 200, 409]
    assert (await _level(api, "BOOK"))["on_hand"] == 13
    page = (await api["support"].get("/v1/stock/movements?sku=BOOK&limit=1")).json()
    assert [(m["kind"], m["quantity"], m["cause"]) for m in page["items"]] == [("counted", -2, "count/year-end")]
    assert page["next_cursor"] is not None


async def test_what_was_never_there_can_be_counted_once_by_many(api: Api) -> None:
    await api["operations"].put("/v1/products/PEN", json=PRODUCTS["MUG"])

    def body(number: int) -> dict[str, Any]:
        return {
            "location_id": "LEEDS",
            "reference": f"pen-{number}",
            "counted_at": datetime.now(UTC).isoformat(),
            "lines": [{"sku": "PEN", "counted": 4}],
        }

    answers = await asyncio.gather(*(api["warehouse"].post("/v1/stock/counts", json=body(n)) for n in range(8)))

    assert {answer.status_code for answer in answers} <= {201, 409}
    assert any(answer.status_code == 201 for answer in answers)


async def test_a_count_in_the_future_or_twice_is_refused(api: Api) -> None:
    line = {"sku": "MUG", "counted": 1}
    late = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = {"location_id": "LEEDS", "reference": "f", "counted_at": late, "lines": [line]}

    future = await api["warehouse"].post("/v1/stock/counts", json=body)
    twice = await api["warehouse"].post(
        "/v1/stock/counts", json=body | {"counted_at": "2026-01-01T00:00:00Z", "lines": [line, line]}
    )

    assert errors(future) == {"counted_at": "in_the_future"}
    assert errors(twice) == {"lines[1].sku": "duplicate"}


async def test_more_than_can_be_counted_is_refused(api: Api) -> None:
    await api["operations"].put("/v1/products/SAND", json=PRODUCTS["MUG"])
    lines = [{"sku": "SAND", "quantity": 10_000_000}] * 500

    answer = await api["warehouse"].post(
        "/v1/stock/receipts", json={"location_id": "LEEDS", "reference": "beach", "lines": lines}
    )

    assert answer.status_code == 422, answer.text
    assert (await api["support"].get("/v1/stock?sku=SAND")).json()["items"] == []


async def test_availability_adds_up_active_locations(api: Api) -> None:
    await api["operations"].put("/v1/products/HAT", json=PRODUCTS["MUG"] | {"safety_stock": 2})
    await api["warehouse"].post("/v1/stock/receipts", json=_receipt("hat", 5, sku="HAT"))
    await api["warehouse"].post("/v1/stock/receipts", json=_receipt("hat", 1, sku="HAT", location_id="LYON"))

    answer = await api["storefront"].get("/v1/availability?sku=HAT&country=GB")
    unknown = await api["storefront"].get("/v1/availability?sku=NOPE&country=GB")

    assert answer.json()["available"] == 3
    assert answer.json()["ship_by"] is not None
    assert unknown.status_code == 404


async def test_products_and_locations_are_made_changed_and_shown(api: Api) -> None:
    made = await api["operations"].put("/v1/products/A%2FB 1", json=PRODUCTS["MUG"])
    changed = await api["operations"].put("/v1/products/A%2FB 1", json=PRODUCTS["MUG"] | {"name": "Other"})
    shown = await api["support"].get("/v1/products/A%2FB 1")
    place = await api["operations"].put("/v1/locations/LEEDS", json=LOCATIONS["LEEDS"] | {"timezone": "Europe/London"})

    assert (made.status_code, changed.status_code, place.status_code) == (201, 200, 200)
    assert shown.json() == changed.json()
    assert (shown.json()["sku"], shown.json()["name"]) == ("A/B 1", "Other")
    assert (await api["warehouse"].get("/v1/locations/LEEDS")).json()["timezone"] == "Europe/London"
    assert (await api["warehouse"].get("/v1/locations/NOWHERE")).status_code == 404
    assert (await api["warehouse"].get("/v1/products/NOPE")).status_code == 404


async def test_what_no_product_or_location_is(api: Api) -> None:
    product = PRODUCTS["MUG"] | {"weight_g": 0, "gtin": "12", "safety_stock": -1, "colour": "red", "length_mm": 1.5}
    location = LOCATIONS["LEEDS"] | {"latitude": 91, "longitude": -181, "timezone": "Mars", "country": "Britain"}

    refused = await api["operations"].put("/v1/products/X", json=product)
    nowhere = await api["operations"].put("/v1/locations/X", json=location)

    assert set(errors(refused)) == {"weight_g", "gtin", "safety_stock", "colour", "length_mm"}
    assert set(errors(nowhere)) == {"latitude", "longitude", "timezone", "country"}


async def test_a_new_policy_is_for_new_orders(api: Api) -> None:
    before = (await api["operations"].get("/v1/policy")).json()
    old = (await api["storefront"].post("/v1/orders", json=order())).json()

    answer = await api["operations"].put(
        "/v1/policy",
        json={"rules": {"standard_ship_within": "PT36H"}, "profile": "slow"},
        headers={"Doorstep-Actor": "boss"},
    )
    new = (await api["storefront"].post("/v1/orders", json=order())).json()

    after = answer.json()
    assert answer.status_code == 200, answer.text
    assert (after["version"], after["actor"], after["profile"]) == (before["version"] + 1, "boss", "slow")
    assert after["rules"] == before["rules"] | {"standard_ship_within": "P1DT12H"}
    assert (old["policy_version"], new["policy_version"]) == (before["version"], after["version"])
    hours = datetime.fromisoformat(new["promise"]["ship_by"]) - datetime.fromisoformat(new["received_at"])
    assert hours == timedelta(hours=36)


async def test_a_later_policy_waits_for_its_time(api: Api) -> None:
    before = (await api["operations"].get("/v1/policy")).json()
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()

    answer = await api["operations"].put("/v1/policy", json={"rules": {}, "effective_at": later})

    assert answer.status_code == 200
    assert (await api["operations"].get("/v1/policy")).json() == before


async def test_what_no_rule_is(api: Api) -> None:
    rules = {
        "cash_on_delivery_limit_minor": -1,
        "accept_within": "PT0S",
        "parcel_silence": 5,
        "parked_within": "-P1D",
        "collect_within": "P400D",
        "generosity": 1,
    }

    answer = await api["operations"].put("/v1/policy", json={"rules": rules})
    past = await api["operations"].put("/v1/policy", json={"rules": {}, "effective_at": "2020-01-01T00:00:00Z"})

    assert set(errors(answer)) == {f"rules.{name}" for name in rules}
    assert set(errors(past)) == {"effective_at"}
