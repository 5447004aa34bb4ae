"""Settings of the processes, read from the environment once at the edge and passed down; nothing else reads it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierSettings:
    """Where one carrier is reached, and the secret that signs its tracking webhooks."""

    url: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that differs between one installation and another."""

    database_url: str = field(repr=False)
    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_ui_url: str | None = None
    task_queue: str = "doorstep"
    api_host: str = "127.0.0.1"
    api_port: int = 8700
    public_url: str = "http://127.0.0.1:8700"
    database_pool: int = 20
    stripe_api_key: str = field(default="", repr=False)
    stripe_api_url: str | None = None
    stripe_webhook_secret: str = field(default="", repr=False)
    carriers: Mapping[str, CarrierSettings] = field(default_factory=dict)
    webhooks_allow_loopback: bool = False
    stream_comment_seconds: float = 15.0
    stream_patience_seconds: float = 20.0
    smtp_url: str | None = field(default=None, repr=False)
    mail_from: str = "orders@localhost"
    message_gateway_url: str | None = None
    message_gateway_token: str = field(default="", repr=False)
    tracking_secrets: tuple[str, ...] = field(default=(), repr=False)
    log_format: str = "json"
    log_level: str = "INFO"


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings that *environ* names.

    Raises:
        ValueError: a required variable is missing or one cannot be read; the message names it.
    """
    if not environ.get("DATABASE_URL"):
        raise ValueError("DATABASE_URL is not set: it names the PostgreSQL database, postgresql://user@host:port/name")
    return Settings(
        database_url=environ["DATABASE_URL"],
        temporal_address=environ.get("TEMPORAL_ADDRESS", "127.0.0.1:7233"),
        temporal_namespace=environ.get("TEMPORAL_NAMESPACE", "default"),
        temporal_ui_url=environ.get("TEMPORAL_UI_URL") or None,
        task_queue=environ.get("DOORSTEP_TASK_QUEUE", "doorstep"),
        api_host=environ.get("DOORSTEP_API_HOST", "127.0.0.1"),
        api_port=_integer(environ, "DOORSTEP_API_PORT", 8700),
        public_url=(environ.get("DOORSTEP_PUBLIC_URL") or "http://127.0.0.1:8700").rstrip("/"),
        database_pool=_integer(environ, "DOORSTEP_DATABASE_POOL", 20),
        stripe_api_key=environ.get("STRIPE_API_KEY", ""),
        stripe_api_url=environ.get("STRIPE_API_URL") or None,
        stripe_webhook_secret=environ.get("STRIPE_WEBHOOK_SECRET", ""),
        carriers=_carriers(environ.get("DOORSTEP_CARRIERS", "{}")),
        webhooks_allow_loopback=environ.get("DOORSTEP_WEBHOOKS_ALLOW_LOOPBACK", "") == "1",
        stream_comment_seconds=_seconds(environ, "DOORSTEP_STREAM_COMMENT_SECONDS", 15.0),
        stream_patience_seconds=_seconds(environ, "DOORSTEP_STREAM_PATIENCE_SECONDS", 20.0),
        smtp_url=environ.get("DOORSTEP_SMTP_URL") or None,
        mail_from=environ.get("DOORSTEP_MAIL_FROM") or "orders@localhost",
        message_gateway_url=environ.get("DOORSTEP_MESSAGE_GATEWAY_URL") or None,
        message_gateway_token=environ.get("DOORSTEP_MESSAGE_GATEWAY_TOKEN", ""),
        tracking_secrets=tuple(environ.get("DOORSTEP_TRACKING_SECRETS", "").split()),
        log_format=environ.get("DOORSTEP_LOG_FORMAT", "json"),
        log_level=environ.get("DOORSTEP_LOG_LEVEL", "INFO"),
    )


def _integer(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "")
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name} must be a whole number, not {text!r}") from None


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name, "")
    try:
        found = float(text or default)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise ValueError(f"{name} must be a number of seconds above 0, not {text!r}")
    return found


def _carriers(text: str) -> dict[str, CarrierSettings]:
    try:
        return {name: CarrierSettings(**value) for name, value in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f'DOORSTEP_CARRIERS must be JSON like {{"swift": {{"url": ..., "secret": ...}}}}: {error}'
        ) from error
