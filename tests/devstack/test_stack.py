"""The stack as tests and `up` drive it: children stopped, brought back and killed, an engine that lost its memory."""

import json
import signal
from collections.abc import AsyncIterator

import httpx
import psutil
import pytest

from cli.up import running_stack
from devstack.folder import MARKER
from devstack.stack import Stack, StackOptions


class Playground:
    """A running stack and what it said."""

    def __init__(self, stack: Stack, lines: list[str]) -> None:
        self.stack = stack
        self.lines = lines

    async def status(self, path: str) -> int:
        """The API's answer to GET *path*."""
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            return (await client.get(f"{self.stack.info['api_url']}{path}")).status_code


@pytest.fixture(scope="module")
async def playground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Playground]:
    lines: list[str] = []
    options = StackOptions(data=tmp_path_factory.mktemp("stack") / "data", hands_off=True, discard=True)
    async with running_stack(options, lines.append) as stack:
        yield Playground(stack, lines)
        pids = stack.info["pids"]
    assert not any(psutil.pid_exists(pid) for pid in pids.values())
    assert sorted(path.name for path in options.data.iterdir()) == [MARKER, "lock"]


async def test_the_file_names_the_stack(playground: Playground):
    written = json.loads((playground.stack.data / "stack.json").read_text())

    assert written == playground.stack.info
    assert all(psutil.pid_exists(pid) for pid in written["pids"].values())


async def test_a_child_that_is_kept_down_is_missed_and_comes_back(playground: Playground):
    await playground.stack.stop_child("worker")
    assert "worker" not in playground.stack.info["pids"]

    await playground.stack.start_child("worker")
    await playground.stack.wait_until_ready()

    assert await playground.status("/readyz") == httpx.codes.OK


@pytest.mark.parametrize("name", ["worker", "api", "world", "postgres", "temporal"])
async def test_whoever_is_killed_is_replaced_and_all_is_ready_again(playground: Playground, name: str):
    old = playground.stack.kill(name, signal.SIGKILL)

    new = await playground.stack.wait_for_new_pid(name, old)
    await playground.stack.wait_until_ready()

    assert new != old
    assert json.loads((playground.stack.data / "stack.json").read_text())["pids"][name] == new


async def test_an_engine_that_lost_its_file_knows_our_search_attributes_again(playground: Playground):
    await playground.stack.stop_child("temporal")
    playground.stack.delete_engine_file()
    assert not (playground.stack.data / "temporal.db").exists()

    await playground.stack.start_child("temporal")
    await playground.stack.wait_until_ready()

    assert not (playground.stack.data / "engine-lost").exists()
    assert await playground.status("/readyz") == httpx.codes.OK


async def test_a_restart_gives_a_new_process_and_is_not_a_death(playground: Playground):
    old = playground.stack.info["pids"]["api"]
    said = len(playground.lines)

    await playground.stack.restart("api")

    assert playground.stack.info["pids"]["api"] != old
    assert await playground.status("/healthz") == httpx.codes.OK
    assert not [line for line in playground.lines[said:] if line.startswith("api was")]
