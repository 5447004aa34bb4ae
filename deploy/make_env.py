"""Writes .env for docker-compose.yml: random secrets, readable by its owner only; runs with any Python 3.9+."""

import argparse
import base64
import json
import os
import secrets
import sys
from pathlib import Path

KEYS = {
    "storefront": ["storefront"],
    "warehouse": ["warehouse"],
    "carrier": ["carrier"],
    "support": ["support"],
    "support_2": ["support"],
    "operations": ["operations"],
    "admin": ["admin"],
}
CARRIERS = ("swift", "parcelway")
WORLD = "http://127.0.0.1:8701"


def webhook_secret() -> str:
    """A secret in the form of Standard Webhooks."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def values(*, world: bool) -> dict[str, str]:
    """Every variable that the compose file asks for; for real providers theirs stay empty, to be filled in."""
    keys = {name: {"secret": "key_" + secrets.token_urlsafe(24), "scopes": scopes} for name, scopes in KEYS.items()}
    settings = {
        "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
        "DOORSTEP_KEYS": json.dumps(keys),
        "DOORSTEP_TRACKING_SECRETS": secrets.token_urlsafe(32),
    }
    if not world:
        return {**settings, "STRIPE_API_KEY": "", "STRIPE_WEBHOOK_SECRET": "", "DOORSTEP_CARRIERS": ""}
    carriers = {name: webhook_secret() for name in CARRIERS}
    stripe_key, stripe_secret, warehouse = "sk_test_" + secrets.token_hex(16), webhook_secret(), webhook_secret()
    gateway = secrets.token_urlsafe(24)
    played = {
        "host": "0.0.0.0",  # Inside of its container's network; no port of it is published.
        "port": 8701,
        "smtp_port": 8702,
        "data_dir": "/data",
        "api_url": "http://api:8700",
        "api_key": keys["carrier"]["secret"],
        "warehouse_key": keys["warehouse"]["secret"],
        "warehouse_webhook_secret": warehouse,
        "stripe_api_key": stripe_key,
        "stripe_webhook_secret": stripe_secret,
        "message_gateway_token": gateway,
        "carriers": {name: {"secret": secret} for name, secret in carriers.items()},
    }
    reached = {name: {"url": f"{WORLD}/carriers/{name}", "secret": secret} for name, secret in carriers.items()}
    return {
        **settings,
        "STRIPE_API_KEY": stripe_key,
        "STRIPE_API_URL": WORLD,
        "STRIPE_WEBHOOK_SECRET": stripe_secret,
        "DOORSTEP_CARRIERS": json.dumps(reached),
        "DOORSTEP_WEBHOOKS_ALLOW_LOOPBACK": "1",
        "DOORSTEP_SMTP_URL": "smtp://127.0.0.1:8702",
        "DOORSTEP_MAIL_FROM": "Doorstep <orders@shop.example>",
        "DOORSTEP_MESSAGE_GATEWAY_URL": f"{WORLD}/messages",
        "DOORSTEP_MESSAGE_GATEWAY_TOKEN": gateway,
        "DOORSTEP_WAREHOUSE_WEBHOOK": f"{WORLD}/warehouse/webhook",
        "DOORSTEP_WAREHOUSE_WEBHOOK_SECRET": warehouse,
        "DOORSTEP_WORLD": json.dumps(played),
    }


def main() -> int:
    """0 when the file was written, 1 when there is one already: its secrets are in use."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", action="store_true", help="for the played outside world (profile `world`)")
    parser.add_argument("--file", type=Path, default=Path(".env"))
    options = parser.parse_args()
    try:
        descriptor = os.open(options.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print(f"{options.file} is there already; it is left as it is", file=sys.stderr)
        return 1
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{name}='{value}'\n" for name, value in values(world=options.world).items())
    print(f"wrote {options.file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
