"""What may not be ordered: every fault of a request is named, all at once, and nothing is kept."""

from collections.abc import AsyncIterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.bodies import errors, order
from tests.api.conftest import Api

LINE = {"sku": "MUG", "quantity": 1, "unit_price_minor": 1000}
ADDRESS = {"lines": ["1 High St"], "city": "Leeds", "postal_code": "LS1 4DY", "country": "GB"}
CASH = {"method": "cash_on_delivery"}


@pytest.fixture(autouse=True)
async def nothing_kept(api: Api) -> AsyncIterator[None]:
    """Whatever a test of this module sends and is refused leaves no row."""
    query = "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM order_archive), (SELECT count(*) FROM outbox)"
    before = await api.rows(query)
    yield
    assert await api.rows(query) == before


def _changed(path: str, value: Any) -> dict[str, Any]:
    body = deepcopy(order(lines=[dict(LINE)]))
    target: Any = body
    *parents, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    for part in parents:
        if isinstance(target, dict) and part not in target:
            target[part] = {}
        target = target[part]
    target[last] = value
    return body


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("order_ref", "x" * 65, "order_ref"),
        ("order_ref", "", "order_ref"),
        ("order_ref", "a\x00b", "order_ref"),
        ("order_ref", "a\nb", "order_ref"),
        ("order_ref", " padded ", "order_ref"),
        ("order_ref", 7, "order_ref"),
        ("channel", "fax", "channel"),
        ("source", "x" * 65, "source"),
        ("currency", "gbp", "currency"),
        ("currency", "XXX", "currency"),
        ("currency", "GBPX", "currency"),
        ("service_level", "overnight", "service_level"),
        ("customer", None, "customer"),
        ("customer.customer_ref", "x" * 65, "customer.customer_ref"),
        ("customer.name", "x" * 201, "customer.name"),
        ("customer.email", "nobody", "customer.email"),
        ("customer.email", "a" * 250 + "@b.example", "customer.email"),
        ("customer.phone", "12", "customer.phone"),
        ("customer.phone", "x" * 33, "customer.phone"),
        ("customer.phone", "call me", "customer.phone"),
        ("customer.locale", "e", "customer.locale"),
        ("customer.notify", "pigeon", "customer.notify"),
        ("customer.optional_notices", 1, "customer.optional_notices"),
        ("customer.password", "x", "customer.password"),
        ("shipping_address.lines", [], "shipping_address.lines"),
        ("shipping_address.lines", ["a"] * 7, "shipping_address.lines"),
        ("shipping_address.lines", ["x" * 201], "shipping_address.lines[0]"),
        ("shipping_address.city", None, "shipping_address.city"),
        ("shipping_address.postal_code", "75001", "shipping_address.postal_code"),
        ("shipping_address.postal_code", None, "shipping_address.postal_code"),
        ("shipping_address.country", "ZZ", "shipping_address.country"),
        ("shipping_address.country", "XX", "shipping_address.country"),
        ("shipping_address.country", "gb", "shipping_address.country"),
        ("billing_address", ADDRESS | {"postal_code": "x"}, "billing_address.postal_code"),
        ("ip_country", "England", "ip_country"),
        ("delivery.method", "drone", "delivery.method"),
        ("delivery", {"method": "pickup_point"}, "delivery.pickup_point_id"),
        ("delivery", {"method": "home", "pickup_point_id": "x"}, "delivery.pickup_point_id"),
        ("gift", {"message": "x" * 501}, "gift.message"),
        ("lines", [], "lines"),
        ("lines", [{**LINE, "line_id": str(n)} for n in range(501)], "lines"),
        ("lines.0.sku", "NOPE", "lines[0].sku"),
        ("lines.0.sku", "x" * 65, "lines[0].sku"),
        ("lines.0.line_id", "x" * 65, "lines[0].line_id"),
        ("lines.0.quantity", 0, "lines[0].quantity"),
        ("lines.0.quantity", 100_001, "lines[0].quantity"),
        ("lines.0.quantity", "1", "lines[0].quantity"),
        ("lines.0.quantity", True, "lines[0].quantity"),
        ("lines.0.quantity", 1.0, "lines[0].quantity"),
        ("lines.0.quantity", 10**400, "lines[0].quantity"),
        ("lines.0.unit_price_minor", -1, "lines[0].unit_price_minor"),
        ("lines.0.unit_price_minor", 10**12 + 1, "lines[0].unit_price_minor"),
        ("lines.0.discount_minor", 1001, "lines[0].discount_minor"),
        ("lines", [{**LINE, "line_id": "a"}, {**LINE, "line_id": "a"}], "lines[1].line_id"),
        ("lines", [{**LINE, "line_id": "2"}, dict(LINE)], "lines[1].line_id"),
        ("lines", [{**LINE, "quantity": 100_000, "unit_price_minor": 10**8}], "total_minor"),
        ("prices_include_tax", "yes", "prices_include_tax"),
        ("shipping_minor", -1, "shipping_minor"),
        ("shipping_discount_minor", 1, "shipping_discount_minor"),
        ("total_minor", 999, "total_minor"),
        ("payments", [], "payments"),
        (
            "payments",
            [{"method": "card", "amount_minor": 100}] * 9 + [{"method": "card", "amount_minor": 50}] * 2,
            "payments",
        ),
        ("payments", [{"method": "cheque"}], "payments[0].method"),
        ("payments", [{"method": "prepaid"}], "payments[0].reference"),
        ("payments", [{"method": "store_credit", "reference": "cr_1"}], "payments[0].reference"),
        ("payments", [CASH | {"token": "x"}], "payments[0].token"),
        ("payments", [{"method": "card"}, {"method": "wallet"}], "payments[1].amount_minor"),
        ("payments", [{"method": "card", "amount_minor": 999}], "payments"),
        ("payments", [{"method": "card", "amount_minor": 1000}, CASH], "payments[1].amount_minor"),
        ("payments", [{"method": "card", "amount_minor": 0}, CASH], "payments[0].amount_minor"),
        ("payments", [CASH | {"amount_minor": 1}, CASH], "payments[1].method"),
        ("placed_at", "2026-01-31T12:00:00", "placed_at"),
        ("placed_at", "yesterday", "placed_at"),
        ("placed_at", "0001-01-01T00:00:00+14:00", "placed_at"),
        ("placed_at", "1600000000", "placed_at"),
        ("placed_at", 1600000000, "placed_at"),
        ("placed_at", (datetime.now(UTC) + timedelta(hours=25)).isoformat(), "placed_at"),
        ("note", "x" * 2001, "note"),
        ("metadata", {str(n): n for n in range(51)}, "metadata"),
        ("metadata", {"k": "x" * 501}, "metadata.k"),
        ("metadata", {"k": "\x00"}, "metadata.k"),
        ("metadata", {"k": [1]}, "metadata.k"),
        ("metadata", {"k": 10**16}, "metadata.k"),
        ("metadata", {"k": 0.5}, "metadata.k"),
        ("unknown", 1, "unknown"),
    ],
)
async def test_what_is_wrong_is_named(api: Api, path: str, value: Any, field: str) -> None:
    body = _changed(path, value)

    answer = await api["storefront"].post("/v1/orders", json=body)

    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), answer.text
    assert answer.json()["code"] == "invalid_request"
    assert set(errors(answer)) == {field}, answer.text


async def test_every_fault_is_named_at_once(api: Api) -> None:
    body = order(
        currency="XXX",
        customer={"customer_ref": "", "phone": "12"},
        shipping_address=ADDRESS | {"postal_code": "nope"},
        lines=[LINE | {"quantity": 0}, LINE | {"sku": "NOPE"}, LINE | {"line_id": "x", "discount_minor": 1001}],
        payments=[{"method": "prepaid"}],
        colour="red",
    )

    answer = await api["storefront"].post("/v1/orders", json=body)

    assert set(errors(answer)) == {
        "currency",
        "customer.customer_ref",
        "customer.phone",
        "shipping_address.postal_code",
        "lines[0].quantity",
        "lines[1].sku",
        "lines[2].discount_minor",
        "payments[0].reference",
        "colour",
    }


async def test_missing_fields_are_named(api: Api) -> None:
    answer = await api["storefront"].post("/v1/orders", json={})

    assert errors(answer) == dict.fromkeys(
        ("order_ref", "channel", "currency", "customer", "shipping_address", "lines", "payments"), "missing"
    )


async def test_a_wrong_total_names_both_figures(api: Api) -> None:
    answer = await api["storefront"].post("/v1/orders", json=order(total_minor=2020, shipping_minor=495))

    detail = answer.json()["errors"][0]["detail"]
    assert "2020" in detail
    assert "2025" in detail


async def test_what_cannot_be_sent_has_a_code_of_its_own(api: Api) -> None:
    answer = await api["storefront"].post("/v1/orders", json=order(lines=[LINE | {"sku": "CARD"}]))

    assert (answer.status_code, answer.json()["code"]) == (422, "not_shippable")
    assert errors(answer) == {"lines[0].sku": "not_shippable"}


async def test_cash_is_taken_up_to_the_policys_limit(api: Api) -> None:
    lines = [LINE | {"unit_price_minor": 100_001}]

    answer = await api["storefront"].post("/v1/orders", json=order(lines=lines, payments=[CASH]))

    assert errors(answer) == {"payments[0].method": "over_limit"}
