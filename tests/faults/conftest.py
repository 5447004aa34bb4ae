"""One stack on which processes are killed and the world fails; every test leaves it whole again."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from cli import up
from db.session import create_sessions, dispose
from devstack.stack import Hooks, Stack, StackOptions
from runtime import engine, recovery, settings
from tests.fixtures.shop import Shop
from tests.fixtures.stack import SPEED, checked, open_shop

USUAL_CONTINUE_AFTER = 1000


@dataclass
class Site:
    """A stack, those who deal with it, and how soon the orders that it recovers continue as new."""

    shop: Shop
    stack: Stack
    continue_after: int = USUAL_CONTINUE_AFTER

    async def lose_engine(self) -> None:
        """The engine is killed and its database file is gone; it stays away."""
        await self.kill_and_keep_down("temporal")
        self.stack.delete_engine_file()
        [row] = await self.shop.rows("SELECT now() AS now")
        self.shop.engine_lost_at = row["now"]

    async def kill_and_keep_down(self, name: str) -> None:
        """A process is killed and stays away."""
        self.stack.kill(name)
        await self.stack.stop_child(name)

    async def kill_and_wait(self, name: str) -> None:
        """A process is killed; returns when its successor serves."""
        old = self.stack.kill(name)
        await self.stack.wait_for_new_pid(name, old)
        await self.stack.wait_until_ready()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here can be left out, or run alone, by its marker."""
    for item in items:
        if "tests/faults/" in item.path.as_posix():
            item.add_marker(pytest.mark.faults)


@pytest.fixture(scope="session")
async def whole_site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The stack of all fault tests."""
    sites: list[Site] = []

    async def recover_orders(environment: Mapping[str, str]) -> int:
        read = settings.load(environment)
        sessions = create_sessions(read.database_url, pool_size=2)
        try:
            return await recovery.restart_open_orders(
                sessions,
                await engine.connect(read),
                read.task_queue,
                continue_after=sites[0].continue_after if sites else USUAL_CONTINUE_AFTER,
            )
        finally:
            await dispose(sessions)

    hooks = Hooks(migrate=up.migrate, seed=up.seed, prepare_engine=up.prepare_engine, recover_orders=recover_orders)
    options = StackOptions(data=tmp_path_factory.mktemp("faults") / "data", speed=SPEED)
    async with open_shop(options, hooks) as (shop, stack):
        sites.append(Site(shop, stack))
        yield sites[0]


@pytest.fixture
async def site(whole_site: Site) -> AsyncIterator[Site]:
    """The stack of all fault tests, whole; the test ends with the checker."""
    async with checked(whole_site.shop):
        yield whole_site
        await whole_site.stack.wait_until_ready()


def plain(view: Mapping[str, Any]) -> tuple[str, int]:
    """How an order ended: its state and what was captured."""
    return view["state"], view["amounts"]["captured_minor"]
