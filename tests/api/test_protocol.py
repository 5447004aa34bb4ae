"""HTTP itself: keys, scopes, sizes, kinds of content, what is not JSON; always a problem document, never a 5xx."""

from collections.abc import AsyncIterator

import httpx
import orjson
import pytest

from tests.api.bodies import errors, order
from tests.api.conftest import CARRIER_SECRET, Api

JSON = {"Content-Type": "application/json"}
KIB_256 = 256 * 1024


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"nonsense",
        b"[]",
        b'"text"',
        b"null",
        b"NaN",
        b'{"order_ref": NaN}',
        b'{"total_minor": Infinity}',
        b'{"total_minor": -Infinity}',
        b'{"total_minor": 1e999}',
        b'{"total_minor": ' + b"9" * 5000 + b"}",
        b'{"order_ref": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"order_ref": "\\u0000"}',
        b'{"order_ref": "\x00"}',
        b"\x00",
        b"\xff\xfe",
        b'{"order_ref": "\xff"}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 20_000,
        b'{"metadata": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"lines": {"0": 1}, "payments": "card"}',
    ],
    ids=range(24),
)
@pytest.mark.parametrize("path", ["/v1/orders", "/v1/stock/receipts", "/v1/fulfillments/ful_x/events"])
async def test_what_is_no_request_is_refused(api: Api, raw: bytes, path: str) -> None:
    answer = await api["admin"].post(path, content=raw, headers=JSON)

    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "invalid_request"
    assert answer.json()["errors"]


async def test_a_body_of_the_largest_size_is_read_and_a_larger_one_is_not(api: Api) -> None:
    raw = orjson.dumps(order())

    largest = await api["admin"].post("/v1/orders", content=raw + b" " * (KIB_256 - len(raw)), headers=JSON)
    larger = await api["admin"].post("/v1/orders", content=b" " * (KIB_256 + 1), headers=JSON)

    assert largest.status_code == 201, largest.text
    assert (larger.status_code, larger.json()["code"]) == (413, "too_large")


async def test_a_body_of_unknown_size_is_stopped_while_it_streams(api: Api) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * KIB_256:
            sent += 4096
            yield b" " * 4096

    answer = await api["admin"].post("/v1/orders", content=endless(), headers=JSON)

    assert answer.status_code == 413
    assert sent <= KIB_256 + 8192


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/xml"},
        {},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_only_json_is_read(api: Api, headers: dict[str, str]) -> None:
    answer = await api["admin"].post("/v1/orders", content=b"{}", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_json_may_name_its_charset(api: Api) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}

    answer = await api["admin"].post("/v1/orders", content=orjson.dumps(order()), headers=headers)

    assert answer.status_code == 201


async def test_routes_and_methods_that_are_not_there(api: Api) -> None:
    nowhere = await api["admin"].get("/v1/nowhere")
    wrong = await api["admin"].delete("/v1/orders")

    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert "allow" in wrong.headers


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer wrong", "Basic YTpi", "Bearer \xe9\xff", "nonsense"])
async def test_no_known_key_is_401(api: Api, header: str | None) -> None:
    headers = httpx.Headers({} if header is None else {"Authorization": header}, encoding="latin-1")

    for request in (
        api["nobody"].get("/v1/orders", headers=headers),
        api["nobody"].post("/v1/orders", content=b"nonsense", headers=headers),
    ):
        answer = await request
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"


ALLOWED = {
    "storefront": {"GET /v1/orders", "POST /v1/orders", "GET /v1/availability?sku=MUG&country=GB"},
    "warehouse": {
        "GET /v1/fulfillments",
        "POST /v1/fulfillments/x/events",
        "GET /v1/stock",
        "GET /v1/stock/movements",
        "GET /v1/availability?sku=MUG&country=GB",
        "POST /v1/stock/receipts",
        "POST /v1/stock/adjustments",
        "POST /v1/stock/counts",
        "GET /v1/parcels/x/label",
        "GET /v1/products/MUG",
    },
    "carrier": set(),
    "support": {
        "GET /v1/orders",
        "POST /v1/orders",
        "GET /v1/stock",
        "GET /v1/stock/movements",
        "GET /v1/availability?sku=MUG&country=GB",
        "GET /v1/parcels/x/label",
        "GET /v1/parcels/x/tracking",
        "GET /v1/products/MUG",
    },
    "operations": {
        "GET /v1/orders",
        "GET /v1/stock",
        "GET /v1/stock/movements",
        "GET /v1/availability?sku=MUG&country=GB",
        "POST /v1/stock/receipts",
        "POST /v1/stock/adjustments",
        "POST /v1/stock/counts",
        "GET /v1/parcels/x/label",
        "GET /v1/parcels/x/tracking",
        "GET /v1/products/MUG",
        "PUT /v1/products/MUG",
        "PUT /v1/locations/LEEDS",
        "GET /v1/policy",
        "PUT /v1/policy",
    },
}
ALLOWED["storefront"].add("GET /v1/parcels/x/tracking")
EVERYTHING = sorted(set().union(*ALLOWED.values()))


@pytest.mark.parametrize("scope", [*ALLOWED, "admin"])
async def test_scopes_open_their_routes_and_no_others(api: Api, scope: str) -> None:
    for route in EVERYTHING:
        method, path = route.split(" ")
        answer = await api[scope].request(method, path, content=b"{}" if method != "GET" else None, headers=JSON)

        expected = scope == "admin" or route in ALLOWED[scope]
        assert (answer.status_code != 403) is expected, (scope, route, answer.status_code)


@pytest.mark.parametrize("actor", ["a b", "x" * 65, "a/b", "é"])
async def test_an_actor_is_a_plain_name(api: Api, actor: str) -> None:
    answer = await api["admin"].get("/v1/orders", headers=httpx.Headers({"Doorstep-Actor": actor}, "latin-1"))

    assert set(errors(answer)) == {"Doorstep-Actor"}


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_an_idempotency_key_has_a_length(api: Api, key: str) -> None:
    answer = await api["admin"].post("/v1/orders", json=order(), headers={"Idempotency-Key": key})

    assert set(errors(answer)) == {"Idempotency-Key"}


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/orders?limit=0", "limit"),
        ("/v1/orders?limit=201", "limit"),
        ("/v1/orders?limit=many", "limit"),
        ("/v1/orders?cursor=nonsense", "cursor"),
        ("/v1/orders?cursor=%00", "cursor"),
        ("/v1/orders?state=lost", "state"),
        ("/v1/orders?colour=red", "colour"),
        ("/v1/orders?sku=%00", "sku"),
        ("/v1/orders?received_from=today", "received_from"),
        ("/v1/orders?overdue=perhaps", "overdue"),
        ("/v1/orders/a%00b", "order_id"),
        ("/v1/orders/ord_x/events?cursor=x", "cursor"),
        ("/v1/stock/movements?cursor=x", "cursor"),
        ("/v1/availability?sku=MUG", "country"),
        ("/v1/availability?sku=MUG&country=ZZ", "country"),
        ("/v1/products/" + "x" * 65, "sku"),
    ],
)
async def test_parameters_are_checked(api: Api, path: str, field: str) -> None:
    answer = await api["admin"].get(path)

    assert answer.status_code == 422, answer.text
    assert set(errors(answer)) == {field}


async def test_a_cursor_that_was_altered_or_is_another_lists_is_refused(api: Api) -> None:
    for _ in range(2):
        await api["admin"].post("/v1/orders", json=order())
    cursor = (await api["admin"].get("/v1/orders?limit=1")).json()["next_cursor"]
    altered = ("B" if cursor[12] == "A" else "A").join((cursor[:12], cursor[13:]))

    assert (await api["admin"].get(f"/v1/orders?cursor={cursor}")).status_code == 200
    assert (await api["admin"].get(f"/v1/orders?cursor={altered}")).status_code == 422
    assert (await api["admin"].get(f"/v1/stock/movements?cursor={cursor}")).status_code == 422


async def test_health_readiness_and_figures(api: Api) -> None:
    assert (await api["nobody"].get("/healthz")).json() == {"status": "ok"}
    ready = await api["nobody"].get("/readyz")
    await api["nobody"].get("/v1/orders/ord_secret?email=a@example.org")
    figures = (await api["nobody"].get("/metrics")).text

    assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")
    assert ready.json()["detail"] == "not ready: relay outbox, relay publisher, relay webhooks, engine"
    assert 'route="/v1/orders/{order_id}"' in figures
    assert "ord_secret" not in figures


async def test_nothing_of_a_secret_is_shown(api: Api) -> None:
    document = (await api["nobody"].get("/openapi.json")).text

    assert CARRIER_SECRET not in document
