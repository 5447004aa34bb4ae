"""What a carrier's facts do to an order, and which carrier is chosen; no I/O."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from domain import units
from domain.attention import AttentionCode, close_cases, open_case
from domain.change import Change
from domain.fulfillment import hand_over
from domain.messages import Candidate, CarrierFact, Decision
from domain.orders import Parcel
from domain.payments import with_parcel
from domain.units import Place, Stage
from domain.vocabulary import EventKind, Party, TrackingStatus

NOT_A_SCAN = frozenset({TrackingStatus.PENDING, TrackingStatus.UNKNOWN, TrackingStatus.CANCELLED})
FINAL = frozenset({TrackingStatus.DELIVERED, TrackingStatus.RETURNED})
ENDS = FINAL | {TrackingStatus.RETURN_TO_SENDER, TrackingStatus.LOST}
PROBLEMS = frozenset(
    {
        AttentionCode.PARCEL_SILENT,
        AttentionCode.PARCEL_DELAYED,
        AttentionCode.PARCEL_LOST,
        AttentionCode.DELIVERY_FAILED,
        AttentionCode.CUSTOMS_HELD,
    }
)
_RANK = {status: rank for rank, status in enumerate(TrackingStatus)}


def apply_carrier_fact(change: Change, fact: CarrierFact) -> bool:
    """Fold *fact* into its parcel; False when no parcel bears the number yet and it must be parked.

    The status is that of the latest fact by the carrier's own clock; what is final stays. Any scan counts as hand-over.
    """
    parcel = change.order.parcel_tracked(fact.carrier, fact.tracking_number)
    if parcel is None:
        return False
    if fact.status not in NOT_A_SCAN:
        hand_over(change, parcel, at=fact.occurred_at)
    parcel = change.order.parcel(parcel.parcel_id)
    final = parcel.tracking_status in FINAL
    newer = not final and (
        fact.status in FINAL
        or parcel.status_at is None
        or (fact.occurred_at, _RANK[fact.status]) > (parcel.status_at, _RANK[parcel.tracking_status])
    )
    _tell_tracked(change, parcel, fact, late=not newer)
    parcel = replace(
        parcel,
        has_proof=parcel.has_proof or fact.has_proof,
        sending_back=parcel.sending_back or fact.status is TrackingStatus.RETURN_TO_SENDER,
        collected_minor=fact.collected_minor if fact.collected_minor is not None else parcel.collected_minor,
    )
    if newer:
        parcel = replace(
            parcel,
            tracking_status=fact.status,
            status_at=fact.occurred_at,
            heard_at=change.now,
            estimated_on=fact.estimated_on or parcel.estimated_on,
            delivered_at=fact.occurred_at if fact.status is TrackingStatus.DELIVERED else None,
        )
    change.order = with_parcel(change.order, parcel)
    _place_units(change, parcel)
    if newer:
        close_cases(change, parcel.parcel_id, frozenset({AttentionCode.PARCEL_SILENT}), "the carrier has spoken")
        _CONSEQUENCES.get(fact.status, _nothing)(change, parcel, fact)
    elif final and contradicts(parcel, fact):
        open_case(
            change,
            AttentionCode.CONTRADICTING_FACT,
            parcel.parcel_id,
            f"{fact.status} after {parcel.tracking_status}",
        )
    check_collection(change, parcel.parcel_id)
    return True


def contradicts(parcel: Parcel | None, fact: CarrierFact) -> bool:
    """Whether *fact* tells another end of the parcel than the one that is known, and a later one by the carrier's clock."""
    if fact.status not in ENDS or (parcel is not None and fact.status is parcel.tracking_status):
        return False
    return parcel is None or parcel.status_at is None or fact.occurred_at >= parcel.status_at


def declare(change: Change, parcel: Parcel, status: TrackingStatus) -> None:
    """A person says what became of the parcel, delivered or lost; a carrier's later word still counts."""
    is_delivered = status is TrackingStatus.DELIVERED
    parcel = replace(
        parcel,
        tracking_status=status,
        status_at=change.now,
        heard_at=change.now,
        delivered_at=change.now if is_delivered else None,
    )
    change.order = with_parcel(change.order, parcel)
    _place_units(change, parcel)
    because = "the parcel was delivered" if is_delivered else "the parcel was given up"
    close_cases(change, parcel.parcel_id, PROBLEMS, because)
    if is_delivered:
        change.tell(EventKind.PARCEL_DELIVERED, parcel_id=parcel.parcel_id, delivered_at=change.now.isoformat())
    else:
        change.tell(EventKind.PARCEL_LOST, parcel_id=parcel.parcel_id, reason=None)
        open_case(change, AttentionCode.PARCEL_LOST, parcel.parcel_id, "a person gave the parcel up for lost")


def _place_units(change: Change, parcel: Parcel) -> None:
    """Every unit that left in *parcel* is where the parcel's story, as far as it is known, says."""
    target = _UNITS_AT.get(parcel.tracking_status, Stage.SENDING_BACK if parcel.sending_back else Stage.IN_TRANSIT)
    for stage in (Stage.IN_TRANSIT, Stage.SENDING_BACK, Stage.LOST):
        if stage is not target:
            _move(change, parcel, stage, target)


_UNITS_AT: Mapping[TrackingStatus, Stage] = {
    TrackingStatus.DELIVERED: Stage.DELIVERED,
    TrackingStatus.RETURNED: Stage.SENT_BACK,
    TrackingStatus.LOST: Stage.LOST,
}


def check_collection(change: Change, parcel_id: str) -> None:
    """What the carrier says it took at the door must be what it was asked to take; a corrected word settles it."""
    parcel = change.order.parcel(parcel_id)
    if parcel.collected_minor == parcel.collect_minor:
        close_cases(change, parcel_id, frozenset({AttentionCode.CAPTURE_FAILED}), "the whole sum was collected")
    if parcel.collected_minor is not None and parcel.collected_minor != parcel.collect_minor:
        open_case(
            change,
            AttentionCode.CAPTURE_FAILED,
            parcel_id,
            f"collected {parcel.collected_minor} instead of {parcel.collect_minor} minor units",
        )


def _nothing(change: Change, parcel: Parcel, fact: CarrierFact) -> None:
    """The status is data beside the order's state, and moves nothing."""


def _delivered(change: Change, parcel: Parcel, fact: CarrierFact) -> None:
    close_cases(change, parcel.parcel_id, PROBLEMS, "the parcel was delivered")
    change.tell(
        EventKind.PARCEL_DELIVERED,
        parcel_id=parcel.parcel_id,
        delivered_at=fact.occurred_at.isoformat(),
        collected_minor=fact.collected_minor,
        has_proof=fact.has_proof,
    )


def _lost(change: Change, parcel: Parcel, fact: CarrierFact) -> None:
    change.tell(EventKind.PARCEL_LOST, parcel_id=parcel.parcel_id, reason=fact.reason)
    open_case(change, AttentionCode.PARCEL_LOST, parcel.parcel_id, fact.reason or "the carrier reports the parcel lost")


def _sending_back(change: Change, parcel: Parcel, fact: CarrierFact) -> None:
    open_case(
        change, AttentionCode.DELIVERY_FAILED, parcel.parcel_id, fact.reason or "the carrier sends the parcel back"
    )


def _sent_back(change: Change, parcel: Parcel, fact: CarrierFact) -> None:
    change.tell(EventKind.PARCEL_SENT_BACK, parcel_id=parcel.parcel_id, reason=fact.reason)
    _sending_back(change, parcel, fact)


def _failed(change: Change, parcel: Parcel, fact: CarrierFact) -> None:
    open_case(change, AttentionCode.DELIVERY_FAILED, parcel.parcel_id, fact.reason or "the carrier could not deliver")


def _delayed(change: Change, parcel: Parcel, fact: CarrierFact) -> None:
    open_case(change, AttentionCode.PARCEL_DELAYED, parcel.parcel_id, fact.reason or "the carrier reports a delay")


def _held(change: Change, parcel: Parcel, fact: CarrierFact) -> None:
    code = AttentionCode.CUSTOMS_HELD if fact.party is Party.CUSTOMS else AttentionCode.PARCEL_DELAYED
    open_case(change, code, parcel.parcel_id, fact.reason or "the parcel is on hold")


_CONSEQUENCES: Mapping[TrackingStatus, Callable[[Change, Parcel, CarrierFact], None]] = {
    TrackingStatus.DELIVERED: _delivered,
    TrackingStatus.LOST: _lost,
    TrackingStatus.RETURN_TO_SENDER: _sending_back,
    TrackingStatus.RETURNED: _sent_back,
    TrackingStatus.DELIVERY_FAILED: _failed,
    TrackingStatus.DELIVERY_DELAYED: _delayed,
    TrackingStatus.ON_HOLD: _held,
}


def _move(change: Change, parcel: Parcel, source: Stage, target: Stage) -> None:
    contents = units.by_line(change.order.portions, {source}, parcel_id=parcel.parcel_id)
    if not contents:
        return
    place = Place(stage=source, fulfillment_id=parcel.fulfillment_id, parcel_id=parcel.parcel_id)
    change.order = replace(
        change.order, portions=units.move(change.order.portions, contents, place, replace(place, stage=target))
    )


def _tell_tracked(change: Change, parcel: Parcel, fact: CarrierFact, *, late: bool) -> None:
    data: dict[str, object] = {
        "parcel_id": parcel.parcel_id,
        "status": fact.status.value,
        "occurred_at": fact.occurred_at.isoformat(),
    }
    optional = {
        "party": fact.party.value if fact.party else None,
        "reason": fact.reason,
        "estimated_on": fact.estimated_on.isoformat() if fact.estimated_on else None,
        "late": late or None,
    }
    change.tell(EventKind.PARCEL_TRACKED, **data, **{name: value for name, value in optional.items() if value})


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierOffer:
    """What one carrier's service would cost for a parcel, and when it would arrive."""

    carrier: str
    service: str
    price_minor: int
    currency: str
    estimated_on: date


def choose_carrier(offers: Sequence[CarrierOffer], *, parcel_id: str, promise: datetime, now: datetime) -> Decision:
    """The cheapest offer that keeps *promise*; when none does, the one that arrives first. Ties go to the name.

    Returns:
        A decision whose ``chosen`` is ``carrier/service``, or None when there is no offer at all.
    """
    kept = [offer for offer in offers if offer.estimated_on <= promise.date()]
    ranked = (
        sorted(kept, key=lambda offer: (offer.price_minor, offer.estimated_on, _name(offer)))
        if kept
        else sorted(offers, key=lambda offer: (offer.estimated_on, offer.price_minor, _name(offer)))
    )
    return Decision(
        kind="carrier",
        subject=parcel_id,
        at=now,
        chosen=_name(ranked[0]) if ranked else None,
        candidates=tuple(
            Candidate(
                choice=_name(offer),
                scores=(
                    ("price_minor", float(offer.price_minor)),
                    ("days_late", float(max(0, (offer.estimated_on - promise.date()).days))),
                ),
                refused=None if offer in kept else "arrives after the promise",
            )
            for offer in offers
        ),
    )


def _name(offer: CarrierOffer) -> str:
    return f"{offer.carrier}/{offer.service}"
