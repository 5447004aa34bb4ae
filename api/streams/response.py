"""The response that stays open: events as they come, a comment now and then, an end for who reads too slowly."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.streams.hub import AGAIN_AFTER, AWAY, Hub
from api.streams.sources import Source
from api.streams.wire import COMMENT, MEDIA_TYPE

log = structlog.get_logger(__name__)

Allowed = Callable[[], Awaitable[bool]]


class EventStream(Response):
    """Tells *source*'s events until the reader leaves, is no longer *allowed*, reads too slowly, or the process ends.

    Nothing is kept for a reader but its place and one page: what it does not take in *patience* seconds ends it. However a
    stream ends, a reader goes on behind the last id that it saw. Starlette's and FastAPI's own streaming responses were
    not taken: they have no limit on a send, cancel a reader's query in the middle when it leaves, and FastAPI's answers 200
    before it knows whether the order is there.
    """

    media_type = MEDIA_TYPE

    def __init__(self, hub: Hub, source: Source, *, allowed: Allowed, comment_every: float, patience: float) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._hub = hub
        self._source = source
        self._allowed = allowed
        self._comment_every = comment_every
        self._patience = patience
        self._left = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._source.watch() as woken:
            leaving = asyncio.create_task(self._until_left(receive, woken))
            try:
                await self._tell(send, woken)
            except TimeoutError:
                # Without its last chunk: the server closes the connection once what it holds was taken.
                log.info("stream_dropped", reason="slow_reader")
            finally:
                leaving.cancel()

    async def _until_left(self, receive: Receive, woken: asyncio.Event) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._left = True
        woken.set()

    async def _tell(self, send: Send, woken: asyncio.Event) -> None:
        async def put(body: bytes, *, more: bool = True) -> None:
            async with asyncio.timeout(self._patience):
                await send({"type": "http.response.body", "body": body, "more_body": more})

        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await put(COMMENT)
        loop = asyncio.get_running_loop()
        comment_at = loop.time() + self._comment_every
        while not (self._left or self._hub.ended):
            if woken.is_set():
                woken.clear()
                chunk, more = await self._read()
                if chunk:
                    await put(chunk)
                if more:
                    woken.set()
            if loop.time() >= comment_at:
                if not await self._is_allowed():
                    break
                await put(COMMENT)
                comment_at = loop.time() + self._comment_every
            await _wait(woken, until=comment_at)
        if not self._left:
            await put(b"", more=False)

    async def _read(self) -> tuple[bytes, bool]:
        try:
            return await self._source.read()
        except AWAY as error:
            log.warning("stream_not_read", error=type(error).__name__)
            await asyncio.sleep(AGAIN_AFTER)
            return b"", True

    async def _is_allowed(self) -> bool:
        try:
            return await self._allowed()
        except AWAY:
            return True


async def _wait(woken: asyncio.Event, *, until: float) -> None:
    try:
        async with asyncio.timeout_at(until):
            await woken.wait()
    except TimeoutError:
        return
