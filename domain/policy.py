"""The business rules an order runs under: one frozen, versioned value that is pinned at intake; no reading, no defaults elsewhere."""

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Windows and limits; every duration is plain time."""

    standard_ship_within: timedelta = timedelta(hours=24)
    express_ship_within: timedelta = timedelta(hours=8)
    standard_deliver_within: timedelta = timedelta(days=7)
    express_deliver_within: timedelta = timedelta(days=3)
    stock_patience: timedelta = timedelta(minutes=5)
    payment_patience: timedelta = timedelta(minutes=5)
    payment_action_within: timedelta = timedelta(hours=2)
    carrier_patience: timedelta = timedelta(minutes=15)
    accept_within: timedelta = timedelta(hours=4)
    hand_over_grace: timedelta = timedelta(hours=4)
    parcel_silence: timedelta = timedelta(days=3)
    collect_within: timedelta = timedelta(days=7)
    parked_within: timedelta = timedelta(hours=1)
    settle_within: timedelta = timedelta(days=2)
    cash_on_delivery_limit_minor: int = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Rules with the version that names them."""

    version: int = 1
    rules: Rules = field(default_factory=Rules)
