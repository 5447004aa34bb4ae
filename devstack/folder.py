"""The data folder of one stack: its marker, its lock, and the files that name the running stack and its children."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from devstack.errors import StackError
from devstack.files import write_private

MARKER = ".doorstep-data"
_LOCK = "lock"
_KEPT = {MARKER, _LOCK}


class DataFolder:
    """Paths inside one data folder and what is written there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs = path / "logs"
        self.secrets = path / "secrets.json"
        self.world_config = path / "world.json"
        self.world_data = path / "world"
        self.engine_file = path / "temporal.db"
        self.engine_lost = path / "engine-lost"
        self.stack_file = path / "stack.json"
        self._children_file = path / "children.json"
        self._place_file = path / "postgres-place.json"

    def write_stack(self, info: Mapping[str, Any]) -> None:
        """Name the running stack for any client."""
        write_private(self.stack_file, json.dumps(info, indent=2) + "\n")

    def write_children(self, children: Mapping[str, tuple[int, float]]) -> None:
        """Note pid and creation time of every child, so that the next start can end what a crash left behind."""
        write_private(self._children_file, json.dumps({"data": str(self.path), "children": children}))

    def read_children(self) -> dict[str, tuple[int, float]]:
        """What ``write_children`` noted; empty after a clean stop, and in a copy of another folder."""
        if not self._children_file.exists():
            return {}
        noted = json.loads(self._children_file.read_text())
        if noted["data"] != str(self.path):
            return {}
        return {name: (pid, created) for name, (pid, created) in noted["children"].items()}

    def forget_stack(self) -> None:
        """After a clean stop no file says that something runs."""
        self.stack_file.unlink(missing_ok=True)
        self._children_file.unlink(missing_ok=True)

    def postgres_place(self) -> Path | None:
        """The folder that holds the PostgreSQL cluster, if there is one; a copied data folder has none of its own."""
        inside = self.path / "postgres"
        if (inside / MARKER).exists():
            return inside
        if not self._place_file.exists():
            return None
        place = Path(json.loads(self._place_file.read_text())["folder"])
        if not (place / MARKER).exists():
            return None
        owner = Path((place / MARKER).read_text().strip())
        # A moved data folder takes its cluster along; a copied one must not share the original's.
        return place if owner == self.path or not (owner / MARKER).exists() else None

    def claim_postgres_place(self, place: Path) -> None:
        """Note here where the cluster is, and there whose it is: for root it is outside of this folder."""
        (place / MARKER).write_text(f"{self.path}\n")
        write_private(self._place_file, json.dumps({"folder": str(place)}) + "\n")

    def make_places(self) -> None:
        """Make the folders for logs and for the world's data where they are missing."""
        self.logs.mkdir(mode=0o700, exist_ok=True)
        self.world_data.mkdir(mode=0o700, exist_ok=True)

    def clear(self) -> None:
        """Delete everything that the stack stored, here and in its PostgreSQL place."""
        place = self.postgres_place()
        if place is not None:
            shutil.rmtree(place)
        for entry in self.path.iterdir():
            if entry.name in _KEPT:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


@contextlib.contextmanager
def open_folder(path: Path) -> Iterator[DataFolder]:
    """The data folder at *path*, made if need be and locked until the end of the block.

    Args:
        path: a new or empty folder, or one that an earlier stack made.

    Raises:
        StackError: the folder is somebody else's, cannot be written, or another stack runs on it.
    """
    folder = DataFolder(path.expanduser().resolve())
    try:
        _claim(folder.path)
        descriptor = os.open(folder.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StackError(f"{folder.path} cannot be used as data folder: {error.strerror}") from error
    try:
        _lock(descriptor, folder.path)
        folder.make_places()
        yield folder
    finally:
        os.close(descriptor)


def _claim(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    marker = path / MARKER
    if marker.exists():
        return
    if any(path.iterdir()):
        raise StackError(f"{path} is not empty and holds no Doorstep data: choose another folder with --data")
    marker.write_text("The data of one Doorstep development stack; `doorstep up --fresh` deletes it.\n")


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(descriptor, 20, 0).decode() or "unknown"
        raise StackError(
            f"a stack already runs on {path} (pid {pid}): stop it first, or choose another folder with --data"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
