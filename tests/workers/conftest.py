"""A database of the module's own, and a world with mailbox and telephone."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from db.session import Sessions, create_sessions, dispose
from domain.notices import NoticeChannel
from providers.message import GatewayMessages, MessageProvider, SmtpMessages
from tests.world.stage import World, free_port

TOKEN = "gateway-token"


@pytest_asyncio.fixture(scope="module")
async def sessions(database_url: str) -> AsyncIterator[Sessions]:
    """Transactions on a migrated database of this module."""
    made = create_sessions(database_url, pool_size=10)
    yield made
    await dispose(made)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world that takes mail and texts."""
    settings = {"smtp_port": free_port(), "message_gateway_token": TOKEN}
    world = World(tmp_path_factory.mktemp("world"), settings=settings)
    world.start()
    world.ledger()  # It answers once mail is taken too.
    yield world
    world.stop()


@pytest_asyncio.fixture
async def providers(world: World) -> AsyncIterator[dict[NoticeChannel, MessageProvider]]:
    """Our adapters for every channel, against the world."""
    mail = SmtpMessages(url=f"smtp://127.0.0.1:{world.settings['smtp_port']}", sender="Shop <orders@shop.example>")
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        gateway = GatewayMessages(url=f"{world.url}/messages", token=TOKEN, client=client)
        yield {NoticeChannel.EMAIL: mail, NoticeChannel.SMS: gateway, NoticeChannel.MESSENGER: gateway}
    await mail.close()
