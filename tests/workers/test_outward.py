"""Posting to addresses that strangers name: exactly the address that was judged is called, and answers are bounded."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from providers.outward import LARGEST_ANSWER, NotAnswered, Outward

TLS = Path(__file__).resolve().parent.parent / "fixtures" / "tls"
Reply = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Resolver:
    """Gives these addresses, one set after another, and counts."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0)


@contextlib.asynccontextmanager
async def listening(reply: Reply, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A port of this machine where each request is answered by *reply*, and the heads that came."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                heads.append(head)
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                await reply(reader, writer)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()


def saying(answer: bytes) -> Reply:
    async def reply(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return reply


NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


@contextlib.asynccontextmanager
async def outward(**options: object) -> AsyncIterator[Outward]:
    made = Outward(**({"allow_loopback": True, "answer_within": 5} | options))  # type: ignore[arg-type]
    try:
        yield made
    finally:
        await made.close()


async def post(made: Outward, url: str) -> int:
    return await made.post(url, headers={"webhook-id": "msg_1"}, body=b"{}")


async def refused(made: Outward, url: str) -> str:
    with pytest.raises(NotAnswered) as caught:
        await post(made, url)
    return caught.value.reason


async def test_the_address_that_was_judged_is_the_one_that_is_called() -> None:
    # The second answer would be for somebody who asks once more between the judgement and the call.
    resolver = Resolver(["127.0.0.1"], ["10.0.0.1"])
    async with listening(saying(NO_CONTENT)) as (port, heads), outward(resolve=resolver) as made:
        status = await post(made, f"http://shop.example:{port}/hooks?x=y")

    assert status == 204
    assert resolver.asked == ["shop.example"]
    assert heads[0].startswith(f"POST /hooks?x=y HTTP/1.1\r\nhost: shop.example:{port}\r\n".encode())
    assert b"\r\nwebhook-id: msg_1\r\n" in heads[0]


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], ["10.0.0.1"], ["169.254.169.254"], ["93.184.216.34", "192.168.0.1"], ["::ffff:127.0.0.1"]],
)
async def test_a_name_that_leads_inside_is_not_called(addresses: list[str]) -> None:
    async with (
        listening(saying(NO_CONTENT)) as (port, heads),
        outward(resolve=Resolver(addresses), allow_loopback=False) as made,
    ):
        reason = await refused(made, f"https://shop.example:{port}/")

    assert (reason, heads) == ("address_refused", [])


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "https://127.0.0.1:{port}/", "https://[::1]:{port}/"])
async def test_this_machine_is_not_called_where_it_is_not_allowed(url: str) -> None:
    async with listening(saying(NO_CONTENT)) as (port, heads), outward(allow_loopback=False) as made:
        reason = await refused(made, url.format(port=port))

    assert (reason, heads) == ("address_refused", [])


async def test_the_systems_resolver_is_judged_too() -> None:
    async with listening(saying(NO_CONTENT)) as (port, heads), outward(allow_loopback=False) as made:
        reason = await refused(made, f"https://localhost:{port}/")

    assert (reason, heads) == ("address_refused", [])


async def test_a_name_that_is_unknown() -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    async with outward(resolve=unknown) as made:
        assert await refused(made, "https://nowhere.example/") == "name_unknown"


async def test_a_second_address_is_tried_when_the_first_is_not_there() -> None:
    async with listening(saying(NO_CONTENT)) as (port, _), outward(resolve=Resolver(["::1", "127.0.0.1"])) as made:
        assert await post(made, f"http://shop.example:{port}/") == 204


async def test_a_kept_connection_is_used_again_and_a_closed_one_replaced() -> None:
    async def close_after(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(NO_CONTENT)
        if len(heads) == 2:
            writer.close()

    async with listening(close_after) as (port, heads), outward(resolve=Resolver(["127.0.0.1"], ["127.0.0.1"])) as made:
        statuses = [await post(made, f"http://shop.example:{port}/") for _ in range(4)]

    assert statuses == [204] * 4


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200),
        (CHUNKED + b"2\r\nok\r\n3;x=y\r\nyes\r\n0\r\n\r\n", 200),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n", 202),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", 302),
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", 500),
    ],
    ids=range(5),
)
async def test_the_status_is_read_and_the_rest_passed_over(answer: bytes, status: int) -> None:
    async with listening(saying(answer)) as (port, _), outward() as made:
        assert [await post(made, f"http://127.0.0.1:{port}/") for _ in range(2)] == [status] * 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (LARGEST_ANSWER + 1), "answer_too_large"),
        (CHUNKED + b"%x\r\n" % (LARGEST_ANSWER + 1), "answer_too_large"),
        (CHUNKED + b"-1\r\n", "answer_too_large"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (LARGEST_ANSWER + 1), "answer_too_large"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * LARGEST_ANSWER, "bad_answer"),
        (CHUNKED + b"many\r\n", "bad_answer"),
        (b"SSH-2.0-something\r\n\r\n", "bad_answer"),
        (b"HTTP/1.1 abc\r\n\r\n", "bad_answer"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 20, "bad_answer"),
    ],
    ids=range(9),
)
async def test_an_answer_has_its_bounds(answer: bytes, reason: str) -> None:
    async with listening(saying(answer)) as (port, _), outward() as made:
        assert await refused(made, f"http://127.0.0.1:{port}/") == reason


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhal"], ids=["nothing", "half"])
async def test_an_answer_comes_in_time(answer: bytes) -> None:
    async with listening(saying(answer)) as (port, _), outward(answer_within=0.2) as made:
        assert await refused(made, f"http://127.0.0.1:{port}/") == "timeout"


async def test_a_connection_that_breaks_off_is_no_answer() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with listening(hang_up) as (port, _), outward() as made:
        assert await refused(made, f"http://127.0.0.1:{port}/") == "unreachable"


async def _over_tls(url: str, *, trusted: bool) -> tuple[int, list[bytes]]:
    """The status of a server that proves to be shop.example to those who trust its certificate, and what it was sent."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(TLS / "shop.pem", TLS / "shop.key")
    trust = ssl.create_default_context(cafile=TLS / "shop.pem") if trusted else None
    resolver = Resolver(["127.0.0.1"])
    async with (
        listening(saying(NO_CONTENT), tls=serving) as (port, heads),
        outward(resolve=resolver, tls=trust) as made,
    ):
        return await post(made, url.format(port=port)), heads


async def test_who_proves_its_name_is_told() -> None:
    status, heads = await _over_tls("https://shop.example:{port}/", trusted=True)

    assert (status, len(heads)) == (204, 1)


@pytest.mark.parametrize(
    ("url", "trusted"), [("https://shop.example:{port}/", False), ("https://other.example:{port}/", True)]
)
async def test_who_cannot_prove_its_name_is_not_told(url: str, trusted: bool) -> None:
    with pytest.raises(NotAnswered, match="unreachable"):
        await _over_tls(url, trusted=trusted)
