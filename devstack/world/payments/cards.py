"""What each test card does: Stripe's own test tokens, and ours for time-outs and late refusals."""

from dataclasses import dataclass
from typing import Literal

SLOW_SECONDS = 3.0
SLOW_SECONDS_AT_LEAST = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One card; *decline* is Stripe's code and decline code."""

    brand: str = "visa"
    last4: str = "4242"
    decline: tuple[str, str | None] | None = None
    authenticate: bool = False
    slow: bool = False
    timeout: Literal["before", "after"] | None = None
    capture_fails: bool = False


CARDS: dict[str, Card] = {
    "pm_card_visa": Card(),
    "pm_card_visa_debit": Card(last4="5556"),
    "pm_card_mastercard": Card(brand="mastercard", last4="4444"),
    "pm_card_amex": Card(brand="amex", last4="8431"),
    "pm_card_chargeDeclined": Card(last4="0002", decline=("card_declined", "generic_decline")),
    "pm_card_chargeDeclinedInsufficientFunds": Card(last4="9995", decline=("card_declined", "insufficient_funds")),
    "pm_card_chargeDeclinedLostCard": Card(last4="9987", decline=("card_declined", "lost_card")),
    "pm_card_chargeDeclinedStolenCard": Card(last4="9979", decline=("card_declined", "stolen_card")),
    "pm_card_chargeDeclinedFraudulent": Card(last4="0019", decline=("card_declined", "fraudulent")),
    "pm_card_chargeDeclinedExpiredCard": Card(last4="0069", decline=("expired_card", None)),
    "pm_card_chargeDeclinedProcessingError": Card(last4="0119", decline=("processing_error", None)),
    "pm_card_authenticationRequired": Card(last4="3155", authenticate=True),
    "pm_card_slow": Card(slow=True),
    "pm_card_timeoutBefore": Card(timeout="before"),
    "pm_card_timeoutAfter": Card(timeout="after"),
    "pm_card_captureFails": Card(capture_fails=True),
}
