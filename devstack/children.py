"""What each process of the stack is told: its command line, its environment and its configuration file."""

import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack.credentials import Credentials
from devstack.ports import HOST
from devstack.postgres import DATABASE, USER
from devstack.supervisor import ChildSpec

ROOT = Path(__file__).resolve().parent.parent
WORKER_GRACE = 25.0
_PORT_USES = {
    "api": "the API",
    "world": "the outside world",
    "temporal": "Temporal",
    "temporal_ui": "Temporal's UI",
    "postgres": "PostgreSQL",
    "mail": "the outside world's mailbox",
}
PORT_COUNT = len(_PORT_USES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where every part of the stack is reached, ours or given."""

    ports: Mapping[str, int]
    database_url: str
    temporal_address: str
    temporal_ui_url: str | None
    own_postgres: bool
    own_temporal: bool

    @property
    def api_url(self) -> str:
        """The API's address, without a slash at its end."""
        return f"http://{HOST}:{self.ports['api']}"

    @property
    def world_url(self) -> str:
        """The address of the outside world, without a slash at its end."""
        return f"http://{HOST}:{self.ports['world']}"

    def own_ports(self) -> dict[str, int]:
        """What for -> port, of those that this stack listens on itself."""
        given = {"temporal", "temporal_ui"} if not self.own_temporal else set()
        given |= set() if self.own_postgres else {"postgres"}
        return {use: self.ports[name] for name, use in _PORT_USES.items() if name not in given}


def addresses(base_port: int, environ: Mapping[str, str], credentials: Credentials) -> Addresses:
    """The addresses of a stack whose own ports start at *base_port*; DATABASE_URL and TEMPORAL_ADDRESS are honoured."""
    ports = {name: base_port + offset for offset, name in enumerate(_PORT_USES)}
    local_database = f"postgresql://{USER}:{credentials.postgres_password}@{HOST}:{ports['postgres']}/{DATABASE}"
    given_engine = environ.get("TEMPORAL_ADDRESS")
    local_ui = f"http://{HOST}:{ports['temporal_ui']}"
    return Addresses(
        ports=ports,
        database_url=environ.get("DATABASE_URL") or local_database,
        temporal_address=given_engine or f"{HOST}:{ports['temporal']}",
        temporal_ui_url=(environ.get("TEMPORAL_UI_URL") or None) if given_engine else local_ui,
        own_postgres=not environ.get("DATABASE_URL"),
        own_temporal=not given_engine,
    )


def environment(where: Addresses, environ: Mapping[str, str], credentials: Credentials) -> dict[str, str]:
    """The environment of the API and the worker: that of the caller, with the addresses and secrets of this stack."""
    carriers = {
        name: {"url": f"{where.world_url}/carriers/{name}", "secret": secret}
        for name, secret in credentials.carrier_secrets.items()
    }
    direct = ",".join(filter(None, [environ.get("NO_PROXY") or environ.get("no_proxy"), HOST, "localhost"]))
    return {
        **environ,
        "DATABASE_URL": where.database_url,
        "TEMPORAL_ADDRESS": where.temporal_address,
        "TEMPORAL_UI_URL": where.temporal_ui_url or "",
        "DOORSTEP_API_HOST": HOST,
        "DOORSTEP_API_PORT": str(where.ports["api"]),
        "DOORSTEP_CARRIERS": json.dumps(carriers),
        "DOORSTEP_MAIL_FROM": environ.get("DOORSTEP_MAIL_FROM") or "Doorstep <orders@shop.example>",
        "DOORSTEP_MESSAGE_GATEWAY_TOKEN": credentials.message_gateway_token,
        "DOORSTEP_MESSAGE_GATEWAY_URL": f"{where.world_url}/messages",
        "DOORSTEP_PUBLIC_URL": environ.get("DOORSTEP_PUBLIC_URL") or where.api_url,
        "DOORSTEP_SMTP_URL": f"smtp://{HOST}:{where.ports['mail']}",
        "DOORSTEP_TRACKING_SECRETS": credentials.tracking_secret,
        "DOORSTEP_WEBHOOKS_ALLOW_LOOPBACK": "1",
        "STRIPE_API_KEY": credentials.stripe_api_key,
        "STRIPE_API_URL": where.world_url,
        "STRIPE_WEBHOOK_SECRET": credentials.stripe_webhook_secret,
        "PYTHONUNBUFFERED": "1",
        # What we call is on this machine: a proxy of the caller's must not be asked for it.
        "NO_PROXY": direct,
        "no_proxy": direct,
    }


def world_config(
    where: Addresses, credentials: Credentials, *, data: Path, speed: float, hands_off: bool, seed: int | None
) -> dict[str, Any]:
    """The configuration file of the outside world."""
    return {
        "host": HOST,
        "port": where.ports["world"],
        "smtp_port": where.ports["mail"],
        "data_dir": str(data),
        "speed": speed,
        "hands_off": hands_off,
        "seed": seed,
        "api_url": where.api_url,
        "api_key": credentials.keys["admin"],
        "warehouse_key": credentials.keys["warehouse"],
        "warehouse_webhook_secret": credentials.warehouse_webhook_secret,
        "storefront_webhook_secret": credentials.storefront_webhook_secret,
        "stripe_api_key": credentials.stripe_api_key,
        "stripe_webhook_secret": credentials.stripe_webhook_secret,
        "message_gateway_token": credentials.message_gateway_token,
        "carriers": {name: {"secret": secret} for name, secret in credentials.carrier_secrets.items()},
    }


def python_child(
    name: str,
    arguments: list[str],
    *,
    env: Mapping[str, str],
    ready: Callable[[], Awaitable[None]],
    grace: float = 10.0,
) -> ChildSpec:
    """A process of ours: ``python -m`` with *arguments*."""
    return ChildSpec(
        name=name,
        command=[sys.executable, "-m", *arguments],
        env=env,
        cwd=ROOT,
        ready=ready,
        grace=grace,
    )


def caller_environment(overrides: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with *overrides*; an empty override takes a variable away."""
    merged = {**os.environ, **overrides}
    return {name: value for name, value in merged.items() if value or name not in overrides}
