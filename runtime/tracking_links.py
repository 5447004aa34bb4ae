"""Tokens of tracking pages: made from an order's id by a secret, read back to it; nothing is stored, see docs/notices.md."""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from runtime.settings import Settings

_MAC_BYTES = 24
_MAC_LENGTH = 32


def token_of(order_id: str, secrets: Sequence[str]) -> str | None:
    """The order's token by the first of *secrets*; None without one: then there are no tracking pages."""
    return None if not secrets else _mac(order_id, secrets[0]) + order_id.removeprefix("ord_")


def order_of(token: str, secrets: Sequence[str]) -> str | None:
    """The order whose token this is, by any of *secrets*; None when it is nobody's."""
    mac, order_id = token[:_MAC_LENGTH], f"ord_{token[_MAC_LENGTH:]}"
    known = [hmac.compare_digest(mac.encode(), _mac(order_id, secret).encode()) for secret in secrets]
    return order_id if any(known) else None


def path_of(order_id: str, settings: Settings) -> str | None:
    """The path of the order's tracking page; None where there are none."""
    token = token_of(order_id, settings.tracking_secrets)
    return None if token is None else f"/track/{token}"


def _mac(order_id: str, secret: str) -> str:
    """192 bits in 32 characters (RFC 2104 with SHA-256, truncated)."""
    digest = hmac.digest(secret.encode(), b"doorstep:track:" + order_id.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest[:_MAC_BYTES]).decode()
