"""Children are kept alive, kept down, stopped in order, and never outlive their supervisor."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from devstack.errors import StackError
from devstack.supervisor import ChildSpec, Supervisor

SLEEP = "import time; print('here', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)"
)
SUPERVISE = """
import asyncio, pathlib, sys
from devstack.supervisor import ChildSpec, Supervisor

async def main():
    async def ready(): pass
    logs = pathlib.Path(sys.argv[1])
    supervisor = Supervisor(logs=logs, say=print, changed=lambda: None)
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    await supervisor.start(ChildSpec(name="child", command=command, env={}, cwd=logs, ready=ready))
    print(supervisor.pids["child"], flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
WITHIN = 15.0


class Watched:
    """A supervisor in a folder of its own, and what it said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.changed = asyncio.Event()
        self.supervisor = Supervisor(logs=folder, say=self.lines.append, changed=self.changed.set)

    def spec(self, code: str = SLEEP, *, name: str = "child", grace: float = 5.0, serves: str = "here") -> ChildSpec:
        log = self.folder / f"{name}.log"

        async def ready() -> None:
            while serves not in log.read_text():
                await asyncio.sleep(0.02)

        return ChildSpec(
            name=name,
            command=[sys.executable, "-c", code],
            env=os.environ,
            cwd=self.folder,
            ready=ready,
            ready_within=WITHIN,
            grace=grace,
        )

    async def until_said(self, words: str) -> None:
        async with asyncio.timeout(WITHIN):
            while not any(words in line for line in self.lines):
                await asyncio.sleep(0.02)


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    watched = Watched(tmp_path)
    yield watched
    watched.supervisor.kill_all()
    await watched.supervisor.stop_all(list(watched.supervisor.pids))


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_a_child_that_dies_is_back_with_a_new_pid_and_said_so(watched: Watched):
    await watched.supervisor.start(watched.spec())

    old = watched.supervisor.signal("child", signal.SIGKILL)
    await watched.until_said("child is back")

    assert watched.lines[0] == "child was ended by SIGKILL; it starts again in 0.5 s"
    assert watched.supervisor.pids["child"] != old
    assert watched.supervisor.births["child"][0] == watched.supervisor.pids["child"]


async def test_each_death_in_a_row_waits_twice_as_long(watched: Watched):
    await watched.supervisor.start(watched.spec())

    watched.supervisor.signal("child", signal.SIGKILL)
    await watched.until_said("child is back")
    watched.supervisor.signal("child", signal.SIGKILL)
    await watched.until_said("again in 1 s")


async def test_a_child_that_ends_by_itself_is_quoted(watched: Watched):
    await watched.supervisor.start(
        watched.spec("import time, sys; print('here', flush=True); time.sleep(1); sys.exit('out of paper')")
    )

    await watched.until_said("child ended with status 1 (out of paper); it starts again")


async def test_a_child_that_cannot_start_is_told_with_its_last_words(watched: Watched):
    with pytest.raises(StackError, match=r"child ended with status 3 while it started: no paper \(log: .*child.log\)"):
        await watched.supervisor.start(watched.spec("import sys; sys.stderr.write('\\nno paper'); sys.exit(3)"))


async def test_a_child_that_never_serves_is_told_so(watched: Watched):
    spec = replace(watched.spec(serves="something else"), ready_within=0.5)

    with pytest.raises(StackError, match=r"child did not serve within 0.5 s"):
        await watched.supervisor.start(spec)


async def test_a_stopped_child_stays_down_until_it_is_asked_back(watched: Watched):
    await watched.supervisor.start(watched.spec())
    pid = watched.supervisor.pids["child"]

    await watched.supervisor.stop("child")

    assert gone(pid)
    assert watched.supervisor.pids == {}

    await watched.supervisor.resume("child")

    assert not gone(watched.supervisor.pids["child"])
    assert watched.lines == []


async def test_a_child_stopped_while_it_waits_for_its_next_try_stays_down(watched: Watched):
    await watched.supervisor.start(watched.spec())
    watched.supervisor.signal("child", signal.SIGKILL)
    await watched.until_said("starts again in 0.5 s")

    await watched.supervisor.stop("child")
    await asyncio.sleep(0.8)  # Longer than the announced delay.

    assert watched.supervisor.pids == {}


async def test_a_child_that_ignores_the_request_is_killed_after_its_grace(watched: Watched):
    await watched.supervisor.start(watched.spec(STUBBORN, grace=0.5))
    pid = watched.supervisor.pids["child"]

    await watched.supervisor.stop("child")

    assert gone(pid)
    assert watched.lines == ["child did not stop within 0.5 s and is killed"]


async def test_children_stop_in_the_order_asked_for(watched: Watched):
    for name in ("first", "second"):
        await watched.supervisor.start(watched.spec(name=name))
    pids = watched.supervisor.pids

    await watched.supervisor.stop_all(["first"])

    assert gone(pids["first"])
    assert not gone(pids["second"])


async def test_the_log_of_the_last_run_is_kept(watched: Watched):
    (watched.folder / "child.log").write_text("yesterday")

    await watched.supervisor.start(watched.spec())

    assert (watched.folder / "child.log.1").read_text() == "yesterday"
    assert (watched.folder / "child.log").read_text() == "here\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child's life to its parent's")
def test_no_child_outlives_a_supervisor_that_was_killed(tmp_path: Path):
    command = [sys.executable, "-c", SUPERVISE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        child = int(supervisor.stdout.readline())

        supervisor.kill()

    deadline = time.monotonic() + WITHIN
    while not gone(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert gone(child)
