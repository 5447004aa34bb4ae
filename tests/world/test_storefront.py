"""The shop's side of our webhooks: verified, kept once, repeats counted and compared."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from .stage import World, webhook_secret

SECRET = webhook_secret("storefront")


@pytest.fixture
def shop_world(tmp_path: Path):
    """A world whose shop knows its secret."""
    world = World(tmp_path, settings={"storefront_webhook_secret": SECRET})
    world.start()
    yield world
    world.stop()


def payload(sequence: int = 1, **changes: Any) -> dict[str, Any]:
    """What we tell of an order."""
    return {
        "type": "order.received",
        "timestamp": "2026-01-31T12:00:00Z",
        "data": {
            "event": {"sequence": sequence, "kind": "order.received"},
            "order": {"order_id": "ord_1", "order_ref": "1", "state": "received", "version": sequence} | changes,
        },
    }


def tell(world: World, content: dict[str, Any], *, id: str = "msg_1", secret: str = SECRET) -> int:
    """The status with which the shop answers."""
    body, now = json.dumps(content), datetime.now(UTC)
    headers = {
        "webhook-id": id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(id, now, body),
    }
    return httpx.post(f"{world.url}/storefront/webhooks", content=body, headers=headers, trust_env=False).status_code


def kept(world: World, **wanted: str) -> list[dict[str, Any]]:
    """What the shop has."""
    found: list[dict[str, Any]] = httpx.get(f"{world.url}/storefront/webhooks", params=wanted, trust_env=False).json()
    return found


def test_a_webhook_is_kept_once_and_its_repeats_are_counted(shop_world: World):
    assert [tell(shop_world, payload()) for _ in range(3)] == [204] * 3
    assert tell(shop_world, payload(2), id="msg_2") == 204

    first, second = kept(shop_world, order_id="ord_1")
    assert (first["webhook_id"], first["copies"], first["altered"]) == ("msg_1", 3, False)
    assert (second["event"]["sequence"], second["order"]["version"]) == (2, 2)
    assert kept(shop_world, order_id="ord_2") == []
    assert len(kept(shop_world)) == 2


def test_a_repeat_that_says_something_else_is_noticed(shop_world: World):
    tell(shop_world, payload())
    tell(shop_world, payload(state="shipped"))

    assert kept(shop_world)[0]["altered"] is True


def test_only_our_signature_is_believed(shop_world: World):
    assert tell(shop_world, payload(), secret=webhook_secret("somebody")) == 401
    assert kept(shop_world) == []


def test_the_shop_fails_when_it_is_told_to(shop_world: World):
    shop_world.control(storefront={"fail_next": 1, "fail_status": 503})

    assert [tell(shop_world, payload()), tell(shop_world, payload())] == [503, 204]
    assert kept(shop_world)[0]["copies"] == 1


def test_the_shop_can_take_a_webhook_and_never_say_so(shop_world: World):
    shop_world.control(storefront={"timeout_after_next": 1, "hang_seconds": 0})

    with pytest.raises(httpx.RemoteProtocolError):
        tell(shop_world, payload())
    assert kept(shop_world)[0]["copies"] == 1


def test_a_shop_without_a_secret_takes_nothing(world: World):
    assert tell(world, payload()) == 503
