"""The relay against a real database and the world's mailbox and telephone: who is told what, once."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from db import notices
from db.session import Sessions
from domain.messages import PaymentActionRequired, PaymentDeclined, PaymentFact
from domain.notices import MOST_ATTEMPTS, RULES, NoticeChannel
from domain.orders import Order
from domain.steps import AuthorizePayment
from domain.vocabulary import TrackingStatus
from providers.errors import ProviderUnavailable
from providers.message import Message, MessageProvider
from runtime.settings import Settings
from tests.db.placing import CANARIES, rows
from tests.db.racing import until_one_waits
from tests.domain import making
from tests.workers.desk import Desk
from tests.world.stage import World
from workers.notices import NoticeRelay

Providers = Mapping[NoticeChannel, MessageProvider]
SETTINGS = Settings(
    database_url="postgresql://nobody@localhost/nothing",
    public_url="https://shop.example",
    tracking_secrets=("tracking-secret",),
)


class Crash(BaseException):
    """The process is gone."""


class Lossy:
    """A provider that loses every answer: the message arrives, and the process ends before it knows."""

    def __init__(self, way: MessageProvider) -> None:
        self._way = way

    async def send(self, message: Message) -> None:
        await self._way.send(message)
        raise Crash


class Away:
    """A provider that cannot be reached."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def send(self, message: Message) -> None:
        self.keys.append(message.key)
        raise ProviderUnavailable("away", retry_after=7200)


async def run(sessions: Sessions, providers: Providers) -> NoticeRelay:
    """A relay of its own that has done all there was to do."""
    relay = NoticeRelay(sessions, providers, SETTINGS)
    for _ in range(20):
        if not await relay.work() and not await waiting(sessions):
            return relay
    raise AssertionError("the relay finds no end")


async def waiting(sessions: Sessions) -> bool:
    """Whether a notice is due that none of its order waits before."""
    first = "SELECT DISTINCT ON (order_id) due_at FROM notices WHERE state = 'queued' ORDER BY order_id, sequence"
    return bool(await rows(sessions, f"SELECT due_at FROM ({first}) AS n WHERE due_at <= now()"))


async def make_due(sessions: Sessions, desk: Desk) -> None:
    """As if leases and waits of the order's notices had run out."""
    async with sessions.begin() as session:
        await session.execute(
            text("UPDATE notices SET due_at = now() WHERE order_id = :id"), {"id": desk.order.order_id}
        )


@pytest.fixture(autouse=True)
async def reader(sessions: Sessions, providers: Providers) -> None:
    """The feed is read from where it is when the test begins."""
    await run(sessions, providers)


async def test_a_customer_is_told_from_the_confirmation_to_the_door(
    sessions: Sessions, world: World, providers: Providers
):
    desk = await Desk.open(sessions)
    await desk.confirm()
    await run(sessions, providers)
    carrier = await desk.ship()
    await run(sessions, providers)
    await desk.send(carrier.says(TrackingStatus.DELIVERY_FAILED))
    await run(sessions, providers)
    await desk.send(carrier.says(TrackingStatus.DELIVERED))
    await desk.finish_steps()
    await run(sessions, providers)

    subjects = [mail["subject"] for mail in desk.mails(world)]
    words = ["is confirmed", "is on its way", "could not be delivered", "was delivered"]
    assert [word in subject for word, subject in zip(words, subjects, strict=True)] == [True] * 4
    assert all("https://shop.example/track/" in mail["plain"] for mail in desk.mails(world))
    assert desk.order.parcels[0].tracking_number in desk.mails(world)[1]["plain"]
    kinds = ["order_confirmed", "shipped", "delivery_failed", "delivered"]
    assert await desk.notices() == [(kind, "email", "sent") for kind in kinds]
    assert [told["data"] for told in await desk.events("notice.sent")] == [
        {"kind": kind, "channel": "email", "locale": "en"} for kind in kinds
    ]
    assert desk.texts(world) == []


async def test_the_timeline_stays_without_gaps_and_the_order_goes_on(sessions: Sessions, providers: Providers):
    desk = await Desk.open(sessions)
    await desk.confirm()
    await run(sessions, providers)
    await desk.ship()

    [row] = await rows(sessions, "SELECT last_sequence FROM orders WHERE order_id = :id", id=desk.order.order_id)
    found = await rows(
        sessions, "SELECT sequence FROM order_events WHERE order_id = :id ORDER BY 1", id=desk.order.order_id
    )

    assert [told["sequence"] for told in found] == list(range(1, row["last_sequence"] + 1))


async def test_what_is_kept_of_a_notice_that_was_sent_is_not_personal(
    sessions: Sessions, world: World, providers: Providers
):
    desk = await Desk.open(sessions)
    await desk.confirm()
    await run(sessions, providers)

    told = await rows(
        sessions,
        "SELECT to_jsonb(n)::text || (SELECT jsonb_agg(e.data)::text FROM order_events e WHERE e.order_id = n.order_id)"
        " AS all FROM notices n WHERE order_id = :id",
        id=desk.order.order_id,
    )

    assert desk.mails(world)
    assert not [word for word in (*CANARIES.values(), desk.email, desk.phone) if word in told[0]["all"]]


@pytest.mark.parametrize(
    ("contact", "channels"),
    [
        ({"notify": "sms"}, ["sms"]),
        ({"notify": "messenger"}, ["messenger"]),
        ({"notify": "email"}, ["email"]),
        ({"email": None}, ["sms"]),
        ({"email": None, "phone": None}, []),
        ({"notify": "sms", "phone": None}, ["email"]),
    ],
)
async def test_the_preferred_channel_reaches_the_customer(
    sessions: Sessions, world: World, providers: Providers, contact: dict[str, Any], channels: list[str]
):
    desk = await Desk.open(sessions, **contact)
    await desk.confirm()
    await run(sessions, providers)

    texts = desk.texts(world)
    assert [message["channel"] for message in texts] + ["email"] * len(desk.mails(world)) == channels
    assert all(desk.order.order_id in message["text"] for message in texts)


async def test_who_opted_out_is_told_only_what_they_need(sessions: Sessions, providers: Providers):
    desk = await Desk.open(sessions, optional_notices=False)
    await desk.confirm()
    carrier = await desk.ship()
    await desk.send(carrier.says(TrackingStatus.DELIVERED))
    await run(sessions, providers)

    assert [kind for kind, _, _ in await desk.notices()] == ["order_confirmed", "shipped"]


async def test_a_chinese_customer_is_written_to_in_chinese(sessions: Sessions, world: World, providers: Providers):
    desk = await Desk.open(sessions, locale="zh-CN", name="王小明")
    await desk.confirm()
    await run(sessions, providers)

    [mail] = desk.mails(world)
    assert "已确认" in mail["subject"] and "小明" in mail["plain"] and 'lang="zh"' in mail["html"]
    assert [told["data"]["locale"] for told in await desk.events("notice.sent")] == ["zh"]


async def test_a_payment_to_confirm_comes_with_its_link_and_not_once_it_is_refused(
    sessions: Sessions, world: World, providers: Providers
):
    desks = [await Desk.open(sessions), await Desk.open(sessions)]
    for desk in desks:
        await desk.send(making.done(desk.order, desk.step()))
        step = desk.step()
        assert isinstance(step, AuthorizePayment)
        await desk.send(_action(step))
    refused, acting = desks
    authorization = refused.order.authorizations[0].authorization_id
    await refused.send(_failed(authorization))
    await run(sessions, providers)

    [mail] = acting.mails(world)
    assert f"https://pay.example/{acting.order.authorizations[0].authorization_id}" in mail["plain"]
    assert [kind for kind, _, state in await refused.notices() if state == "sent"] == ["order_cancelled"]
    assert ("action_needed", "email", "dropped") in await refused.notices()


def _action(step: AuthorizePayment) -> PaymentActionRequired:
    return PaymentActionRequired(
        step_key=step.key,
        authorization_id=step.authorization_id,
        reference="pi_1",
        url=f"https://pay.example/{step.authorization_id}",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )


def _failed(authorization_id: str) -> PaymentFact:
    return PaymentFact(
        id=f"payment:stripe/{authorization_id}",
        authorization_id=authorization_id,
        outcome="failed",
        occurred_at=datetime.now(UTC),
    )


async def test_a_crash_between_sending_and_settling_repeats_the_key_and_the_customer_sees_one(
    sessions: Sessions, world: World, providers: Providers
):
    desks = [await Desk.open(sessions), await Desk.open(sessions, notify="sms")]
    for desk in desks:
        await desk.confirm()
    with pytest.raises(Crash):
        await run(sessions, {channel: Lossy(way) for channel, way in providers.items()})
    for desk in desks:
        assert [state for _, _, state in await desk.notices()] == ["queued"]
        await make_due(sessions, desk)
    # What is sent again was written before: what changed meanwhile does not make another message of it.
    async with sessions.begin() as session:
        await session.execute(text("UPDATE order_contacts SET locale = 'en-US'"))
    await run(sessions, providers)

    by_mail, by_text = desks
    [mail] = by_mail.mails(world)
    [message] = by_text.texts(world)
    assert (mail["copies"], message["copies"]) == (2, 1)
    assert message["key"] == f"ntc_{by_text.order.order_id.removeprefix('ord_')}_4_sms"
    for desk in desks:
        assert [state for _, _, state in await desk.notices()] == ["sent"]
        assert len(await desk.events("notice.sent")) == 1


async def test_an_outage_is_waited_out_and_later_notices_of_the_order_wait_too(
    sessions: Sessions, world: World, providers: Providers
):
    desk, away = await Desk.open(sessions), Away()
    await desk.confirm()
    await run(sessions, {NoticeChannel.EMAIL: away})
    await desk.ship()
    await run(sessions, {NoticeChannel.EMAIL: away})
    waits = await rows(
        sessions,
        "SELECT kind, attempts, due_at > now() + interval '1 hour' AS put_off, last_error FROM notices"
        " WHERE order_id = :id ORDER BY sequence",
        id=desk.order.order_id,
    )
    await make_due(sessions, desk)
    await run(sessions, providers)

    assert [(row["kind"], row["attempts"], row["put_off"]) for row in waits] == [
        ("order_confirmed", 1, True),
        ("shipped", 0, False),
    ]
    assert waits[0]["last_error"] == "away"
    assert ["confirmed" in mail["subject"] for mail in desk.mails(world)] == [True, False]


async def test_what_fails_too_often_or_for_good_is_given_up_and_seen(
    sessions: Sessions, world: World, providers: Providers
):
    tired, refused, away = await Desk.open(sessions), await Desk.open(sessions), Away()
    async with sessions.begin() as session:
        await session.execute(
            text("UPDATE order_contacts SET email = 'nobody@refused.example' WHERE order_id = :id"),
            {"id": refused.order.order_id},
        )
    await refused.confirm()
    await run(sessions, providers)
    await tired.confirm()
    for _ in range(MOST_ATTEMPTS):
        await run(sessions, {NoticeChannel.EMAIL: away})
        await make_due(sessions, tired)
    await run(sessions, providers)

    async with sessions() as session:
        [once] = await notices.of_order(session, refused.order.order_id)
        [often] = await notices.of_order(session, tired.order.order_id)
    assert (once.state, once.attempts, once.last_error, once.message) == ("given_up", 1, "smtp_550", None)
    assert (often.state, often.attempts, often.last_error) == ("given_up", MOST_ATTEMPTS, "away")
    assert set(away.keys) == {often.notice_id}
    assert tired.mails(world) == [] and await tired.events("notice.sent") == []


async def test_a_letter_that_cannot_be_written_keeps_no_other_back(
    sessions: Sessions, world: World, providers: Providers
):
    broken, whole = await Desk.open(sessions), await Desk.open(sessions)
    await broken.confirm()
    await whole.confirm()
    async with sessions.begin() as session:
        await session.execute(
            text("UPDATE orders SET snapshot = '{}' WHERE order_id = :id"), {"id": broken.order.order_id}
        )
    await run(sessions, providers)

    assert [state for _, _, state in await broken.notices()] == ["given_up"]
    assert len(whole.mails(world)) == 1


async def test_two_relays_tell_each_event_once_and_do_not_wait_for_each_other(
    sessions: Sessions, world: World, providers: Providers
):
    desks = [await Desk.open(sessions) for _ in range(12)]
    for desk in desks:
        await desk.confirm()
    await asyncio.gather(*(run(sessions, providers) for _ in range(3)))
    await run(sessions, providers)

    assert [[mail["copies"] for mail in desk.mails(world)] for desk in desks] == [[1]] * 12


async def test_a_reader_does_not_wait_for_another_and_passes_nothing_meanwhile(
    sessions: Sessions, providers: Providers
):
    desk = await Desk.open(sessions)
    await desk.confirm()
    async with sessions.begin() as first:
        passed, found = await notices.read_on(first, RULES, limit=1000, news_for=timedelta(days=1))
        async with sessions.begin() as second:
            nothing = await notices.read_on(second, RULES, limit=1000, news_for=timedelta(days=1))
        await first.rollback()
    await run(sessions, providers)

    assert passed > 0 and [event.kind for event in found] == ["order.confirmed"]
    assert nothing == (0, [])
    assert await desk.notices() == [("order_confirmed", "email", "sent")]


async def test_a_worker_that_was_slow_to_settle_tells_nothing_twice(sessions: Sessions, providers: Providers):
    desk = await Desk.open(sessions)
    await desk.confirm()
    await run(sessions, providers)
    [row] = await rows(sessions, "SELECT notice_id FROM notices WHERE order_id = :id", id=desk.order.order_id)

    async with sessions.begin() as session:
        await notices.sent(session, row["notice_id"], desk.order.order_id, at=datetime.now(UTC))
        await notices.give_up(session, row["notice_id"], error="too late")

    assert len(await desk.events("notice.sent")) == 1
    assert await desk.notices() == [("order_confirmed", "email", "sent")]


async def test_the_event_waits_for_whoever_writes_the_order(sessions: Sessions, world: World, providers: Providers):
    """Both number the order's next event: one of them must see the other's."""
    desk = await Desk.open(sessions)
    await desk.confirm()
    async with sessions.begin() as session:
        await session.execute(text("SELECT FROM orders WHERE order_id = :id FOR UPDATE"), {"id": desk.order.order_id})
        task: asyncio.Task[object] = asyncio.create_task(run(sessions, providers))
        await until_one_waits(sessions, task)
        await session.execute(
            text(
                "INSERT INTO order_events (order_id, sequence, cause_id, ordinal, kind, at, actor_kind, data)"
                " SELECT order_id, last_sequence + 1, 'between', 0, 'order.note_added', now(), 'support', '{}'"
                " FROM orders WHERE order_id = :id"
            ),
            {"id": desk.order.order_id},
        )
        await session.execute(
            text("UPDATE orders SET last_sequence = last_sequence + 1 WHERE order_id = :id"),
            {"id": desk.order.order_id},
        )
    await task

    [told] = await desk.events("notice.sent")
    [row] = await rows(sessions, "SELECT last_sequence FROM orders WHERE order_id = :id", id=desk.order.order_id)
    assert row["last_sequence"] == told["sequence"] == (await desk.events("order.note_added"))[0]["sequence"] + 1


async def test_without_a_provider_nothing_is_queued_and_what_was_long_ago_is_no_news(
    sessions: Sessions, world: World, providers: Providers
):
    old, new = await Desk.open(sessions), await Desk.open(sessions)
    await old.confirm()
    await new.confirm()
    async with sessions.begin() as session:
        await session.execute(
            text("UPDATE order_events SET at = at - interval '3 days' WHERE order_id = :id"),
            {"id": old.order.order_id},
        )
    await run(sessions, {})
    assert await new.notices() == []

    await run(sessions, providers)

    assert (await old.notices(), len(new.mails(world))) == ([], 1)


async def test_a_refused_order_is_told_as_cancelled(sessions: Sessions, world: World, providers: Providers):
    desk = await Desk.open(sessions)
    await desk.send(making.done(desk.order, desk.step()))
    step = desk.step()
    assert isinstance(step, AuthorizePayment)
    await desk.send(PaymentDeclined(step_key=step.key, authorization_id=step.authorization_id, code="card_declined"))
    await run(sessions, providers)

    [mail] = desk.mails(world)
    assert "is cancelled" in mail["subject"] and "payment was not confirmed" in mail["plain"]


async def test_units_that_were_not_found_are_told(sessions: Sessions, world: World, providers: Providers):
    desk = await Desk.open(sessions)
    await desk.confirm()
    await desk.miss({"1": 2})
    await run(sessions, providers)

    assert _cancelled(desk.order) == {"1": 2}
    assert ["Part of" in mail["subject"] for mail in desk.mails(world)] == [False, True]


def _cancelled(order: Order) -> dict[str, int]:
    return {p.line_id: p.quantity for p in order.portions if p.stage.value == "cancelled"}


async def test_uninteresting_events_cost_one_statement_a_batch(sessions: Sessions, providers: Providers):
    relay = await run(sessions, providers)
    desk = await Desk.open(sessions)
    await desk.send(making.done(desk.order, desk.step()))
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement.split(maxsplit=1)[0])

    engine = sessions.kw["bind"].sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        await relay.work()
    finally:
        event.remove(engine, "before_cursor_execute", note)

    assert sent == ["WITH"]
