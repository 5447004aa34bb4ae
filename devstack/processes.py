"""How children of the stack are spawned: the account they run as, and the signal that reaches them if we die."""

import ctypes
import os
import pwd
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user of this machine that a child is started as."""

    name: str
    uid: int
    gid: int


def account_named(name: str) -> Account | None:
    """The account *name*, or None where this machine has none."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)


def owner_of(path: Path) -> Account:
    """The account that owns *path*."""
    status = path.stat()
    try:
        name = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        name = str(status.st_uid)
    return Account(name=name, uid=status.st_uid, gid=status.st_gid)


def may_enter(path: Path, account: Account) -> bool:
    """Whether *account* may pass every folder from the root down to *path* (the mode bits only)."""
    for folder in [path, *path.parents]:
        status = folder.stat()
        if status.st_uid == account.uid:
            allowed = status.st_mode & 0o100
        elif status.st_gid == account.gid:
            allowed = status.st_mode & 0o010
        else:
            allowed = status.st_mode & 0o001
        if not allowed:
            return False
    return True


def spawn_options(
    *,
    env: Mapping[str, str],
    cwd: Path,
    account: Account | None = None,
    orphan_signal: signal.Signals = signal.SIGKILL,
) -> dict[str, Any]:
    """Arguments for ``Popen`` or ``create_subprocess_exec``: a session of its own, *account*, and a tied life.

    A terminal's Ctrl-C reaches only us, so we decide the order in which children stop. Where the kernel can do it
    (Linux), *orphan_signal* reaches the child as soon as the thread that started it is gone, even by kill -9.
    """
    options: dict[str, Any] = {
        "env": dict(env),
        "cwd": str(cwd),
        "start_new_session": True,
        "umask": 0o077,
        "preexec_fn": _tie_to_parent(orphan_signal),
    }
    if account is not None:
        options |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    return options


def _tie_to_parent(orphan_signal: signal.Signals) -> Callable[[], None] | None:
    if _LIBC is None:
        return None
    parent, libc, number = os.getpid(), _LIBC, int(orphan_signal)

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, number)
        # The parent may have died between the fork and the line above: nobody would ever send the signal.
        if os.getppid() != parent:
            os._exit(1)

    return tie


def end_left_over(children: Mapping[str, tuple[int, float]], *, grace: float = 10) -> list[str]:
    """End processes that an earlier supervisor left behind; returns the names of those that were still alive.

    Args:
        children: name -> (pid, creation time in seconds); a pid that another program has got since is left alone.
        grace: seconds between the request to stop and the kill.
    """
    alive: dict[str, psutil.Process] = {}
    for name, (pid, created) in children.items():
        try:
            process = psutil.Process(pid)
            if abs(process.create_time() - created) < 1 and process.status() != psutil.STATUS_ZOMBIE:
                process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
                alive[name] = process
        except psutil.NoSuchProcess:
            continue
    _, stubborn = psutil.wait_procs(list(alive.values()), timeout=grace)
    for process in stubborn:
        process.kill()
    psutil.wait_procs(stubborn, timeout=grace)
    return list(alive)
