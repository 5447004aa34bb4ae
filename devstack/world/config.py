"""What the outside world is told when it starts: where it listens, whom it talks to, and their secrets."""

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldConfig:
    """One world. Without *api_url* nothing is sent out; without *seed* nothing happens at random; *smtp_port*: its mailbox."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8710
    smtp_port: int | None = None
    public_url: str | None = None
    speed: float = 1.0
    hands_off: bool = False
    seed: int | None = None
    api_url: str | None = None
    api_key: str = field(default="", repr=False)
    warehouse_key: str = field(default="", repr=False)
    warehouse_webhook_secret: str = field(default="", repr=False)
    storefront_webhook_secret: str = field(default="", repr=False)
    stripe_api_key: str = field(default="", repr=False)
    stripe_webhook_secret: str = field(default="", repr=False)
    stripe_events: tuple[str, ...] | None = None
    message_gateway_token: str = field(default="", repr=False)
    carrier_secrets: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        """Where a browser finds this world."""
        return self.public_url or f"http://{self.host}:{self.port}"


def load(path: Path) -> WorldConfig:
    """The configuration in the JSON file *path*.

    Raises:
        ValueError: the file is not such a configuration; the message says why.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        carriers = content.pop("carriers", {})
        content["carrier_secrets"] = {name: carrier["secret"] for name, carrier in carriers.items()}
        content["data_dir"] = Path(content["data_dir"])
        if content.get("stripe_events") is not None:
            content["stripe_events"] = tuple(content["stripe_events"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a world's configuration: {error!r}") from error
    if unknown := content.keys() - {item.name for item in fields(WorldConfig)}:
        raise ValueError(f"{path}: unknown settings {sorted(unknown)}")
    return WorldConfig(**content)
