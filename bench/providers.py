"""The outside world at 0 ms: a payment provider and a carrier that answer inside the process, at once and always yes."""

from datetime import UTC, datetime, timedelta

from providers.carrier import Carrier, Label, Rate, Shipment
from providers.payment import Authorize, Authorized, Captured, PaymentProvider, Refunded, Voided
from workers.wiring import Providers

CARRIER = "swift"


def tracking_number(parcel_id: str) -> str:
    """The number that the carrier gives a parcel."""
    return f"TN{parcel_id}"


class YesPayments:
    """Holds whatever is asked for."""

    async def create_customer(self, *, key: str, order_id: str) -> str:
        """A customer of the provider."""
        return f"cus_{order_id}"

    async def authorize(self, request: Authorize) -> Authorized:
        """The money is held for a week."""
        return Authorized(
            reference=f"pi_{request.authorization_id}",
            saved_method_id=f"pm_{request.payment_id}",
            expires_at=datetime.now(UTC) + timedelta(days=7),
        )

    async def capture(self, *, key: str, reference: str, amount_minor: int) -> Captured:
        """The money is taken."""
        return Captured(reference=reference, amount_minor=amount_minor)

    async def void(self, *, key: str, reference: str) -> Voided:
        """The hold is given back."""
        return Voided(reference=reference)

    async def find_authorization(self, *, customer_id: str, authorization_id: str) -> None:
        """Nothing is ever lost here."""

    async def read_authorization(self, *, reference: str) -> Voided:
        """Nothing is ever lost here, so nobody asks."""
        return Voided(reference=reference)

    async def refund(self, *, key: str, reference: str, amount_minor: int) -> Refunded:
        """The money is given back."""
        return Refunded(reference=f"re_{reference}")


class YesCarrier:
    """Takes every parcel, tomorrow."""

    async def rates(self, shipment: Shipment) -> list[Rate]:
        """One rate."""
        return [
            Rate(
                carrier=CARRIER,
                service="standard",
                price_minor=500,
                currency=shipment.currency,
                transit_days=1,
                estimated_on=(datetime.now(UTC) + timedelta(days=1)).date(),
            )
        ]

    async def buy_label(self, *, key: str, shipment: Shipment, service: str) -> Label:
        """A label with a number that follows from the parcel's."""
        return Label(
            carrier=CARRIER,
            service=service,
            reference=f"lbl_{shipment.reference}",
            tracking_number=tracking_number(shipment.reference),
            price_minor=500,
            currency=shipment.currency,
            estimated_on=(datetime.now(UTC) + timedelta(days=1)).date(),
            pdf=b"%PDF-1.4",
        )

    async def void_label(self, *, key: str, reference: str) -> None:
        """Given back."""

    async def find_label(self, *, reference: str) -> None:
        """Nothing is ever lost here."""


def yes_providers() -> Providers:
    """Both."""
    payments: PaymentProvider = YesPayments()
    carrier: Carrier = YesCarrier()
    return Providers(payments=payments, carriers={CARRIER: carrier})
