"""The random secrets of one development stack, made once and kept in a file that only its owner can read."""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack.files import write_private

KEY_SCOPES: Mapping[str, tuple[str, ...]] = {
    "storefront": ("storefront",),
    "warehouse": ("warehouse",),
    "carrier": ("carrier",),
    "support": ("support",),
    "support_2": ("support",),
    "operations": ("operations",),
    "admin": ("admin",),
}
CARRIERS = ("swift", "parcelway")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Every secret that the processes of one stack share."""

    postgres_password: str
    keys: Mapping[str, str]
    carrier_secrets: Mapping[str, str]
    stripe_api_key: str
    stripe_webhook_secret: str
    warehouse_webhook_secret: str
    storefront_webhook_secret: str
    message_gateway_token: str
    tracking_secret: str


def load_or_create(path: Path) -> Credentials:
    """The secrets in *path*; those that it lacks are made and added, those that it has stay."""
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    fresh = _fresh()
    merged: dict[str, Any] = {
        name: {**made, **known.get(name, {})} if isinstance(made, dict) else known.get(name, made)
        for name, made in fresh.items()
    }
    if merged != known:
        write_private(path, json.dumps(merged, indent=2) + "\n")
    return Credentials(**merged)


def _fresh() -> dict[str, Any]:
    return {
        "postgres_password": secrets.token_urlsafe(24),
        "keys": {name: f"dev_{name}_{secrets.token_urlsafe(24)}" for name in KEY_SCOPES},
        "carrier_secrets": {name: _webhook_secret() for name in CARRIERS},
        "stripe_api_key": f"sk_test_{secrets.token_hex(16)}",
        "stripe_webhook_secret": _webhook_secret(),
        "warehouse_webhook_secret": _webhook_secret(),
        "storefront_webhook_secret": _webhook_secret(),
        "message_gateway_token": secrets.token_urlsafe(24),
        "tracking_secret": secrets.token_urlsafe(32),
    }


def _webhook_secret() -> str:
    """A secret in the form of Standard Webhooks: ``whsec_`` and 32 random bytes in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
