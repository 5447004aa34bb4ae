"""The OpenAPI document is true: whatever is sent, no 5xx and no answer that it does not name."""

import secrets
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, settings
from schemathesis.checks import positive_data_acceptance

from api.app import create_app
from db import keys
from db.session import create_sessions, dispose
from devstack.ports import HOST, free_base
from tests.api.bodies import LOCATIONS, PRODUCTS, order
from tests.api.conftest import settings_for
from tests.fixtures.postgres import run

schema = schemathesis.openapi.from_dict(create_app(settings_for("postgresql://nobody@localhost/nothing")).openapi())

# Ready or not depends on the relays and the engine, which are not there in this test.
# A stream does not end by itself: tests/api/test_streams.py follows those.
tried = schema.exclude(path=["/readyz", "/v1/events"])


@pytest.fixture(scope="module")
def base_url(database_url: str) -> Iterator[str]:
    """A served API with a little in it."""
    port = free_base(1)
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings_for(database_url)), host=HOST, port=port, log_level="warning", ws="none")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://{HOST}:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope="module")
def headers(base_url: str, database_url: str) -> dict[str, str]:
    """A key that may do everything, for a catalogue and an order that are there."""
    secret = secrets.token_urlsafe(24)
    run(_add_key(database_url, secret))
    found = {"Authorization": f"Bearer {secret}"}
    with httpx.Client(base_url=base_url, headers=found, transport=httpx.HTTPTransport(retries=50)) as client:
        for location_id, location in LOCATIONS.items():
            client.put(f"/v1/locations/{location_id}", json=location).raise_for_status()
        for sku, product in PRODUCTS.items():
            client.put(f"/v1/products/{sku}", json=product).raise_for_status()
        client.post("/v1/orders", json=order()).raise_for_status()
    return found


async def _add_key(database_url: str, secret: str) -> None:
    sessions = create_sessions(database_url)
    async with sessions.begin() as session:
        await keys.ensure_key(session, name="admin", secret=secret, scopes=["admin"])
    await dispose(sessions)


@tried.parametrize()
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
def test_no_answer_is_a_surprise(case: schemathesis.Case[Any], base_url: str, headers: dict[str, str]) -> None:
    # Not every order that has the right shape can be taken: its products may be unknown, its total wrong.
    case.call_and_validate(base_url=base_url, headers=headers, excluded_checks=[positive_data_acceptance], timeout=30)


def test_the_document_names_every_route(base_url: str) -> None:
    document = httpx.get(f"{base_url}/openapi.json").json()

    assert "/v1/orders" in document["paths"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            described = {answer["description"] for answer in operation["responses"].values()}
            assert all(described), (method, path)
    assert httpx.get(f"{base_url}/docs").status_code == 200
