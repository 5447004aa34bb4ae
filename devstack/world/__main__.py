"""`python -m devstack.world --config FILE`: one world process on one loop."""

import argparse
import socket
import sys
from pathlib import Path

import structlog
import uvicorn

from devstack.world.app import build
from devstack.world.config import load
from devstack.world.store import StoreInUse

GRACE_SECONDS = 3


def main() -> int:
    """Serves until a signal; 2 when the world cannot start, with one line that says why."""
    parser = argparse.ArgumentParser(prog="python -m devstack.world", description="The outside world, played.")
    parser.add_argument("--config", type=Path, required=True, help="a JSON file, see devstack/world/config.py")
    arguments = parser.parse_args()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        config = load(arguments.config)
        listener = socket.create_server((config.host, config.port), backlog=512)
        app = build(config)
    except (ValueError, OSError, StoreInUse) as error:
        print(f"world: {error}", file=sys.stderr)
        return 2
    # A connection that is dropped on purpose is no error: uvicorn's own log stays silent.
    settings = uvicorn.Config(
        app,
        loop="uvloop",
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    uvicorn.Server(settings).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
