"""Server-sent events: every event once and in order, whenever a reader comes and goes; bounded, and ended in good order."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

import httpx
import pytest
import uvicorn
from sqlalchemy import text

from api.__main__ import Server
from api.app import create_app
from api.context import Context
from api.streams.hub import KEPT, PAGE
from devstack.ports import HOST, free_base
from tests.api.bodies import errors, order
from tests.api.conftest import KEYS, Api, settings_for
from tests.fixtures.events import add_events
from tests.fixtures.sse import Reader, reading
from tests.fixtures.waiting import until
from workers.freezing import Freezer
from workers.relays import Publisher

COMMENT_EVERY = 0.25
PATIENCE = 1.0


@dataclass
class Served:
    """The API behind a real server, on the database and with the keys of the API in this process."""

    api: Api
    server: Server
    context: Context
    clients: dict[str, httpx.AsyncClient]
    publisher: Publisher

    def __getitem__(self, name: str) -> httpx.AsyncClient:
        return self.clients[name]

    async def order(self, who: str = "storefront", **changes: object) -> str:
        """The id of a new order."""
        answer = await self.api[who].post("/v1/orders", json=order(**changes))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["order_id"])

    async def publish(self) -> None:
        """Stamp everything that is committed."""
        while await self.publisher.work():
            pass

    async def until_quiet(self) -> None:
        """Return once no stream is open."""

        async def look() -> bool:
            return self.context.streams.open == 0

        await until(look, "every stream to be closed")


@contextlib.asynccontextmanager
async def serving(api: Api, url: str) -> AsyncIterator[Served]:
    """The API served with short comments and little patience."""
    settings = replace(settings_for(url), stream_comment_seconds=COMMENT_EVERY, stream_patience_seconds=PATIENCE)
    app = create_app(settings)
    port = free_base(1)
    config = uvicorn.Config(app, host=HOST, port=port, log_level="critical", lifespan="off", ws="none")
    server = Server(config, app.state.context.streams)
    task = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await until(started, "the server to start")
    async with contextlib.AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=f"http://{HOST}:{port}",
                    headers=api[name].headers,
                    trust_env=False,
                    timeout=30,
                    limits=httpx.Limits(max_connections=None),
                )
            )
            for name in [*KEYS, "nobody"]
        }
        publisher = Publisher(api.sessions, queue=Freezer(settings).queue, published=lambda: None)
        yield Served(api=api, server=server, context=app.state.context, clients=clients, publisher=publisher)
        await publisher.lose()
    server.should_exit = True
    await task
    await app.state.context.close()


@pytest.fixture(scope="module")
async def served(api: Api, database_url: str) -> AsyncIterator[Served]:
    async with serving(api, database_url) as found:
        yield found


async def test_an_order_is_told_from_its_first_event_and_goes_on_live(served: Served) -> None:
    order_id = await served.order()
    await add_events(served.api.sessions, order_id, 2)

    async with reading(served["storefront"], f"/v1/orders/{order_id}/events") as reader:
        await reader.until_events(3)
        await add_events(served.api.sessions, order_id)
        events = await reader.until_events(4)

    listed = (await served["storefront"].get(f"/v1/orders/{order_id}/events")).json()["items"]
    assert [event.data for event in events] == listed
    assert reader.ids == [1, 2, 3, 4]
    assert [event.kind for event in events] == ["order.received", *["parcel.tracked"] * 3]
    assert reader.response.headers["content-type"].startswith("text/event-stream")
    assert reader.response.headers["cache-control"] == "no-store"


async def test_a_reader_goes_on_behind_what_it_saw(served: Served) -> None:
    order_id = await served.order()
    await add_events(served.api.sessions, order_id, 4)

    async with reading(served["support"], f"/v1/orders/{order_id}/events", after=3) as reader:
        await reader.until_events(2)
        await add_events(served.api.sessions, order_id)
        await reader.until_events(3)
    async with reading(served["support"], f"/v1/orders/{order_id}/events", after=6) as last:
        await add_events(served.api.sessions, order_id)
        await last.until_events(1)

    assert reader.ids == [4, 5, 6]
    assert last.ids == [7]


async def test_the_list_stays_json_for_all_other_callers(served: Served) -> None:
    path = f"/v1/orders/{await served.order()}/events"

    for accept in ("application/json", "*/*", "text/*", "text/event-stream;q=0, application/json", ""):
        answer = await served["storefront"].get(path, headers={"Accept": accept})
        assert answer.headers["content-type"] == "application/json", accept
        assert [item["sequence"] for item in answer.json()["items"]] == [1]


@pytest.mark.parametrize("place", ["", "abc", "-1", "1.5", "1 2", "1e3", "٣", "1" * 19, "9" * 18])
async def test_a_place_that_is_none_is_named(served: Served, place: str) -> None:
    headers = httpx.Headers({"Accept": "text/event-stream", "Last-Event-ID": place}, encoding="utf-8")

    for path in (f"/v1/orders/{await served.order()}/events", "/v1/events"):
        answer = await served["support"].get(path, headers=headers)
        assert (answer.status_code, set(errors(answer))) == (422, {"Last-Event-ID"}), path


async def test_a_stream_is_opened_by_whom_the_order_is_shown_to(served: Served) -> None:
    order_id = await served.order()
    headers = {"Accept": "text/event-stream"}

    async def status(who: str, path: str) -> int:
        return (await served[who].get(path, headers=headers)).status_code

    assert await status("other_storefront", f"/v1/orders/{order_id}/events") == 404
    assert await status("support", "/v1/orders/ord_nothing/events") == 404
    for path in (f"/v1/orders/{order_id}/events", "/v1/events"):
        assert await status("nobody", path) == 401
        assert await status("warehouse", path) == 403
        assert await status("carrier", path) == 403


async def test_the_feed_begins_now_and_names_the_order(served: Served) -> None:
    await served.order()
    await served.publish()

    async with reading(served["operations"], "/v1/events") as reader:
        order_id = await served.order()
        await served.publish()
        [event] = await reader.until_events(1)

    listed = (await served["operations"].get(f"/v1/orders/{order_id}/events")).json()["items"]
    view = (await served["operations"].get(f"/v1/orders/{order_id}")).json()
    own = {name: view[name] for name in ("order_id", "channel", "source", "order_ref")}
    assert event.data == listed[0] | own | {"position": event.id}
    assert event.kind == "order.received"
    assert int(reader.response.headers["last-event-id"]) == event.id - 1


async def test_a_storefront_is_told_of_its_own_sources(served: Served) -> None:
    await served.publish()
    async with (
        reading(served["storefront"], "/v1/events") as mine,
        reading(served["other_storefront"], "/v1/events") as other,
        reading(served["support"], "/v1/events") as all_of_them,
    ):
        first = await served.order()
        elsewhere = await served.order("other_storefront", source="elsewhere")
        last = await served.order()
        await served.publish()
        await all_of_them.until_events(3)
        await mine.until_events(2)
        await other.until_events(1)
    async with reading(served["other_storefront"], "/v1/events", after=all_of_them.ids[0]) as resumed:
        await resumed.until_events(1)

    assert [event.data["order_id"] for event in mine.events] == [first, last]
    assert [event.data["order_id"] for event in other.events] == [elsewhere]
    assert [event.data["order_id"] for event in resumed.events] == [elsewhere]


async def test_the_feed_is_contiguous_for_who_comes_late_and_goes_on(served: Served) -> None:
    order_id = await served.order()
    await served.publish()
    first = int(await served.api.value("SELECT max(position) FROM order_events"))
    async with reading(served["support"], "/v1/events") as early:
        # More than the process keeps in mind: a reader from the beginning has to ask the database itself.
        for _ in range(2):
            await add_events(served.api.sessions, order_id, KEPT + PAGE)
            await served.publish()
        total = 2 * (KEPT + PAGE)
        await early.until_events(total)
        async with reading(served["support"], "/v1/events", after=first) as late:
            await add_events(served.api.sessions, order_id, 3)
            await served.publish()
            await late.until_events(total + 3)
            await early.until_events(total + 3)

    expected = list(range(first + 1, first + total + 4))
    assert early.ids == expected
    assert late.ids == expected


async def test_readers_that_come_at_any_moment_see_each_event_once(served: Served) -> None:
    await served.publish()
    start = int(await served.api.value("SELECT max(position) FROM order_events"))
    orders = [await served.order() for _ in range(6)]
    per_order, chance = 25, random.Random(7)

    async def write(order_id: str) -> None:
        for _ in range(per_order):
            # Transactions of several orders overlap, and commit in another order than that in which they began.
            async with served.api.sessions.begin() as session:
                await session.execute(
                    text(
                        "WITH o AS (UPDATE orders SET last_sequence = last_sequence + 1 WHERE order_id = :order_id"
                        " RETURNING order_id, last_sequence AS n)"
                        " INSERT INTO order_events (order_id, sequence, cause_id, ordinal, kind, at, actor_kind, data)"
                        " SELECT order_id, n, 'test-' || n, 0, 'parcel.tracked', now(), 'system', '{}' FROM o"
                    ),
                    {"order_id": order_id},
                )
                await asyncio.sleep(chance.random() * 0.02)

    async def publish() -> None:
        while True:
            await served.publish()
            await asyncio.sleep(0.005)

    async def read(number: int, stack: contextlib.AsyncExitStack) -> Reader:
        await asyncio.sleep(chance.random() * 0.4)
        path = "/v1/events" if number % 2 else f"/v1/orders/{orders[number % 6]}/events"
        return await stack.enter_async_context(reading(served["support"], path, after=start if number % 2 else 0))

    async with contextlib.AsyncExitStack() as stack:
        publishing = asyncio.create_task(publish())
        stack.callback(publishing.cancel)
        writing = asyncio.gather(*(write(order_id) for order_id in orders))
        readers = await asyncio.gather(*(read(number, stack) for number in range(30)))
        await writing
        all_events = 6 * (per_order + 1)
        for number, reader in enumerate(readers):
            await reader.until_events(all_events if number % 2 else per_order + 1)

    for number, reader in enumerate(readers):
        if number % 2:
            assert reader.ids == list(range(start + 1, start + 1 + all_events))
            for order_id in orders:
                sequences = [e.data["sequence"] for e in reader.events if e.data["order_id"] == order_id]
                assert sequences == list(range(1, per_order + 2))
        else:
            assert reader.ids == list(range(1, per_order + 2))


async def test_a_quiet_stream_says_that_it_is_there(served: Served) -> None:
    order_id = await served.order()

    async with (
        reading(served["storefront"], f"/v1/orders/{order_id}/events", after=1) as one,
        reading(served["storefront"], "/v1/events") as feed,
    ):
        await one.until_comments(3)
        await feed.until_comments(3)

    assert one.events == []


async def test_all_readers_of_the_feed_cost_one_query_and_an_order_only_its_own(served: Served) -> None:
    orders = [await served.order() for _ in range(5)]
    await served.publish()
    sessions = served.context.sessions
    counted = replace(served.api, sessions=sessions)
    async with contextlib.AsyncExitStack() as stack:
        feeds = [await stack.enter_async_context(reading(served["support"], "/v1/events")) for _ in range(20)]
        streams = [
            await stack.enter_async_context(reading(served["support"], f"/v1/orders/{order_id}/events"))
            for order_id in orders
        ]
        for stream in streams:
            await stream.until_events(1)
        with counted.statements() as sent:
            await add_events(served.api.sessions, orders[0], 3)
            await served.publish()
            await streams[0].until_events(4)
            for feed in feeds:
                await feed.until_events(3)

    reads = [statement for statement in sent if "FROM order_events" in statement]
    by_position = [statement for statement in reads if "position >" in statement]
    assert len(by_position) == 1, sent
    # Three announcements of one transaction may be heard as one or as three.
    assert 1 <= len(reads) - len(by_position) <= 3, sent
    assert [stream.ids for stream in streams[1:]] == [[1]] * 4


async def test_a_reader_that_takes_nothing_is_dropped_and_can_go_on(served: Served) -> None:
    order_id = await served.order()
    await add_events(served.api.sessions, order_id, 300, size=100_000)
    await served.until_quiet()
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((HOST, served.server.config.port))
    raw.settimeout(30)
    key = served["support"].headers["authorization"]
    head = f"GET /v1/orders/{order_id}/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: {key}"
    raw.sendall(f"{head}\r\n\r\n".encode())

    async def opened() -> bool:
        return served.context.streams.open == 1

    with raw:
        await until(opened, "the stream to be opened")
        await served.until_quiet()
        received = await asyncio.to_thread(_drain, raw)

    assert not received.endswith(b"0\r\n\r\n"), "the end of a stream that was cut must not look like its end"
    whole = received[: received.rindex(b"\n\n")]
    seen = int(whole[whole.rindex(b"id: ") + 4 :].split(b"\n")[0])
    assert 0 < seen < 301
    async with reading(served["support"], f"/v1/orders/{order_id}/events", after=seen) as reader:
        await reader.until_events(301 - seen)
    assert reader.ids == list(range(seen + 1, 302))


def _drain(raw: socket.socket) -> bytes:
    received = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while chunk := raw.recv(1 << 20):
            received += chunk
    return bytes(received)


async def test_a_reader_that_leaves_is_forgotten(served: Served) -> None:
    order_id = await served.order()

    async with reading(served["support"], f"/v1/orders/{order_id}/events"), reading(served["support"], "/v1/events"):
        assert served.context.streams.open == 2

    await served.until_quiet()


async def test_a_stream_ends_with_its_key(served: Served) -> None:
    order_id = await served.order()
    async with reading(served["operations"], f"/v1/orders/{order_id}/events") as reader:
        await reader.until_events(1)
        await _revoke(served, "operations", revoked=True)
        await reader.until_over()
    await _revoke(served, "operations", revoked=False)

    assert reader.ended


async def _revoke(served: Served, name: str, *, revoked: bool) -> None:
    async with served.api.sessions.begin() as session:
        await session.execute(
            text("UPDATE api_keys SET revoked_at = CASE WHEN :revoked THEN now() END WHERE name = :name"),
            {"name": name, "revoked": revoked},
        )


async def test_what_happened_while_nobody_listened_is_told(served: Served) -> None:
    order_id = await served.order()
    await served.publish()
    async with (
        reading(served["support"], f"/v1/orders/{order_id}/events") as one,
        reading(served["support"], "/v1/events") as feed,
    ):
        await one.until_events(1)
        killed = await _without_listener(served, order_id)
        await one.until_events(2)
        await feed.until_events(1)

    assert killed >= 1
    assert one.ids == [1, 2]


async def _without_listener(served: Served, order_id: str) -> int:
    """End every listening connection; in the transaction that does, so that nobody hears of it, something happens."""
    ended: Sequence[object] = await served.api.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'"
    )
    await add_events(served.api.sessions, order_id)
    await served.publish()
    return len(ended)


async def test_the_end_of_the_process_ends_streams_in_good_order(api: Api, database_url: str) -> None:
    async with serving(api, database_url) as served:
        order_id = await served.order()
        async with (
            reading(served["support"], f"/v1/orders/{order_id}/events") as one,
            reading(served["support"], "/v1/events") as feed,
        ):
            await one.until_events(1)
            served.server.should_exit = True
            await one.until_over()
            await feed.until_over()

    assert (one.ended, feed.ended) == (True, True)
