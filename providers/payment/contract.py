"""What our activities ask of a payment provider, and what it can answer."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorize:
    """Hold *amount_minor* for one fulfillment; without token and saved method the customer gets a link to pay."""

    key: str
    order_id: str
    payment_id: str
    authorization_id: str
    amount_minor: int
    currency: str
    token: str | None = field(default=None, repr=False)
    customer_id: str
    saved_method_id: str | None = None
    save_method: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorized:
    """Money is held until *expires_at*; *saved_method_id* can be charged again without the customer."""

    reference: str
    saved_method_id: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """No money is held; *code* is the issuer's or provider's reason."""

    code: str
    reference: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequired:
    """The customer must act at *url* before money is held."""

    reference: str
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """Money was taken; what was held beyond it is released."""

    reference: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureRefused:
    """The provider will not take the money."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Voided:
    """Nothing is held any more."""

    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refunded:
    """Money was given back; *reference* names the refund."""

    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRefused:
    """The provider will not give the money back."""

    code: str


class PaymentProvider(Protocol):
    """Every call carries our key and has one effect however often it is repeated with that key.

    Raises:
        ProviderUnavailable: the outcome is unknown; repeat with the same key.
        ProviderRejected: a definite refusal.
    """

    async def create_customer(self, *, key: str, order_id: str) -> str:
        """The id of a provider customer that stands for one order."""
        ...

    async def authorize(self, request: Authorize) -> Authorized | Declined | ActionRequired:
        """What became of the attempt to hold money."""
        ...

    async def capture(self, *, key: str, reference: str, amount_minor: int) -> Captured | CaptureRefused:
        """What became of taking *amount_minor* of a held amount; an authorization is captured once."""
        ...

    async def void(self, *, key: str, reference: str) -> Voided:
        """The hold or the payment link *reference* is gone; one that was gone already is a success.

        Raises:
            ProviderRejected: `already_captured`.
        """
        ...

    async def refund(self, *, key: str, reference: str, amount_minor: int) -> Refunded | RefundRefused:
        """What became of giving *amount_minor* of a captured payment back."""
        ...

    async def find_authorization(
        self, *, customer_id: str, authorization_id: str
    ) -> Authorized | Declined | ActionRequired | None:
        """What the provider knows of *authorization_id*, None when it never arrived.

        A captured one is `Authorized`; one that was voided or expired is `Declined` with code `canceled`.
        """
        ...

    async def read_authorization(self, *, reference: str) -> Authorized | Declined | ActionRequired | Voided | Captured:
        """Where the authorization or the payment link *reference* stands now."""
        ...
