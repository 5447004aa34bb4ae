"""Worlds and stand-ins that end with their test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from providers.carrier import HttpCarrier
from providers.payment import StripePayments

from .stage import STRIPE_KEY, FakeApi, World, WorldProcess


@pytest_asyncio.fixture
async def api() -> AsyncIterator[FakeApi]:
    """A stand-in for our API."""
    fake = FakeApi()
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world that calls nobody."""
    process = World(tmp_path)
    process.start()
    yield process
    process.stop()


@pytest_asyncio.fixture
async def lively(tmp_path: Path, api: FakeApi) -> AsyncIterator[World]:
    """A world that calls the stand-in, without delays."""
    process = World(tmp_path, api_url=api.url)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[WorldProcess]:
    """A world in its own process that calls nobody."""
    process = WorldProcess(tmp_path)
    process.start()
    yield process
    process.stop()


@pytest_asyncio.fixture
async def lively_process(tmp_path: Path, api: FakeApi) -> AsyncIterator[WorldProcess]:
    """A world in its own process that calls the stand-in."""
    process = WorldProcess(tmp_path, api_url=api.url)
    process.start()
    yield process
    process.stop()


@pytest_asyncio.fixture
async def idle(tmp_path: Path, api: FakeApi) -> AsyncIterator[World]:
    """A world whose floor and carriers do nothing by themselves."""
    world = World(tmp_path, api_url=api.url, settings={"hands_off": True})
    world.start()
    yield world
    world.stop()


@pytest_asyncio.fixture
async def payments(world: World) -> AsyncIterator[StripePayments]:
    """Our Stripe adapter against the quiet world."""
    adapter = StripePayments(key=STRIPE_KEY, url=world.url)
    yield adapter
    await adapter.close()


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client for the carriers."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
def parcelway(world: World, http: httpx.AsyncClient) -> HttpCarrier:
    """Our adapter for the slow and cheap carrier."""
    return HttpCarrier("parcelway", f"{world.url}/carriers/parcelway", http)


@pytest.fixture
def swift(world: World, http: httpx.AsyncClient) -> HttpCarrier:
    """Our adapter for the fast and dear carrier."""
    return HttpCarrier("swift", f"{world.url}/carriers/swift", http)
