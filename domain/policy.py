"""The business rules an order runs under: one frozen, versioned value that is pinned at intake; no reading."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Windows and limits; every duration is plain time.

    The first fields have no default: an order carries its rules whole, so that a changed default cannot reach it.
    """

    standard_ship_within: timedelta
    express_ship_within: timedelta
    standard_deliver_within: timedelta
    express_deliver_within: timedelta
    stock_patience: timedelta
    payment_patience: timedelta
    payment_action_within: timedelta
    carrier_patience: timedelta
    accept_within: timedelta
    hand_over_grace: timedelta
    parcel_silence: timedelta
    collect_within: timedelta
    parked_within: timedelta
    settle_within: timedelta
    cash_on_delivery_limit_minor: int
    # Added later: orders from before ran under what stands here, so these defaults never change.
    request_answer_within: timedelta = timedelta(hours=2)
    hold_within: timedelta = timedelta(hours=24)
    backorder_within: timedelta = timedelta(days=14)
    # What speaks against an order (domain/risk.py, docs/risk.md): weights add up; from the hold score on it is held, 0 never.
    risk_hold_score: int = 0
    risk_window: timedelta = timedelta(hours=24)
    risk_amount_weight: int = 30
    risk_amount_minor: int = 100_000
    risk_first_order_weight: int = 20
    risk_first_order_minor: int = 20_000
    risk_billing_country_weight: int = 20
    risk_ip_country_weight: int = 20
    risk_customer_velocity_weight: int = 20
    risk_customer_velocity_orders: int = 5
    risk_address_velocity_weight: int = 20
    risk_address_velocity_orders: int = 5
    risk_card_velocity_weight: int = 30
    risk_card_velocity_orders: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Rules with the version that names them."""

    version: int
    rules: Rules


DEFAULT_RULES = Rules(
    standard_ship_within=timedelta(hours=24),
    express_ship_within=timedelta(hours=8),
    standard_deliver_within=timedelta(days=7),
    express_deliver_within=timedelta(days=3),
    stock_patience=timedelta(minutes=5),
    payment_patience=timedelta(minutes=5),
    payment_action_within=timedelta(hours=2),
    carrier_patience=timedelta(minutes=15),
    accept_within=timedelta(hours=4),
    hand_over_grace=timedelta(hours=4),
    parcel_silence=timedelta(days=3),
    collect_within=timedelta(days=7),
    parked_within=timedelta(hours=1),
    settle_within=timedelta(days=2),
    cash_on_delivery_limit_minor=100_000,
)
