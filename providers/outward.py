"""Posting to addresses that others name: resolved, judged, and exactly that address called; answers bounded in size and time.

Written by hand because both promises are about the connection: a general client resolves the name by itself, once more, and
reads what it is sent. No redirect is followed, no proxy is asked, of an answer only the status is kept.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from domain.webhooks import Target, may_be_called, read_target

ANSWER_WITHIN = 15.0
LARGEST_ANSWER = 64 * 1024
_LARGEST_HEAD = 16 * 1024
_KEPT = 32
_KEPT_FOR = 30.0
_MOST_INTERIM = 8

Key = tuple[bool, str, int]
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class NotAnswered(Exception):
    """There was no usable answer; *reason* is one of a few words, without anything of what was sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Malformed(Exception):
    """What came is no HTTP answer."""


@dataclass(frozen=True, slots=True)
class _Connection:
    """An open connection; *used_at* is when it last carried an answer, 0 before its first."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used_at: float = 0.0


class Outward:
    """Posts, over a few kept connections.

    Args:
        allow_loopback: this machine may be called, and without TLS.
        answer_within: seconds for everything from the name to the last byte of the answer.
        resolve: gives the addresses of a name; the system's resolver unless another is given.
        tls: the context of TLS connections; the system's trust unless another is given.
    """

    def __init__(
        self,
        *,
        allow_loopback: bool,
        answer_within: float = ANSWER_WITHIN,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_loopback = allow_loopback
        self._answer_within = answer_within
        self._resolve = resolve or _ask_system
        self._tls = tls or ssl.create_default_context()
        self._kept: dict[Key, list[_Connection]] = {}

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> int:
        """The status with which *url* answers.

        Raises:
            NotAnswered: (address_refused, name_unknown, unreachable, timeout, answer_too_large, bad_answer).
        """
        try:
            target = read_target(url, allow_loopback=self._allow_loopback)
        except ValueError as error:
            raise NotAnswered("address_refused") from error
        try:
            async with asyncio.timeout(self._answer_within):
                return await self._exchange(target, _request(target, headers, body))
        except TimeoutError as error:
            raise NotAnswered("timeout") from error
        except (OSError, EOFError) as error:  # TLS failures are among these.
            raise NotAnswered("unreachable") from error
        except (_Malformed, ValueError, asyncio.LimitOverrunError) as error:
            raise NotAnswered("bad_answer") from error

    async def close(self) -> None:
        """Close every kept connection."""
        for connections in self._kept.values():
            for connection in connections:
                connection.writer.close()
        self._kept.clear()

    async def _exchange(self, target: Target, request: bytes) -> int:
        while True:
            connection = self._take(target) or await self._connect(target)
            keep = False
            try:
                connection.writer.write(request)
                status, keep = await _read_answer(connection.reader)
                return status
            except (OSError, EOFError):
                # A kept connection may have been closed under us; what is sent twice has one id.
                if not connection.used_at:
                    raise
            finally:
                if keep:
                    self._keep(target, connection)
                else:
                    connection.writer.close()

    async def _connect(self, target: Target) -> _Connection:
        """A connection to an address of the target that may be called: to it, not to the name once more."""
        try:
            addresses = await self._resolve(target.host, target.port)
        except socket.gaierror as error:
            raise NotAnswered("name_unknown") from error
        if not all(may_be_called(address, allow_loopback=self._allow_loopback) for address in addresses):
            raise NotAnswered("address_refused")
        failure: OSError | None = None
        for address in addresses:
            try:
                return await self._open(target, address)
            except OSError as error:
                failure = error
        raise failure or NotAnswered("name_unknown")

    async def _open(self, target: Target, address: str) -> _Connection:
        reader, writer = await asyncio.open_connection(
            address,
            target.port,
            limit=_LARGEST_HEAD,
            ssl=self._tls if target.tls else None,
            server_hostname=target.host if target.tls else None,
        )
        return _Connection(reader, writer)

    def _take(self, target: Target) -> _Connection | None:
        kept = self._kept.get(_key(target), [])
        while kept:
            connection = kept.pop()
            if not connection.reader.at_eof() and time.monotonic() - connection.used_at < _KEPT_FOR:
                return connection
            connection.writer.close()
        return None

    def _keep(self, target: Target, connection: _Connection) -> None:
        if sum(map(len, self._kept.values())) >= _KEPT:
            connection.writer.close()
            return
        used = _Connection(connection.reader, connection.writer, time.monotonic())
        self._kept.setdefault(_key(target), []).append(used)


async def _ask_system(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def _key(target: Target) -> Key:
    return target.tls, target.host, target.port


def _request(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = (
        f"POST {target.path} HTTP/1.1\r\nhost: {target.authority}\r\nuser-agent: doorstep\r\naccept: */*\r\n"
        f"content-length: {len(body)}\r\n{lines}\r\n"
    )
    return head.encode("ascii") + body


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """The status, and whether the connection can carry another request."""
    for _ in range(_MOST_INTERIM):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1."):
            raise _Malformed
        status = int(head[9:12])
        if status >= HTTPStatus.OK:
            return status, await _pass_over_body(reader, head, status)
    raise _Malformed


async def _pass_over_body(reader: asyncio.StreamReader, head: bytes, status: int) -> bool:
    """Read the body away, up to the limit; whether the connection is clean behind it."""
    lasting = head.startswith(b"http/1.1") and b"\r\nconnection: close" not in head
    if status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        return lasting
    if b"\r\ntransfer-encoding: chunked" in head:
        left = LARGEST_ANSWER
        while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            left = _within(left, size)
            await reader.readexactly(size + 2)
        return await reader.readuntil(b"\r\n") == b"\r\n" and lasting
    _, found, rest = head.partition(b"\r\ncontent-length:")
    if found:
        size = int(rest.partition(b"\r\n")[0])
        _within(LARGEST_ANSWER, size)
        await reader.readexactly(size)
        return lasting
    left = LARGEST_ANSWER
    while chunk := await reader.read(_LARGEST_HEAD):
        left = _within(left, len(chunk))
    return False


def _within(left: int, size: int) -> int:
    if not 0 <= size <= left:
        raise NotAnswered("answer_too_large")
    return left - size
