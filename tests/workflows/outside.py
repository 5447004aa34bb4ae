"""The outside world in memory, behind the real Protocols: a payment provider and a carrier that do as they are told."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from providers.carrier import Label, Rate, Shipment
from providers.errors import ProviderRejected, ProviderUnavailable
from providers.payment import (
    ActionRequired,
    Authorize,
    Authorized,
    Captured,
    CaptureRefused,
    Declined,
    Refunded,
    Voided,
)


@dataclass
class MemoryPayments:
    """Answers each authorization with the next of *answers*, then with yes; remembers what was held by key."""

    answers: list[str] = field(default_factory=list)
    down: bool = False
    capture_refused: str | None = None
    held: dict[str, Authorized | Declined | ActionRequired] = field(default_factory=dict)
    effects: list[tuple[str, str, int]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def create_customer(self, *, key: str, order_id: str) -> str:
        """A customer per key."""
        self._refuse_when_down()
        return f"cus_{key}"

    async def authorize(self, request: Authorize) -> Authorized | Declined | ActionRequired:
        """The same answer for the same key."""
        self.asked.set()
        self._refuse_when_down()
        if request.key not in self.held:
            self.held[request.key] = self._answer(request)
            self.effects.append(("authorization", request.key, request.amount_minor))
        return self.held[request.key]

    def _answer(self, request: Authorize) -> Authorized | Declined | ActionRequired:
        word = self.answers.pop(0) if self.answers else "yes"
        reference, later = f"pi_{request.authorization_id}", datetime.now(UTC) + timedelta(days=7)
        if word == "yes":
            return Authorized(reference=reference, saved_method_id="pm_saved", expires_at=later)
        if word == "action":
            return ActionRequired(reference=reference, url="http://127.0.0.1/act", expires_at=later)
        return Declined(code=word, reference=reference)

    async def capture(self, *, key: str, reference: str, amount_minor: int) -> Captured | CaptureRefused:
        """Takes the money, unless told to refuse."""
        self._refuse_when_down()
        if self.capture_refused:
            return CaptureRefused(code=self.capture_refused)
        self.effects.append(("capture", key, amount_minor))
        return Captured(reference=reference, amount_minor=amount_minor)

    async def void(self, *, key: str, reference: str) -> Voided:
        """Gives the hold back."""
        self._refuse_when_down()
        self.effects.append(("void", key, 0))
        return Voided(reference=reference)

    async def refund(self, *, key: str, reference: str, amount_minor: int) -> Refunded:
        """Gives taken money back."""
        self.effects.append(("refund", key, amount_minor))
        return Refunded(reference=reference)

    async def find_authorization(
        self, *, customer_id: str, authorization_id: str
    ) -> Authorized | Declined | ActionRequired | None:
        """What was asked for this authorization."""
        found = [answer for key, answer in self.held.items() if f":{authorization_id}:" in f"{key}:"]
        return found[0] if found else None

    async def read_authorization(self, *, reference: str) -> Authorized | Declined | ActionRequired:
        """What bears this reference."""
        return next(answer for answer in self.held.values() if answer.reference == reference)

    def _refuse_when_down(self) -> None:
        if self.down:
            raise ProviderUnavailable("down")


@dataclass
class MemoryCarrier:
    """Sells one service; refuses with *refused*."""

    refused: str | None = None
    sold: dict[str, Label] = field(default_factory=dict)
    voided: list[str] = field(default_factory=list)

    async def rates(self, shipment: Shipment) -> list[Rate]:
        """One rate, tomorrow."""
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
        return [
            Rate(
                carrier="swift",
                service="standard",
                price_minor=500,
                currency="GBP",
                transit_days=1,
                estimated_on=tomorrow,
            )
        ]

    async def buy_label(self, *, key: str, shipment: Shipment, service: str) -> Label:
        """The same label for the same key."""
        if self.refused:
            raise ProviderRejected(self.refused, "not this parcel")
        if key not in self.sold:
            self.sold[key] = Label(
                carrier="swift",
                service=service,
                reference=f"lbl_{shipment.reference}",
                tracking_number=f"TN-{shipment.reference}",
                price_minor=500,
                currency="GBP",
                estimated_on=(datetime.now(UTC) + timedelta(days=1)).date(),
                pdf=b"%PDF-1.4",
            )
        return self.sold[key]

    async def void_label(self, *, key: str, reference: str) -> None:
        """Gives the label back."""
        self.voided.append(reference)

    async def find_label(self, *, reference: str) -> Label | None:
        """The label of this parcel."""
        return next((label for label in self.sold.values() if label.reference == f"lbl_{reference}"), None)
