"""`python -m api`: the HTTP process, its settings read from the environment."""

import sys

import uvicorn

from api.app import create_app
from runtime import logs, settings


def main() -> None:
    """Serve until told to stop."""
    try:
        found = settings.load()
    except ValueError as error:
        sys.exit(str(error))
    logs.configure(found)
    uvicorn.run(
        create_app(found),
        host=found.api_host,
        port=found.api_port,
        loop="uvloop",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    main()
