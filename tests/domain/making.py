"""Orders and messages for tests of the rules, with small defaults that a test overrides."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from domain import names
from domain.commands import LineUnits
from domain.messages import (
    Allocation,
    CarrierFact,
    Decision,
    LabelBooked,
    LabelVoided,
    LineQuantity,
    Message,
    PackedParcel,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentVoided,
    PlannedFulfillment,
    StockReserved,
    WarehouseFact,
)
from domain.orders import Line, Order, Payment
from domain.policy import DEFAULT_RULES, Policy, Rules
from domain.steps import (
    AuthorizePayment,
    BookLabel,
    CapturePayment,
    ReserveStock,
    Step,
    VoidAuthorization,
    VoidLabel,
)
from domain.units import Portion, Stage
from domain.vocabulary import Channel, PaymentMethod, ServiceLevel, ShortReason, TrackingStatus, WarehouseFactKind

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
ORDER_ID = "ord_t"
CARD = PaymentMethod.CARD
CASH = PaymentMethod.CASH_ON_DELIVERY
PREPAID = PaymentMethod.PREPAID

# Line id, sku, quantity, what the whole line costs in minor units.
LineSpec = tuple[str, str, int, int]
LINES: Sequence[LineSpec] = (("1", "A", 6, 1530), ("2", "B", 2, 199))
# One fulfillment: its location and the units of each line that it serves.
Part = tuple[str, Mapping[str, int]]


def make_order(
    *,
    lines: Sequence[LineSpec] = LINES,
    payments: Sequence[tuple[PaymentMethod, int]] | None = None,
    shipping: int = 495,
    rules: Rules = DEFAULT_RULES,
    order_id: str = ORDER_ID,
    now: datetime = NOW,
    **more: Any,
) -> Order:
    """An order as intake makes it; without *payments* one card pays everything."""
    total = sum(line[3] for line in lines) + shipping
    paid = payments if payments is not None else [(CARD, total)]
    order = Order(
        order_id=order_id,
        channel=Channel.WEB,
        source="default",
        currency="GBP",
        country="GB",
        received_at=now,
        lines=tuple(
            Line(line_id=line_id, sku=sku, quantity=quantity, unit_price_minor=worth // quantity, total_minor=worth)
            for line_id, sku, quantity, worth in lines
        ),
        payments=tuple(
            Payment(payment_id=names.payment_id(order_id, place), method=method, amount_minor=amount)
            for place, (method, amount) in enumerate(paid, start=1)
        ),
        policy=Policy(version=1, rules=rules),
        ship_by=now + timedelta(days=1),
        deliver_by=now + timedelta(days=7),
        service_level=ServiceLevel.STANDARD,
        shipping_minor=shipping,
        portions=tuple(
            Portion(line_id=line_id, stage=Stage.OPEN, quantity=quantity) for line_id, _, quantity, _ in lines
        ),
    )
    return replace(order, **more)


def reserved(order: Order, step: Step, parts: Sequence[Part] | None = None) -> StockReserved:
    """Every line promised, as *parts* say; without them at one location."""
    parts = parts or [("LEEDS", {line.line_id: line.quantity for line in order.lines})]
    place = {line.line_id: 0 for line in order.lines}
    planned: list[PlannedFulfillment] = []
    for location_id, quantities in parts:
        allocations: list[Allocation] = []
        for line_id, quantity in quantities.items():
            if quantity:
                sku = order.line(line_id).sku
                allocations.append(Allocation(line_id=line_id, sku=sku, quantity=quantity, first_unit=place[line_id]))
                place[line_id] += quantity
        planned.append(
            PlannedFulfillment(
                fulfillment_id=names.fulfillment_id(order.order_id, len(order.fulfillments) + len(planned) + 1),
                location_id=location_id,
                allocations=tuple(allocations),
            )
        )
    return StockReserved(step_key=step.key, fulfillments=tuple(planned), decision=decision("sourcing", order.order_id))


def decision(kind: str, subject: str) -> Decision:
    """A decision without candidates."""
    return Decision(kind=kind, subject=subject, at=NOW, chosen="chosen", candidates=())


def done(
    order: Order, step: Step, *, parts: Sequence[Part] | None = None, expires_at: datetime = NOW + timedelta(days=7)
) -> Message:
    """The result of *step* when all goes well; what one location lacks, no other has."""
    match step:
        case ReserveStock(instead_of=str()):
            short = tuple(LineUnits(line_id=line.line_id, quantity=line.quantity) for line in step.lines)
            nowhere = decision("sourcing", order.order_id)
            return StockReserved(step_key=step.key, fulfillments=(), decision=nowhere, short=short)
        case ReserveStock():
            return reserved(order, step, parts)
        case AuthorizePayment():
            return PaymentAuthorized(
                step_key=step.key,
                authorization_id=step.authorization_id,
                reference=f"pi_{step.authorization_id}",
                expires_at=expires_at,
            )
        case CapturePayment():
            return PaymentCaptured(
                step_key=step.key, authorization_id=step.authorization_id, amount_minor=step.amount_minor
            )
        case VoidAuthorization():
            return PaymentVoided(step_key=step.key, authorization_id=step.authorization_id)
        case BookLabel():
            return LabelBooked(
                step_key=step.key,
                parcel_id=step.parcel_id,
                carrier="swift",
                service="standard",
                tracking_number=tracking_number(step.parcel_id),
                price_minor=499,
                currency="GBP",
                estimated_on=(NOW + timedelta(days=2)).date(),
                decision=decision("carrier", step.parcel_id),
            )
        case VoidLabel():
            return LabelVoided(step_key=step.key, parcel_id=step.parcel_id)


def tracking_number(parcel_id: str) -> str:
    """The number that the label of *parcel_id* bears when ``done`` books it."""
    return f"TN-{parcel_id}"


def quantities(wanted: Mapping[str, int], reason: ShortReason | None = None) -> tuple[LineQuantity, ...]:
    """Line id -> units, as facts carry them."""
    return tuple(
        LineQuantity(line_id=line_id, quantity=quantity, reason=reason) for line_id, quantity in wanted.items()
    )


class Warehouse:
    """Says facts of one fulfillment, each under an id of its own."""

    def __init__(self, fulfillment_id: str = "ful_t_1") -> None:
        self.fulfillment_id = fulfillment_id
        self._said = 0

    def accepts(self) -> WarehouseFact:
        """The fulfillment is taken on."""
        return self._say(WarehouseFactKind.ACCEPTED)

    def refuses(
        self, reason: ShortReason = ShortReason.CAPACITY, lines: Mapping[str, int] | None = None
    ) -> WarehouseFact:
        """The fulfillment, or *lines* of it, is not served."""
        return self._say(WarehouseFactKind.REFUSED, reason=reason.value, lines=quantities(lines or {}))

    def picks(self, lines: Mapping[str, int]) -> WarehouseFact:
        """Units were taken from the shelf."""
        return self._say(WarehouseFactKind.PICKED, lines=quantities(lines))

    def misses(self, lines: Mapping[str, int], reason: ShortReason = ShortReason.MISMATCH) -> WarehouseFact:
        """Units were not found."""
        return self._say(WarehouseFactKind.SHORT_PICKED, lines=quantities(lines, reason))

    def packs(
        self, parcels: Mapping[str, Mapping[str, int]] | None = None, *, own_label: bool = False
    ) -> WarehouseFact:
        """Parcels by their reference; without any, one of all that was picked."""
        return self._say(
            WarehouseFactKind.PACKED,
            parcels=tuple(
                PackedParcel(
                    parcel_ref=ref,
                    lines=quantities(lines),
                    weight_g=900,
                    carrier="own" if own_label else None,
                    tracking_number=f"OWN-{ref}" if own_label else None,
                )
                for ref, lines in (parcels or {}).items()
            ),
        )

    def hands_over(self, *refs: str) -> WarehouseFact:
        """Parcels left the house."""
        return self._say(WarehouseFactKind.HANDED_OVER, parcel_refs=refs)

    def answers(self, kind: WarehouseFactKind) -> WarehouseFact:
        """An answer to a request nobody made."""
        return self._say(kind, request_id="req_1", reason="already_loaded")

    def _say(self, kind: WarehouseFactKind, **more: Any) -> WarehouseFact:
        self._said += 1
        return WarehouseFact(
            id=f"warehouse:{self.fulfillment_id}/{self._said}",
            kind=kind,
            fulfillment_id=self.fulfillment_id,
            occurred_at=NOW + timedelta(minutes=self._said),
            **more,
        )


class Carrier:
    """Says facts of one parcel, each under an id of its own; its clock goes on by an hour with each."""

    def __init__(self, number: str = "OWN-A", carrier: str = "own") -> None:
        self.number = number
        self.carrier = carrier
        self._said = 0

    def says(self, status: TrackingStatus, *, at: datetime | None = None, **more: Any) -> CarrierFact:
        """*status* of the parcel, at *at* by the carrier's clock."""
        self._said += 1
        return CarrierFact(
            id=f"carrier:{self.carrier}/{self.number}/{self._said}",
            carrier=self.carrier,
            tracking_number=self.number,
            status=status,
            occurred_at=at or NOW + timedelta(hours=self._said),
            **more,
        )
