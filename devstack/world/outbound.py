"""How the world calls our API: small JSON requests over kept HTTP/1.1 connections, and no more of HTTP than that needs.

Written by hand because the world shares its cores with what it is to measure: four fifths of its CPU time were
httpx's (26 ms an order; 2026-11).
"""

import asyncio
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import orjson

SECONDS = 10.0
KEPT = 16


class ApiAway(Exception):
    """Our API gave no usable answer: refused, timed out, 5xx or 429. The call is to be repeated."""


class ApiRefused(Exception):
    """Our API said no (4xx)."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"HTTP {status} {code}")
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of our API; *last* when the connection ends with it."""

    status: int
    body: bytes
    last: bool

    def json(self) -> dict[str, Any]:
        """The body, which is a JSON object."""
        value: dict[str, Any] = orjson.loads(self.body)
        return value


@dataclass(frozen=True, slots=True)
class Connection:
    """An open connection; *fresh* until it has carried a request."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    fresh: bool


class Outbound:
    """Our API at *url*."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if secure else 80)
        self._ssl = ssl.create_default_context() if secure else None
        self._prefix = parts.path.rstrip("/")
        self._host_line = f"host: {parts.netloc.rpartition('@')[2]}\r\n"
        self._idle: list[Connection] = []

    async def close(self) -> None:
        """Every kept connection is closed."""
        for connection in self._idle:
            connection.writer.close()
        self._idle.clear()

    async def get(self, path: str, key: str) -> dict[str, Any]:
        """The JSON at *path*, read with our API key *key*.

        Raises:
            ApiAway, ApiRefused.
        """
        return (await self._send("GET", path, {"authorization": f"Bearer {key}"}, b"")).json()

    async def post(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Our API has taken *body*.

        Raises:
            ApiAway, ApiRefused.
        """
        await self._send("POST", path, headers | {"content-type": "application/json"}, body)

    async def _send(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        length = f"content-length: {len(body)}\r\n" if method == "POST" else ""
        head = f"{method} {self._prefix}{path} HTTP/1.1\r\n{self._host_line}{lines}{length}\r\n"
        try:
            async with asyncio.timeout(SECONDS):
                reply = await self._exchange(head.encode("latin-1") + body)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise ApiAway(type(error).__name__) from error
        if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise ApiAway(f"HTTP {reply.status}")
        if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise ApiRefused(reply.status, _code(reply))
        return reply

    async def _exchange(self, request: bytes) -> Reply:
        while True:
            connection = await self._connection()
            kept = False
            try:
                connection.writer.write(request)
                reply = await _read(connection.reader)
                kept = not reply.last and len(self._idle) < KEPT
                if kept:
                    self._idle.append(Connection(connection.reader, connection.writer, fresh=False))
                return reply
            except (OSError, EOFError):
                # A kept connection may have been closed under us; a repeated request is a duplicate at worst.
                if connection.fresh:
                    raise
            finally:
                if not kept:
                    connection.writer.close()

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.reader.at_eof():
                return connection
            connection.writer.close()
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._ssl)
        return Connection(reader, writer, fresh=True)


async def _read(reader: asyncio.StreamReader) -> Reply:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head[9:12])
    last = b"\r\nconnection: close" in head
    if status == HTTPStatus.NO_CONTENT:
        return Reply(status, b"", last)
    if b"\r\ntransfer-encoding: chunked" in head:
        return Reply(status, await _read_chunks(reader), last)
    length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    return Reply(status, await reader.readexactly(int(length)), last)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return body


def _code(reply: Reply) -> str:
    try:
        return str(reply.json().get("code", ""))
    except (ValueError, AttributeError):
        return ""
