"""Providers behind the real Protocols: they honour keys as the real ones do, and fail when a test says so."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

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
    RefundRefused,
    Voided,
)

DECLINED = "pm_card_chargeDeclined"
NEEDS_ACTION = "pm_card_authenticationRequired"
NO_CAPTURE = "pm_canary_no_capture"


@dataclass
class Faults:
    """What a provider does wrong: so many times per call before it did the work, or after."""

    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    arrived: dict[str, asyncio.Event] = field(default_factory=dict)

    def hang(self, call: str) -> None:
        """Calls of that name do their work and do not answer until ``let_go``."""
        self.gates[call] = asyncio.Event()
        self.arrived[call] = asyncio.Event()

    def let_go(self, call: str) -> None:
        """Answer, now and from now on."""
        self.gates.pop(call).set()

    def strike_before(self, call: str) -> None:
        """Fail before the work, if it is to."""
        if self.before[call] > 0:
            self.before[call] -= 1
            raise ProviderUnavailable(f"{call}: refused for now")

    async def strike_after(self, call: str) -> None:
        """Hang or fail after the work, if it is to."""
        if call in self.gates:
            gate = self.gates[call]
            self.arrived[call].set()
            await gate.wait()
        if self.after[call] > 0:
            self.after[call] -= 1
            raise ProviderUnavailable(f"{call}: timed out")


class FakePayments:
    """A payment provider in memory: one effect per key, a ledger of effects, one state per authorization."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.sent: list[Authorize] = []
        self.effects: list[tuple[str, str, int]] = []
        self.saved_method_id = "pm_saved"
        self._answers: dict[str, Authorized | Declined | ActionRequired | Captured | CaptureRefused | Voided] = {}
        self._bodies: dict[str, Authorize] = {}
        self._by_reference: dict[str, Authorized | Declined | ActionRequired | Captured | Voided] = {}
        self._uncapturable: set[str] = set()

    async def create_customer(self, *, key: str, order_id: str) -> str:
        """One customer per key."""
        self.faults.strike_before("create_customer")
        await self.faults.strike_after("create_customer")
        return f"cus_{key}"

    async def authorize(self, request: Authorize) -> Authorized | Declined | ActionRequired:
        """What the token says; another body under the same key is refused, as Stripe does."""
        self.faults.strike_before("authorize")
        self.sent.append(request)
        if request.key in self._answers:
            if self._bodies[request.key] != request:
                raise ProviderRejected("idempotency_error", "the same key with another body")
        else:
            self._bodies[request.key] = request
            answer = self._judge(request)
            self._answers[request.key] = answer
            self._by_reference[answer.reference or ""] = answer
            if isinstance(answer, Authorized):
                self.effects.append(("authorization", request.key, request.amount_minor))
        await self.faults.strike_after("authorize")
        found = self._answers[request.key]
        assert isinstance(found, Authorized | Declined | ActionRequired)
        return found

    def _judge(self, request: Authorize) -> Authorized | Declined | ActionRequired:
        reference = f"pi_{request.authorization_id}"
        expires_at = datetime.now(UTC) + timedelta(days=7)
        if request.token == DECLINED:
            return Declined(code="card_declined", reference=reference)
        if request.token == NEEDS_ACTION:
            return ActionRequired(reference=reference, url="https://pay.example/1", expires_at=expires_at)
        if request.token == NO_CAPTURE:
            self._uncapturable.add(reference)
        return Authorized(reference=reference, saved_method_id=self.saved_method_id, expires_at=expires_at)

    def customer_acts(self, authorization_id: str) -> datetime:
        """The customer did what was asked; answers until when the money is held."""
        reference = f"pi_{authorization_id}"
        expires_at = datetime.now(UTC) + timedelta(days=7)
        self._by_reference[reference] = Authorized(
            reference=reference, saved_method_id=self.saved_method_id, expires_at=expires_at
        )
        return expires_at

    async def capture(self, *, key: str, reference: str, amount_minor: int) -> Captured | CaptureRefused:
        """Once per key and once per authorization."""
        self.faults.strike_before("capture")
        if key not in self._answers:
            taken = reference not in self._uncapturable
            answer: Captured | CaptureRefused = (
                Captured(reference=reference, amount_minor=amount_minor)
                if taken
                else CaptureRefused(code="expired_card")
            )
            self._answers[key] = answer
            if isinstance(answer, Captured):
                self._by_reference[reference] = answer
                self.effects.append(("capture", key, amount_minor))
        await self.faults.strike_after("capture")
        found = self._answers[key]
        assert isinstance(found, Captured | CaptureRefused)
        return found

    async def void(self, *, key: str, reference: str) -> Voided:
        """Once per key; what was captured cannot be voided."""
        self.faults.strike_before("void")
        if isinstance(self._by_reference[reference], Captured):
            raise ProviderRejected("already_captured", reference)
        if key not in self._answers:
            self._answers[key] = self._by_reference[reference] = Voided(reference=reference)
            self.effects.append(("void", key, 0))
        await self.faults.strike_after("void")
        return Voided(reference=reference)

    async def refund(self, *, key: str, reference: str, amount_minor: int) -> Refunded | RefundRefused:
        """Nothing that these tests do asks for one."""
        return RefundRefused(code="not_asked_for")

    async def find_authorization(
        self, *, customer_id: str, authorization_id: str
    ) -> Authorized | Declined | ActionRequired | None:
        """What became of an attempt, by the customer's list."""
        self.faults.strike_before("find_authorization")
        found = self._by_reference.get(f"pi_{authorization_id}")
        if isinstance(found, Captured):
            return Authorized(reference=found.reference, saved_method_id=None, expires_at=datetime.now(UTC))
        if isinstance(found, Voided):
            return Declined(code="canceled", reference=found.reference)
        return found

    async def read_authorization(self, *, reference: str) -> Authorized | Declined | ActionRequired | Voided | Captured:
        """Where it stands."""
        self.faults.strike_before("read_authorization")
        return self._by_reference[reference]

    def kinds(self) -> list[str]:
        """What was done, in order."""
        return [kind for kind, _, _ in self.effects]


class FakeCarrier:
    """A carrier in memory: one label per key, voided once."""

    def __init__(self, name: str = "swift", *, price_minor: int = 499, days: int = 2) -> None:
        self.name = name
        self.faults = Faults()
        self.shipments: list[Shipment] = []
        self.bought: list[str] = []
        self.voided: list[str] = []
        self.serves = True
        self.refuses: str | None = None
        self._price_minor = price_minor
        self._days = days
        self._labels: dict[str, Label] = {}

    async def rates(self, shipment: Shipment) -> list[Rate]:
        """One service, or none."""
        self.faults.strike_before("rates")
        if not self.serves:
            return []
        return [
            Rate(
                carrier=self.name,
                service="standard",
                price_minor=self._price_minor,
                currency="GBP",
                transit_days=self._days,
                estimated_on=self._estimate(shipment),
            )
        ]

    async def buy_label(self, *, key: str, shipment: Shipment, service: str) -> Label:
        """One label per key."""
        self.faults.strike_before("buy_label")
        if self.refuses:
            raise ProviderRejected(self.refuses, "not carried")
        self.shipments.append(shipment)
        if key not in self._labels:
            self.bought.append(key)
            self._labels[key] = Label(
                carrier=self.name,
                service=service,
                reference=f"lbl_{shipment.reference}",
                tracking_number=f"{self.name.upper()}-{shipment.reference}",
                price_minor=self._price_minor,
                currency="GBP",
                estimated_on=self._estimate(shipment),
                pdf=b"%PDF-1.7 label",
            )
        await self.faults.strike_after("buy_label")
        return self._labels[key]

    async def void_label(self, *, key: str, reference: str) -> None:
        """Void; again is a success."""
        self.faults.strike_before("void_label")
        if reference not in self.voided:
            self.voided.append(reference)
        await self.faults.strike_after("void_label")

    async def find_label(self, *, reference: str) -> Label | None:
        """The live label of the parcel."""
        self.faults.strike_before("find_label")
        live = [
            label
            for label in self._labels.values()
            if label.reference == f"lbl_{reference}" and label.reference not in self.voided
        ]
        return replace(live[-1]) if live else None

    def _estimate(self, shipment: Shipment) -> date:
        return (shipment.ship_at + timedelta(days=self._days)).date()
