"""The database away or overrun: 503 with Retry-After, never a 5xx of another kind, nothing taken."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import text

from api.app import create_app
from db.session import create_sessions
from devstack.ports import HOST, free_base
from runtime.settings import Settings
from tests.api.bodies import order
from tests.api.conftest import Api


@pytest.fixture(scope="module")
async def lonely() -> AsyncIterator[httpx.AsyncClient]:
    """An API whose database does not answer."""
    app = create_app(Settings(database_url=f"postgresql://nobody@{HOST}:{free_base(1)}/nothing"))
    headers = {"Authorization": "Bearer some-key"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api", headers=headers) as client:
        yield client
    await app.state.context.close()


@pytest.mark.parametrize("path", ["/v1/orders", "/v1/orders/ord_x", "/v1/fulfillments", "/v1/stock", "/v1/policy"])
async def test_reading_without_a_database_is_503(lonely: httpx.AsyncClient, path: str) -> None:
    answer = await lonely.get(path)

    assert (answer.status_code, answer.json()["code"]) == (503, "database_away")
    assert int(answer.headers["retry-after"]) > 0


async def test_an_order_without_a_database_is_503(lonely: httpx.AsyncClient) -> None:
    answer = await lonely.post("/v1/orders", json=order())

    assert (answer.status_code, answer.json()["code"]) == (503, "database_away")


async def test_the_process_is_up_but_not_ready_without_a_database(lonely: httpx.AsyncClient) -> None:
    ready = await lonely.get("/readyz")

    assert (await lonely.get("/healthz")).status_code == 200
    assert ready.status_code == 503
    assert "database" in ready.json()["detail"]


async def test_connections_that_the_database_closed_are_replaced(api: Api) -> None:
    assert (await api["admin"].get("/v1/orders")).status_code == 200
    other = create_sessions(api.context.settings.database_url)
    async with other.begin() as session:
        await session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    await other.kw["bind"].dispose()

    answers = [await api["admin"].post("/v1/orders", json=order()) for _ in range(5)]

    assert {answer.status_code for answer in answers} <= {201, 503}
    assert answers[-1].status_code == 201


async def test_a_lock_that_is_not_got_is_503(api: Api) -> None:
    await api["admin"].post(
        "/v1/stock/receipts",
        json={"location_id": "LEEDS", "reference": "lock", "lines": [{"sku": "MUG", "quantity": 1}]},
    )
    body = {"location_id": "LEEDS", "reason": "held", "lines": [{"sku": "MUG", "delta": 1}]}
    async with api.sessions.begin() as session:
        await session.execute(text("SELECT * FROM stock FOR UPDATE"))
        answer = await api["admin"].post("/v1/stock/adjustments", json=body)

    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert int(answer.headers["retry-after"]) > 0


async def test_carts_with_the_same_skus_in_opposite_order_do_not_block_each_other(api: Api) -> None:
    def body(skus: list[str], number: int) -> dict[str, object]:
        lines = [{"sku": sku, "quantity": 1} for sku in skus]
        return {"location_id": "LEEDS", "reference": f"cross-{number}", "lines": lines}

    bodies = [body(["MUG", "LAMP"] if number % 2 else ["LAMP", "MUG"], number) for number in range(30)]
    answers = await asyncio.gather(*(api["admin"].post("/v1/stock/receipts", json=one) for one in bodies))

    assert {answer.status_code for answer in answers} == {201}
