"""`python -m api`: the HTTP process, its settings read from the environment."""

import socket
import sys

import uvicorn

from api.app import create_app
from api.streams.hub import Hub
from runtime import logs, settings


class Server(uvicorn.Server):
    """Ends open streams before it waits for what is open to end."""

    def __init__(self, config: uvicorn.Config, streams: Hub) -> None:
        super().__init__(config)
        self._streams = streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving."""
        self._streams.end()
        await super().shutdown(sockets)


def give_up_on_silent_readers(listener: socket.socket, *, seconds: float) -> None:
    """Let the system drop connections of *listener* whose reader takes nothing for *seconds*, where it knows how to.

    A stream that was ended has its last bytes in a buffer, and closing waits for the reader to take them.
    """
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def main() -> None:
    """Serve until told to stop."""
    try:
        found = settings.load()
    except ValueError as error:
        sys.exit(str(error))
    logs.configure(found)
    app = create_app(found)
    config = uvicorn.Config(
        app,
        host=found.api_host,
        port=found.api_port,
        loop="uvloop",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    listener = config.bind_socket()
    give_up_on_silent_readers(listener, seconds=found.stream_patience_seconds)
    Server(config, app.state.context.streams).run(sockets=[listener])


if __name__ == "__main__":
    main()
