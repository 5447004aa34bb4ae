"""The payment provider: what our activities ask of it, and Stripe behind it. Its events are verified by the API."""

from providers.payment.contract import (
    ActionRequired,
    Authorize,
    Authorized,
    Captured,
    CaptureRefused,
    Declined,
    PaymentProvider,
    Refunded,
    RefundRefused,
    Voided,
)
from providers.payment.stripe_adapter import StripePayments

__all__ = [
    "ActionRequired",
    "Authorize",
    "Authorized",
    "CaptureRefused",
    "Captured",
    "Declined",
    "PaymentProvider",
    "RefundRefused",
    "Refunded",
    "StripePayments",
    "Voided",
]
