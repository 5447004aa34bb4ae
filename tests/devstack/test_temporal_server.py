"""A Temporal development server: found, served, killed and brought back with its workflows."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client, WorkflowExecutionStatus

from devstack import temporal_server
from devstack.ports import HOST, free_base
from devstack.supervisor import ChildSpec, Supervisor

WITHIN = 60.0


class Served:
    """The supervisor of a server with a database file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "temporal.db"
        self.base = free_base(2)
        self.address = f"{HOST}:{self.base}"
        self.lines: list[str] = []
        self.supervisor = Supervisor(logs=folder, say=self.lines.append, changed=lambda: None)

    async def start(self) -> None:
        program, _ = await temporal_server.find_or_obtain(self.lines.append)
        command = temporal_server.command(program, port=self.base, ui_port=self.base + 1, file=self.file)
        await self.supervisor.start(
            ChildSpec(
                name="temporal",
                command=command,
                env=os.environ,
                cwd=self.folder,
                ready=lambda: temporal_server.wait_until_usable(self.address),
                ready_within=WITHIN,
            )
        )


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    served = Served(tmp_path)
    yield served
    await served.supervisor.stop_all(["temporal"])


async def test_ready_means_that_a_workflow_can_be_started_and_a_kill_loses_none(served: Served):
    await served.start()
    client = await Client.connect(served.address)
    handle = await client.start_workflow("AnyWorkflow", id="kept", task_queue="nobody-listens")

    served.supervisor.signal("temporal", signal.SIGKILL)
    async with asyncio.timeout(WITHIN):
        while not any("temporal is back" in line for line in served.lines):
            await asyncio.sleep(0.05)

    assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING


async def test_the_server_is_one_that_our_workers_can_use(served: Served):
    await served.start()
    client = await Client.connect(served.address)

    info = await client.workflow_service.get_system_info(GetSystemInfoRequest())

    assert info.capabilities.eager_workflow_start
    assert tuple(int(part) for part in info.server_version.split(".")[:2]) >= (1, 28)


async def test_a_deleted_file_is_gone_with_all_that_sqlite_keeps_beside_it(served: Served):
    await served.start()
    await served.supervisor.stop("temporal")

    temporal_server.delete_file(served.file)

    assert [path.name for path in served.folder.iterdir() if path.name.startswith("temporal.db")] == []


@pytest.mark.parametrize(
    ("answer", "taken"),
    [
        ("temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)", True),
        ("temporal version 1.3.0 (Server 1.27.2, UI 2.36.0)", False),
        ("temporal 7: prints the date", False),
    ],
)
def test_only_a_program_with_a_recent_server_is_taken(tmp_path: Path, answer: str, taken: bool):
    program = tmp_path / "temporal"
    program.write_text(f"#!/bin/sh\necho '{answer}'\n")
    program.chmod(0o755)

    assert temporal_server.is_recent(program) is taken
