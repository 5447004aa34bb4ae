"""The API in this process against a real PostgreSQL, one client per kind of key; the engine is away."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event, text

from api.app import create_app
from api.context import Context
from db import keys
from db.session import Sessions, create_sessions, dispose
from domain.vocabulary import Scope
from runtime.settings import CarrierSettings, Settings
from tests.api.bodies import LOCATIONS, PRODUCTS

CARRIER_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STRIPE_SECRET = "whsec_stripe_test"

KEYS: dict[str, tuple[list[Scope], list[str] | None]] = {
    "storefront": ([Scope.STOREFRONT], ["default"]),
    "other_storefront": ([Scope.STOREFRONT], ["elsewhere"]),
    "warehouse": ([Scope.WAREHOUSE], None),
    "carrier": ([Scope.CARRIER], None),
    "support": ([Scope.SUPPORT], None),
    "operations": ([Scope.OPERATIONS], None),
    "admin": ([Scope.ADMIN], None),
}


@dataclass(frozen=True)
class Api:
    """The application with its database and a client per key."""

    app: FastAPI
    sessions: Sessions
    clients: dict[str, httpx.AsyncClient]

    def __getitem__(self, name: str) -> httpx.AsyncClient:
        return self.clients[name]

    @property
    def context(self) -> Context:
        context: Context = self.app.state.context
        return context

    async def rows(self, query: str, **values: Any) -> list[Any]:
        """What *query* finds."""
        async with self.sessions() as session:
            return list((await session.execute(text(query), values)).all())

    async def value(self, query: str, **values: Any) -> Any:
        """The one value that *query* finds."""
        return (await self.rows(query, **values))[0][0]

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """The statements that are sent while the block runs."""
        sent: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            sent.append(statement)

        engine = self.sessions.kw["bind"].sync_engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            yield sent
        finally:
            event.remove(engine, "before_cursor_execute", note)


def settings_for(database_url: str) -> Settings:
    """Settings whose engine is away: nothing listens at its address."""
    return Settings(
        database_url=database_url,
        temporal_address="127.0.0.1:9",
        temporal_ui_url="http://127.0.0.1:8233",
        stripe_webhook_secret=STRIPE_SECRET,
        tracking_secrets=("tracking-secret", "an-older-one"),
        carriers={"swift": CarrierSettings(url="http://127.0.0.1:9", secret=CARRIER_SECRET)},
    )


@pytest.fixture(scope="module")
async def api(database_url: str) -> AsyncIterator[Api]:
    """The API over a fresh database with a small catalogue."""
    sessions = create_sessions(database_url)
    app = create_app(settings_for(database_url), sessions=sessions)
    clients = {"nobody": _client(app, None)}
    async with sessions.begin() as session:
        for name, (scopes, sources) in KEYS.items():
            secret = secrets.token_urlsafe(24)
            await keys.ensure_key(session, name=name, secret=secret, scopes=scopes, sources=sources)
            clients[name] = _client(app, secret)
    found = Api(app=app, sessions=sessions, clients=clients)
    await _stock_up(found["operations"])
    yield found
    for client in clients.values():
        await client.aclose()
    await found.context.close()
    await dispose(sessions)


def _client(app: FastAPI, secret: str | None) -> httpx.AsyncClient:
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api", headers=headers, timeout=60)


async def _stock_up(client: httpx.AsyncClient) -> None:
    for location_id, location in LOCATIONS.items():
        assert (await client.put(f"/v1/locations/{location_id}", json=location)).status_code == 201
    for sku, product in PRODUCTS.items():
        assert (await client.put(f"/v1/products/{sku}", json=product)).status_code == 201


async def all_pages(client: httpx.AsyncClient, path: str, **params: Any) -> list[dict[str, Any]]:
    """The items of every page of a list."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = (await client.get(path, params=params | ({"cursor": cursor} if cursor else {}))).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found
