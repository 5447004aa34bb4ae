"""Two stacks per session: one whose floor and carriers play by themselves, one on which the tests play them."""

from collections.abc import AsyncIterator

import pytest

from devstack.stack import StackOptions
from tests.fixtures.shop import Shop
from tests.fixtures.stack import SPEED, checked, open_shop


@pytest.fixture(scope="session")
async def playing_stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """The stack whose floor and carriers play by themselves, fast."""
    options = StackOptions(data=tmp_path_factory.mktemp("playing") / "data", speed=SPEED)
    async with open_shop(options) as (shop, _):
        yield shop


@pytest.fixture(scope="session")
async def silent_stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """The stack whose floor and carriers do nothing: the test plays them."""
    options = StackOptions(data=tmp_path_factory.mktemp("silent") / "data", speed=SPEED, hands_off=True)
    async with open_shop(options) as (shop, _):
        yield shop


@pytest.fixture
async def shop(playing_stack: Shop) -> AsyncIterator[Shop]:
    """The playing stack; the test ends with the checker."""
    async with checked(playing_stack) as shop:
        yield shop


@pytest.fixture
async def hands(silent_stack: Shop) -> AsyncIterator[Shop]:
    """The silent stack; the test ends with the checker."""
    async with checked(silent_stack) as shop:
        yield shop
