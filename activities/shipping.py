"""Choosing a carrier, buying a parcel's label and giving it back; each bought once in effect."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.faults import provider_call
from activities.results import keep, kept
from db import documents, operations, shipping
from db.models import Operation
from db.session import Sessions, autocommit
from domain.messages import Decision, LabelBooked, LabelRefused, LabelVoided
from domain.shipping import CarrierOffer, choose_carrier
from domain.steps import BookLabel, VoidLabel
from domain.vocabulary import OperationKind, OperationState
from providers.carrier import Address, Carrier, Label, Shipment
from providers.errors import ProviderRejected

LEASE = timedelta(seconds=25)
_DECISION: TypeAdapter[Decision] = TypeAdapter(Decision)


class ShippingActivities:
    """Talks to the carriers, once in effect per key."""

    def __init__(self, sessions: Sessions, carriers: Mapping[str, Carrier]) -> None:
        self._sessions = sessions
        self._single = autocommit(sessions)
        self._carriers = carriers

    @activity.defn
    async def book_label(self, request: BookLabel) -> LabelBooked | LabelRefused:
        """Choose the carrier, keep why, buy the label; nobody taking the parcel is a result. Idempotent on the key."""
        async with self._single() as session:
            operation = await operations.find(session, request.key)
            shipment = await _shipment(session, request, ship_at=_ship_at(operation))
        if operation is None:
            decision = await self._choose(request, shipment)
            if decision.chosen is None:
                return LabelRefused(
                    step_key=request.key, parcel_id=request.parcel_id, code="no_carrier", decision=decision
                )
        else:
            if _is_over(operation):
                return _settled(request, operation)
            decision = _DECISION.validate_python(operation.request["decision"])
        operation = await self._begin(request, shipment, decision)
        if _is_over(operation):
            return _settled(request, operation)
        return await self._buy(request, shipment, _DECISION.validate_python(operation.request["decision"]))

    async def _choose(self, request: BookLabel, shipment: Shipment) -> Decision:
        offers: list[CarrierOffer] = []
        with provider_call():
            for carrier in self._carriers.values():
                for rate in await carrier.rates(shipment):
                    offers.append(
                        CarrierOffer(
                            carrier=rate.carrier,
                            service=rate.service,
                            price_minor=rate.price_minor,
                            currency=rate.currency,
                            estimated_on=rate.estimated_on,
                        )
                    )
        return choose_carrier(offers, parcel_id=request.parcel_id, promise=request.deliver_by, now=shipment.ship_at)

    async def _begin(self, request: BookLabel, shipment: Shipment, decision: Decision) -> Operation:
        async with self._single() as session:
            return await operations.begin(
                session,
                key=request.key,
                order_id=request.order_id,
                kind=OperationKind.LABEL,
                subject=request.parcel_id,
                request={
                    "decision": _DECISION.dump_python(decision, mode="json"),
                    "ship_at": shipment.ship_at.isoformat(),
                    "contact_revision": request.contact_revision,
                },
                now=datetime.now(UTC),
                lease=LEASE,
            )

    async def _buy(self, request: BookLabel, shipment: Shipment, decision: Decision) -> LabelBooked | LabelRefused:
        carrier, _, service = (decision.chosen or "").partition("/")
        try:
            with provider_call():
                label = await self._carriers[carrier].buy_label(key=request.key, shipment=shipment, service=service)
        except ApplicationError as failure:
            if not isinstance(failure.__cause__, ProviderRejected):
                raise
            refused = LabelRefused(
                step_key=request.key,
                parcel_id=request.parcel_id,
                code=failure.__cause__.code,
                decision=decision,
            )
            await self._settle(request, refused, state=OperationState.FAILED)
            return refused
        booked = LabelBooked(
            step_key=request.key,
            parcel_id=request.parcel_id,
            carrier=label.carrier,
            service=label.service,
            tracking_number=label.tracking_number,
            price_minor=label.price_minor,
            currency=label.currency,
            estimated_on=label.estimated_on,
            decision=decision,
        )
        await self._settle(request, booked, state=OperationState.DONE, label=label)
        return booked

    async def _settle(
        self,
        request: BookLabel,
        result: LabelBooked | LabelRefused,
        *,
        state: OperationState,
        label: Label | None = None,
    ) -> None:
        async with self._sessions.begin() as session:
            if label is not None:
                await documents.put(session, f"label/{request.parcel_id}", "application/pdf", label.pdf)
            await operations.settle(
                session,
                request.key,
                state=state,
                result=keep(result),
                reference=label.reference if label else None,
                now=datetime.now(UTC),
            )

    @activity.defn
    async def void_label(self, request: VoidLabel) -> LabelVoided:
        """Give the label back, whatever became of asking for it. Idempotent on ``request.key``."""
        now = datetime.now(UTC)
        async with self._sessions.begin() as session:
            asked = await operations.bury(
                session,
                key=request.label_key,
                order_id=request.order_id,
                kind=OperationKind.LABEL,
                subject=request.parcel_id,
                now=now,
            )
        if asked.state == OperationState.SENDING and asked.leased_until is not None and asked.leased_until > now:
            wait = asked.leased_until - now + timedelta(milliseconds=500)
            raise ApplicationError("the call may still be on the wire", type="still_sending", next_retry_delay=wait)
        if asked.state != OperationState.FAILED:
            await self._give_back(request, asked, now)
        return LabelVoided(step_key=request.key, parcel_id=request.parcel_id)

    async def _give_back(self, request: VoidLabel, asked: Operation, now: datetime) -> None:
        """Void the parcel's live label, and settle what asked for it when its answer was lost."""
        decision = _DECISION.validate_python(asked.request["decision"])
        carrier = self._carriers[(decision.chosen or "").partition("/")[0]]
        with provider_call():
            label = await carrier.find_label(reference=request.parcel_id)
        async with self._sessions.begin() as session:
            await operations.settle(
                session,
                request.label_key,
                state=OperationState.DONE if label else OperationState.FAILED,
                result={"given_up": True},
                reference=label.reference if label else None,
                now=now,
            )
            if label is None:
                # Nothing is live: never bought, or voided by a call of ours whose answer was lost.
                await operations.settle(
                    session,
                    request.key,
                    state=OperationState.DONE,
                    result={"voided": asked.reference},
                    reference=asked.reference,
                    now=now,
                )
                return
            await operations.begin(
                session,
                key=request.key,
                order_id=request.order_id,
                kind=OperationKind.LABEL_VOID,
                subject=request.parcel_id,
                request={"reference": label.reference},
                now=now,
                lease=LEASE,
            )
        with provider_call():
            await carrier.void_label(key=request.key, reference=label.reference)
        async with self._sessions.begin() as session:
            await operations.settle(
                session,
                request.key,
                state=OperationState.DONE,
                result={"voided": label.reference},
                reference=label.reference,
                now=datetime.now(UTC),
            )


def _is_over(operation: Operation) -> bool:
    return operation.state != OperationState.SENDING or operation.tombstoned_at is not None


def _settled(request: BookLabel, operation: Operation) -> LabelBooked | LabelRefused:
    if operation.result is not None and "kind" in operation.result:
        before: LabelBooked | LabelRefused = kept(operation.result)
        return before
    return LabelRefused(step_key=request.key, parcel_id=request.parcel_id, code="given_up")


def _ship_at(operation: Operation | None) -> datetime:
    """When the parcel ships, as it was first told: the same body every time."""
    if operation is not None and "ship_at" in operation.request:
        return datetime.fromisoformat(operation.request["ship_at"])
    return datetime.now(UTC)


async def _shipment(session: AsyncSession, request: BookLabel, *, ship_at: datetime) -> Shipment:
    found = await shipping.ends(
        session,
        location_id=request.location_id,
        order_id=request.order_id,
        revision=request.contact_revision,
    )
    weight_g = request.weight_g
    if weight_g is None:
        weight_g = await shipping.weights_g(session, dict(request.skus))
    address = shipping.address_of(found.contact)
    return Shipment(
        reference=request.parcel_id,
        order_id=request.order_id,
        origin=Address(
            name=found.location.name,
            lines=tuple(found.location.address_lines),
            city=found.location.city or found.location.name,
            postal_code=found.location.postal_code,
            country=found.location.country,
        ),
        destination=Address(
            name=found.contact.name or "",
            lines=tuple(address["lines"]),
            city=address.get("city") or "",
            region=address.get("region"),
            postal_code=address.get("postal_code"),
            country=address["country"],
            phone=found.contact.phone,
        ),
        weight_g=max(1, weight_g),
        length_mm=request.length_mm,
        width_mm=request.width_mm,
        height_mm=request.height_mm,
        service_level=request.service_level.value,
        collect_minor=request.collect_minor or None,
        currency=request.currency,
        ship_at=ship_at,
    )
