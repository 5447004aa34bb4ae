"""The mailbox and the telephone through our adapters: what arrives, what a repeat does, and what survives."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.notices import NoticeChannel
from providers.errors import ProviderRejected, ProviderUnavailable
from providers.message import GatewayMessages, Message, MessageProvider, SmtpMessages

from .stage import World, WorldProcess, free_port

TOKEN = "gateway-token"
SENDER = "Doorstep <orders@shop.example>"


def settings() -> dict[str, Any]:
    """A world that takes mail."""
    return {"smtp_port": free_port(), "message_gateway_token": TOKEN}


def start(world: World) -> None:
    """Both doors are open when this returns: HTTP answers only once mail is taken too."""
    world.start()
    assert arrived(world, "mailbox") is not None


@pytest.fixture
def post(tmp_path: Path) -> Iterator[World]:
    """A world with a mailbox."""
    world = World(tmp_path, settings=settings())
    start(world)
    yield world
    world.stop()


@asynccontextmanager
async def providers(world: World, token: str = TOKEN) -> AsyncIterator[tuple[SmtpMessages, GatewayMessages]]:
    """Our adapters against *world*."""
    mail = SmtpMessages(url=f"smtp://127.0.0.1:{world.settings['smtp_port']}", sender=SENDER)
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        yield mail, GatewayMessages(url=f"{world.url}/messages", token=token, client=client)
    await mail.close()


def mail_to(to: str = "reader@example.org", key: str = "ntc_1") -> Message:
    """A mail with both parts."""
    return Message(
        channel=NoticeChannel.EMAIL,
        to=to,
        key=key,
        subject="订单 10001 已确认",
        plain="你好\n" + "long " * 100,
        html="<p>你好</p>",
    )


def text_to(to: str = "+441632960001", key: str = "ntc_2", channel: NoticeChannel = NoticeChannel.SMS) -> Message:
    """A text."""
    return Message(channel=channel, to=to, key=key, plain="你好")


def arrived(world: World, place: str, **wanted: str) -> list[dict[str, Any]]:
    """What the world kept."""
    found: list[dict[str, Any]] = httpx.get(f"{world.url}/{place}", params=wanted, trust_env=False).json()
    return found


async def test_a_mail_arrives_whole_and_only_for_whom_it_is(post: World):
    async with providers(post) as (mail, _):
        provider: MessageProvider = mail
        await provider.send(mail_to())
        await provider.send(mail_to("other@example.org", key="ntc_9"))

    [found] = arrived(post, "mailbox", to="Reader@example.org")
    assert found["message_id"] == "<ntc_1@shop.example>"
    assert (found["from"], found["subject"]) == (SENDER, "订单 10001 已确认")
    assert found["plain"].replace("\r\n", "\n").split("\n")[0] == "你好"
    assert (found["html"].strip(), found["copies"]) == ("<p>你好</p>", 1)
    assert len(arrived(post, "mailbox")) == 2


async def test_a_text_arrives_once_per_key(post: World):
    async with providers(post) as (_, gateway):
        await gateway.send(text_to())
        await gateway.send(text_to())
        await gateway.send(text_to(key="ntc_3", channel=NoticeChannel.MESSENGER))

    found = arrived(post, "phone", to="+441632960001")
    assert [(each["key"], each["channel"], each["text"]) for each in found] == [
        ("ntc_2", "sms", "你好"),
        ("ntc_3", "messenger", "你好"),
    ]


async def test_a_repeated_mail_is_recognised(post: World):
    async with providers(post) as (mail, _):
        await mail.send(mail_to())
        await mail.send(mail_to())

    assert [found["copies"] for found in arrived(post, "mailbox")] == [2]


@pytest.mark.parametrize("fault", ["fail_next", "timeout_before_next", "timeout_after_next"])
async def test_a_failing_way_is_an_outage_and_the_next_message_goes_through(post: World, fault: str):
    async with providers(post) as (mail, gateway):
        for provider, message in ((mail, mail_to()), (gateway, text_to())):
            post.control(messages={fault: 1})
            with pytest.raises(ProviderUnavailable):
                await provider.send(message)
            await provider.send(message)

    assert len(arrived(post, "mailbox")) == len(arrived(post, "phone")) == 1


@pytest.mark.parametrize("address", ["nobody@refused.example", "a,b@example.org", "<x@example.org"])
async def test_an_address_that_is_refused_is_no_outage_and_is_not_repeated_in_the_error(post: World, address: str):
    async with providers(post) as (mail, _):
        with pytest.raises(ProviderRejected) as refused:
            await mail.send(mail_to(address))
        await mail.send(mail_to())

    assert address not in str(refused.value)
    assert [found["to"] for found in arrived(post, "mailbox")] == ["reader@example.org"]


async def test_a_wrong_token_is_ours_to_mend_and_a_refused_message_is_not(post: World):
    async with providers(post, token="wrong") as (_, gateway):
        with pytest.raises(ProviderUnavailable):
            await gateway.send(text_to())
    async with providers(post) as (_, gateway):
        with pytest.raises(ProviderRejected, match="gateway_422"):
            await gateway.send(text_to(channel=NoticeChannel.EMAIL))


async def test_nobody_there_is_an_outage(tmp_path: Path):
    world = World(tmp_path, settings=settings())
    async with providers(world) as (mail, gateway):
        for provider, message in ((mail, mail_to()), (gateway, text_to())):
            with pytest.raises(ProviderUnavailable):
                await provider.send(message)


async def test_what_arrived_survives_the_worlds_death_and_the_connection_is_made_anew(tmp_path: Path):
    world = WorldProcess(tmp_path, settings=settings())
    start(world)
    try:
        async with providers(world) as (mail, gateway):
            await mail.send(mail_to())
            await gateway.send(text_to())
            world.kill()
            start(world)
            await gateway.send(text_to())
            await _again(mail)

        assert [found["copies"] for found in arrived(world, "mailbox")] == [2]
        assert len(arrived(world, "phone")) == 1
    finally:
        world.stop()


async def _again(mail: SmtpMessages) -> None:
    """Send again, once more if the old connection has only now been found dead."""
    try:
        await mail.send(mail_to())
    except ProviderUnavailable:
        await mail.send(mail_to())


@pytest.mark.parametrize(
    ("url", "sender"),
    [("http://x", SENDER), ("smtp://", SENDER), ("smtp://x", "nobody")],
    ids=["scheme", "host", "from"],
)
def test_settings_that_cannot_be_right_are_named(url: str, sender: str):
    with pytest.raises(ValueError, match=r"DOORSTEP_(SMTP_URL|MAIL_FROM)"):
        SmtpMessages(url=url, sender=sender)
