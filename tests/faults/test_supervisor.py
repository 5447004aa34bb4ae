"""The supervisor itself is killed: its children go with it, and the next `up` goes on with every open order."""

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from devstack.children import PORT_COUNT
from devstack.ports import free_base
from tests.faults.conftest import plain
from tests.faults.stages import hold_at_every_stage, send_on
from tests.fixtures import bodies
from tests.fixtures.shop import Shop
from tests.fixtures.stack import LOCATIONS, SPEED, checked, remove
from tests.fixtures.waiting import until

WITHIN = 150.0


class Up:
    """An `up` in a process of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._port = free_base(PORT_COUNT)
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Return once the stack is named, which is when all of it is ready."""
        options = ["--no-demo", "--data", str(self.data), "--base-port", str(self._port), "--speed", str(SPEED)]
        with (self.data.parent / "up.out").open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cli", "up", *options], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        await until(self._is_named, "up to be ready", within=WITHIN)

    async def end(self, number: signal.Signals) -> None:
        """Send a signal and wait until neither it nor a child of it is left."""
        assert self._process is not None
        children = self.info()["pids"].values()
        self._process.send_signal(number)
        self._process.wait(timeout=WITHIN)

        async def gone() -> bool:
            return not any(_runs(pid) for pid in children)

        await until(gone, "its children to be gone", within=WITHIN)

    @property
    def runs(self) -> bool:
        """Whether it does."""
        return self._process is not None and self._process.poll() is None

    def info(self) -> dict[str, Any]:
        """What stack.json says now."""
        content: dict[str, Any] = json.loads((self.data / "stack.json").read_text())
        return content

    async def _is_named(self) -> bool:
        assert self.runs, (self.data.parent / "up.out").read_text()
        with suppress(FileNotFoundError, json.JSONDecodeError):
            return all(_runs(pid) for pid in self.info()["pids"].values())
        return False


def _runs(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


@pytest.fixture
async def up(tmp_path: Path) -> AsyncIterator[Up]:
    up = Up(tmp_path / "data")
    await up.start()
    yield up
    if up.runs:
        await up.end(signal.SIGTERM)
    remove(up.data)


async def test_a_killed_supervisor_is_started_again_and_open_orders_go_on(up: Up):
    async with Shop(up.info, up.data) as shop:
        for location_id, place in LOCATIONS.items():
            await shop.location(location_id, **place)
        async with checked(shop):
            held = await hold_at_every_stage(shop)
            sku = await shop.product(50)
            moving = [(await shop.order(bodies.order([bodies.line(sku, 1, 700)])))["order_id"] for _ in range(6)]

            await up.end(signal.SIGKILL)
            await up.start()
            await send_on(shop, held)

            ends = await shop.until_over([*moving, *(one.order_id for one in held)], within=WITHIN)
            assert {plain(view) for view in ends.values()} == {("delivered", 700)}
