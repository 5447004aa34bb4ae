"""`doorstep up` as a person meets it: refusals in one line that break nothing, a start, a stop, a second start."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from devstack.children import PORT_COUNT
from devstack.folder import open_folder
from devstack.ports import HOST, free_base

WITHIN = 90.0


def words(data: Path, base_port: int, *more: str) -> list[str]:
    """The command line of an `up` without the sample."""
    options = ["--no-demo", "--data", str(data), "--base-port", str(base_port), *more]
    return [sys.executable, "-m", "cli", "up", *options]


def refusal(data: Path, base_port: int, *more: str) -> str:
    """The one line with which `up` gives up."""
    done = subprocess.run(words(data, base_port, *more), capture_output=True, text=True, check=False, timeout=WITHIN)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.startswith("doorstep up: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


class Running:
    """An `up` of its own process."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.base_port = free_base(PORT_COUNT)
        self.output = data.parent / f"{data.name}.out"
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client(trust_env=False, timeout=5)

    def start(self, *more: str) -> None:
        """Start it and wait until the API answers and the stack is named."""
        with self.output.open("ab") as output:
            command = words(self.data, self.base_port, *more)
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self._until(self._healthy, "the API did not answer")
        self._until((self.data / "stack.json").exists, "the stack was not named")

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """The exit status after a signal."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=WITHIN)

    def info(self) -> dict[str, Any]:
        """What stack.json says now."""
        content: dict[str, Any] = json.loads((self.data / "stack.json").read_text())
        return content

    def until_said(self, line: str) -> None:
        """Wait for words of its output."""
        self._until(lambda: line in self.output.read_text(), f"it did not say {line!r}")

    def _healthy(self) -> bool:
        try:
            return self.client.get(f"http://{HOST}:{self.base_port}/healthz").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _until(self, true: Any, else_say: str) -> None:
        deadline = time.monotonic() + WITHIN
        while not true():
            assert self.process is not None
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, f"{else_say}:\n{self.output.read_text()}"
            time.sleep(0.05)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "data")
    with running.client:
        yield running
    if running.process is not None and running.process.poll() is None:
        running.stop(signal.SIGTERM)
    with open_folder(running.data) as folder:
        folder.clear()


def test_a_taken_port_is_named_and_nothing_is_started(tmp_path: Path):
    base = free_base(PORT_COUNT)
    with socket.create_server((HOST, base + 1)):
        line = refusal(tmp_path / "data", base)

    assert f"port {base + 1} (for the outside world) is taken by" in line
    assert f"(pid {os.getpid()})" in line
    assert list((tmp_path / "data" / "logs").iterdir()) == []


def test_a_taken_port_does_not_cost_the_data_that_were_to_be_made_afresh(tmp_path: Path):
    base = free_base(PORT_COUNT)
    with open_folder(tmp_path / "data") as folder:
        (folder.world_data / "ledger").write_text("kept")

    with socket.create_server((HOST, base)):
        refusal(tmp_path / "data", base, "--fresh")

    assert (tmp_path / "data" / "world" / "ledger").read_text() == "kept"


def test_data_of_another_major_version_are_refused_and_left_alone(tmp_path: Path):
    with open_folder(tmp_path / "data") as folder:
        place = tmp_path / "place"
        (place / "cluster").mkdir(parents=True)
        (place / "cluster" / "PG_VERSION").write_text("9\n")
        folder.claim_postgres_place(place)

    line = refusal(tmp_path / "data", free_base(PORT_COUNT))

    assert f"the data in {place} was made by PostgreSQL 9" in line
    assert (place / "cluster" / "PG_VERSION").read_text() == "9\n"


def test_a_stack_starts_is_named_stops_cleanly_and_goes_on(running: Running):
    running.start()
    info = running.info()
    stack_file = running.data / "stack.json"

    assert stat.S_IMODE(stack_file.stat().st_mode) == 0o600
    assert set(info) == {
        *("api_url", "temporal_address", "temporal_ui_url", "database_url", "world_url", "keys"),
        *("carrier_secrets", "stripe_webhook_secret", "pids", "started_at"),
    }
    assert set(info["pids"]) == {"postgres", "temporal", "world", "api", "worker"}
    commands = {name: " ".join(psutil.Process(pid).cmdline()) for name, pid in info["pids"].items()}
    assert all(
        part in commands[name]
        for name, part in {
            "postgres": "postgres -D",
            "temporal": "server start-dev",
            "world": "-m devstack.world",
            "api": "-m api",
            "worker": "-m workers",
        }.items()
    ), commands

    assert "already runs" in refusal(running.data, free_base(PORT_COUNT))
    assert running.stop() == 0
    assert not any(psutil.pid_exists(pid) for pid in info["pids"].values())
    assert not stack_file.exists()

    running.start()
    assert running.info()["keys"] == info["keys"]

    assert running.stop() == 0
    running.start("--fresh")
    assert set(running.info()["keys"].values()).isdisjoint(info["keys"].values())


def test_a_child_that_dies_is_back_and_named_and_a_killed_up_leaves_nobody(running: Running):
    running.start()
    old = running.info()["pids"]

    os.kill(old["api"], signal.SIGKILL)
    running.until_said("api is back")

    pids = running.info()["pids"]
    assert pids["api"] != old["api"]
    assert {**pids, "api": 0} == {**old, "api": 0}

    running.stop(signal.SIGKILL)

    running.start()
    assert set(running.info()["pids"].values()).isdisjoint(pids.values())
    assert running.stop(signal.SIGTERM) == 0
