"""The knobs a test turns while the world runs: latency, failures, time-outs, outages, pauses, speed."""

import asyncio
from dataclasses import asdict, dataclass, field, fields
from typing import Any

DAY = 86_400.0


@dataclass(slots=True, kw_only=True)
class Faults:
    """What goes wrong at one counter; the counts go down as they are used."""

    latency_ms: float = 0
    fail_next: int = 0
    fail_status: int = 500
    timeout_before_next: int = 0
    timeout_after_next: int = 0
    hang_seconds: float = 0.05
    down: bool = False
    key_life_seconds: float = DAY

    def take(self, name: str) -> bool:
        """Whether one of the *name* faults is left; it is used up."""
        left: int = getattr(self, name)
        if left > 0:
            setattr(self, name, left - 1)
        return left > 0


@dataclass(slots=True, kw_only=True)
class PaymentFaults(Faults):
    """The payment provider's knobs."""

    search_lag_seconds: float = 60
    authorization_life_seconds: float = 7 * DAY
    session_life_seconds: float = DAY


@dataclass(slots=True)
class Control:
    """Every knob; *running* is cleared while the floor is paused."""

    speed: float = 1.0
    payments: PaymentFaults = field(default_factory=PaymentFaults)
    carriers: Faults = field(default_factory=Faults)
    messages: Faults = field(default_factory=Faults)
    storefront: Faults = field(default_factory=Faults)
    running: asyncio.Event = field(default_factory=asyncio.Event)
    webhook_secret: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self.running.set()

    def seconds(self, at_speed_one: float) -> float:
        """How long something takes at this speed; nothing at speed 0."""
        return at_speed_one / self.speed if self.speed > 0 else 0.0

    def view(self) -> dict[str, Any]:
        """The knobs as `GET /control` shows them."""
        return {
            "speed": self.speed,
            "payments": asdict(self.payments),
            "carriers": asdict(self.carriers),
            "messages": asdict(self.messages),
            "storefront": asdict(self.storefront),
            "floor": {"paused": not self.running.is_set()},
        }

    def turn(self, wanted: dict[str, Any]) -> None:
        """The knobs in *wanted* are set, the others stay.

        Raises:
            ValueError: an unknown knob or a value of another type; nothing was changed.
        """
        counters = {
            "payments": self.payments,
            "carriers": self.carriers,
            "messages": self.messages,
            "storefront": self.storefront,
        }
        changes = [change for name, faults in counters.items() for change in _changes(faults, wanted, name)]
        floor = _checked(wanted.get("floor", {}), {"paused": False, "webhook_secret": ""}, "floor")
        _checked(wanted, {"speed": 0.0, "floor": {}} | {name: {} for name in counters}, "control")
        for faults, name, value in changes:
            setattr(faults, name, value)
        self.speed = float(wanted.get("speed", self.speed))
        self.webhook_secret = floor.get("webhook_secret", self.webhook_secret)
        if "paused" in floor:
            (self.running.clear if floor["paused"] else self.running.set)()


def _changes(faults: Faults, wanted: dict[str, Any], name: str) -> list[tuple[Faults, str, Any]]:
    samples = {item.name: getattr(faults, item.name) for item in fields(faults)}
    return [(faults, key, value) for key, value in _checked(wanted.get(name, {}), samples, name).items()]


def _checked(given: Any, samples: dict[str, Any], where: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ValueError(f"{where}: an object is wanted")
    for name, value in given.items():
        if name not in samples:
            raise ValueError(f"{where}: unknown knob {name}")
        number = isinstance(samples[name], int | float) and not isinstance(samples[name], bool)
        fits = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 if number else None
        if fits is False or (fits is None and type(value) is not type(samples[name])):
            raise ValueError(f"{where}: {name} cannot be {value!r}")
    return given
