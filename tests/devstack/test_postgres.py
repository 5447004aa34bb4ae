"""PostgreSQL of the stack's own: made, served, stopped, killed and brought back; each time a real server."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from devstack import postgres
from devstack.errors import StackError
from devstack.folder import DataFolder, open_folder
from devstack.ports import free_base
from devstack.postgres_binaries import find_installed
from devstack.processes import account_named, may_enter
from devstack.supervisor import ChildSpec, Supervisor

WITHIN = 30.0
PASSWORD = "a-password-of-this-test"


class Served:
    """A data folder and the supervisor of a PostgreSQL on it."""

    def __init__(self, folder: DataFolder) -> None:
        self.folder = folder
        self.port = free_base(1)
        self.lines: list[str] = []
        self.supervisor = Supervisor(logs=folder.logs, say=self.lines.append, changed=lambda: None)

    async def start(self) -> postgres.Cluster:
        cluster = await postgres.open_cluster(self.folder, PASSWORD, self.lines.append)
        await self.supervisor.start(
            ChildSpec(
                name="postgres",
                command=cluster.command(self.port, durable=False),
                env=cluster.environment(),
                cwd=cluster.folder.parent,
                before=lambda: postgres.clear_way(cluster),
                ready=lambda: postgres.wait_until_usable(cluster, self.port),
                ready_within=WITHIN,
                account=cluster.account,
                stop_signal=postgres.STOP_SIGNAL,
                orphan_signal=postgres.STOP_SIGNAL,
                grace=WITHIN,
            )
        )
        return cluster


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    with open_folder(tmp_path / "data") as folder:
        served = Served(folder)
        yield served
        await served.supervisor.stop_all(["postgres"])
        folder.clear()


async def ask(url: str, question: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def test_ready_means_that_a_connection_with_the_password_works(served: Served):
    cluster = await served.start()

    assert await ask(cluster.url(served.port), "select current_database()") == "doorstep"
    assert await ask(cluster.url(served.port), "show fsync") == "off"


async def test_a_wrong_password_is_refused(served: Served):
    cluster = await served.start()

    with pytest.raises(asyncpg.InvalidPasswordError):
        await ask(cluster.url(served.port).replace(PASSWORD, "guessed"), "select 1")


async def test_the_pid_is_the_postmasters_and_a_stop_is_clean(served: Served):
    cluster = await served.start()
    pid = served.supervisor.pids["postgres"]
    written = (cluster.folder / "postmaster.pid").read_text().split("\n")[0]

    await served.supervisor.stop("postgres")

    assert written == str(pid)
    assert not (cluster.folder / "postmaster.pid").exists()
    assert served.lines == []


async def test_data_survive_a_stop_and_a_start(served: Served):
    cluster = await served.start()
    await ask(cluster.url(served.port), "create table kept as select 42 as answer")

    await served.supervisor.stop("postgres")
    await served.supervisor.resume("postgres")

    assert await ask(cluster.url(served.port), "select answer from kept") == 42


async def test_a_killed_postmaster_is_back(served: Served):
    cluster = await served.start()

    old = served.supervisor.signal("postgres", signal.SIGKILL)
    async with asyncio.timeout(WITHIN):
        while not any("postgres is back" in line for line in served.lines):
            await asyncio.sleep(0.05)

    assert served.supervisor.pids["postgres"] != old
    assert await ask(cluster.url(served.port), "select 1") == 1


async def test_a_pid_file_that_names_another_program_is_not_in_the_way(served: Served):
    cluster = await served.start()
    await served.supervisor.stop("postgres")
    # As after a crash in a container, where the old pid was given to somebody else.
    lines = [str(os.getpid()), str(cluster.folder), "1700000000", str(served.port), "", "127.0.0.1", "", "starting"]
    (cluster.folder / "postmaster.pid").write_text("\n".join(lines) + "\n")

    await served.supervisor.resume("postgres")

    assert await ask(cluster.url(served.port), "select 1") == 1


async def test_data_of_another_major_version_are_refused_in_one_line(served: Served):
    cluster = await served.start()
    await served.supervisor.stop("postgres")
    (cluster.folder / "PG_VERSION").write_text("9\n")

    with pytest.raises(StackError, match=r"was made by PostgreSQL 9, found here: .*--fresh") as refusal:
        await postgres.open_cluster(served.folder, PASSWORD, served.lines.append)

    assert "\n" not in str(refusal.value)
    (cluster.folder / "PG_VERSION").write_text(f"{cluster.binaries.major}\n")


async def test_a_half_made_cluster_is_made_again(served: Served):
    place = postgres.choose_place(served.folder, served.lines.append)
    (place / "cluster.new").mkdir()
    (place / "cluster.new" / "PG_VERSION").write_text("15\n")

    cluster = await served.start()

    assert await ask(cluster.url(served.port), "select 1") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to drop to another account")
async def test_as_root_the_server_runs_as_an_unprivileged_account_in_a_place_of_its_own(served: Served):
    cluster = await served.start()

    assert cluster.account is not None
    process = psutil.Process(served.supervisor.pids["postgres"])
    assert process.uids().real == cluster.account.uid != 0
    assert may_enter(cluster.folder, cluster.account)
    assert cluster.folder.stat().st_mode & 0o077 == 0
    assert postgres.choose_place(served.folder, served.lines.append) == cluster.folder.parent


@pytest.mark.skipif(os.geteuid() != 0, reason="only root keeps the cluster outside of the data folder")
async def test_as_root_the_cluster_of_a_deleted_data_folder_is_not_taken_over(served: Served):
    cluster = await served.start()
    await served.supervisor.stop("postgres")
    (served.folder.path / "postgres-place.json").unlink()

    place = postgres.choose_place(served.folder, served.lines.append)

    assert place == cluster.folder.parent
    assert not cluster.folder.exists()
    assert "the data folder that it belonged to was deleted" in served.lines[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root keeps the cluster outside of the data folder")
async def test_as_root_clusters_of_temporary_folders_that_are_gone_are_swept(served: Served, tmp_path: Path):
    with open_folder(tmp_path / "forgotten") as forgotten:
        left = postgres.choose_place(forgotten, served.lines.append)
    shutil.rmtree(tmp_path / "forgotten")

    kept = postgres.choose_place(served.folder, served.lines.append)

    assert kept.exists()
    assert not left.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into closed folders")
def test_programs_that_the_account_may_not_run_are_not_chosen(tmp_path: Path):
    account = account_named("nobody")
    assert account is not None
    tmp_path.chmod(0o700)

    assert not may_enter(tmp_path, account)
    assert all(may_enter(binaries.folder, account) for binaries in find_installed(account))
