"""A Temporal development server: where its program comes from, how it is started, and when it can be used."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from devstack.cache import cache_folder
from devstack.errors import StackError
from devstack.ports import HOST, accepts
from devstack.processes import Say, spawn_options

VERSION = "v1.5.1"
MODULE = f"github.com/temporalio/cli/cmd/temporal@{VERSION}"
NAMESPACE = "default"
# Older servers lack what the workers count on (eager activities, priorities).
_OLDEST_SERVER = (1, 28)
_DOWNLOAD_WITHIN = 120.0
_TELL_EVERY = 30.0
_POLL = 0.05
_DYNAMIC = {"system.enableActivityEagerExecution": "true", "matching.useNewMatcher": "true"}
_PRAGMAS = {"journal_mode": "wal", "synchronous": "normal"}


def command(program: Path, *, port: int, ui_port: int | None, file: Path | None) -> list[str]:
    """The command that serves in the foreground.

    Args:
        program: the ``temporal`` program.
        port: where gRPC is served, on the loopback address.
        ui_port: where the web UI is served; None for none.
        file: where workflows are kept; None keeps them in memory.
    """
    parts = [str(program), "server", "start-dev", "--ip", HOST, "--port", str(port), "--log-level", "warn"]
    parts += ["--headless"] if ui_port is None else ["--ui-port", str(ui_port)]
    if file is not None:
        parts += ["--db-filename", str(file)]
        parts += [part for name, value in _PRAGMAS.items() for part in ("--sqlite-pragma", f"{name}={value}")]
    parts += [part for name, value in _DYNAMIC.items() for part in ("--dynamic-config-value", f"{name}={value}")]
    return parts


async def find_or_obtain(say: Say) -> tuple[Path, str]:
    """The ``temporal`` program and where it was found.

    Raises:
        StackError: it is neither here nor to be had; the message names the four ways.
    """
    cached = cache_folder() / "bin" / "temporal"
    on_path = shutil.which("temporal")
    for program, where in ((Path(on_path) if on_path else None, "on PATH"), (cached, "in the user cache")):
        if program is not None and program.exists() and is_recent(program):
            return program, where
    cached.parent.mkdir(parents=True, exist_ok=True)
    if await _download(cached, say):
        return cached, "downloaded by the SDK"
    if await _build(cached, say):
        return cached, "built from source"
    raise StackError(
        "no Temporal server: set TEMPORAL_ADDRESS, or put `temporal` on PATH, or let this machine reach the SDK's "
        f"download, or install Go so that `go install {MODULE}` can build one"
    )


async def wait_until_usable(address: str) -> None:
    """Return once the server at *address* answers for its namespace."""
    # The SDK's first connection tries for seconds before it gives up: asked too early, it would be what takes long.
    host, _, port = address.rpartition(":")
    await accepts(host, int(port))
    client: Client | None = None
    while True:
        try:
            client = client or await Client.connect(address)
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))
        except (RPCError, RuntimeError):  # RuntimeError is what the SDK raises when it cannot connect.
            await asyncio.sleep(_POLL)
        else:
            return


def delete_file(file: Path) -> None:
    """Remove the server's database with what SQLite keeps beside it."""
    for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
        file.with_name(name).unlink(missing_ok=True)


def is_recent(program: Path) -> bool:
    """Whether *program* is a Temporal CLI that knows everything we ask of its server."""
    try:
        answer = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    # The version of the server, not of the program: one built by `go install` calls itself 0.0.0-DEV.
    match = re.search(r"\(Server (\d+)\.(\d+)", answer.stdout)
    return match is not None and (int(match[1]), int(match[2])) >= _OLDEST_SERVER


async def _download(target: Path, say: Say) -> bool:
    """Let the SDK download its server; it can only do so by starting one, which is stopped at once."""
    from temporalio.testing import WorkflowEnvironment  # Heavy, and hardly ever needed.

    say("no Temporal server on this machine: asking the SDK to download one (about 40 MB) ...")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        try:
            async with asyncio.timeout(_DOWNLOAD_WITHIN):
                server = await WorkflowEnvironment.start_local(
                    ip=HOST, download_dest_dir=folder, dev_server_download_version=VERSION
                )
                await server.shutdown()
        except (RuntimeError, TimeoutError) as error:
            say(f"the SDK's download failed: {str(error).splitlines()[0] if str(error) else 'no answer'}")
            return False
        programs = [path for path in Path(folder).iterdir() if path.is_file() and os.access(path, os.X_OK)]
        if len(programs) != 1:
            return False
        programs[0].replace(target)
    return True


async def _build(target: Path, say: Say) -> bool:
    """Build the server with Go; about five minutes once."""
    go = shutil.which("go")
    if go is None:
        say("no Go on this machine either")
        return False
    say("building a Temporal server with `go install`: takes about 5 minutes once ...")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        options = spawn_options(env={**os.environ, "GOBIN": folder}, cwd=target.parent)
        builder = await asyncio.create_subprocess_exec(
            go, "install", MODULE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, **options
        )
        building = asyncio.create_task(builder.communicate())
        try:
            while not (await asyncio.wait({building}, timeout=_TELL_EVERY))[0]:
                minutes, seconds = divmod(int(time.monotonic() - started), 60)
                say(f"still building a Temporal server ({minutes}:{seconds:02d})")
        finally:
            if builder.returncode is None:
                os.killpg(builder.pid, signal.SIGKILL)  # Interrupted: the compilers it started must end too.
                await building
        if builder.returncode != 0:
            words = building.result()[1].decode(errors="replace").strip() or "no reason given"
            say(f"`go install` failed: {words.splitlines()[-1]}")
            return False
        program = Path(folder) / "temporal"
        program.chmod(0o755)
        program.replace(target)
    return True
