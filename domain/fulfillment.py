"""What a warehouse's facts do to an order: accept, refuse, pick, short pick, pack, hand over; in any order, repeated."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from domain import names, units
from domain.attention import AttentionCode, open_case
from domain.cancelling import BY_REQUEST, cancel_answered, cancel_units, reserve_anew
from domain.change import Change
from domain.holding import other_answered
from domain.inventory import SHORT_EFFECTS
from domain.messages import LineQuantity, PackedParcel, WarehouseFact
from domain.orders import Fulfillment, Parcel, fulfillment_state, parcel_state
from domain.payments import collection_at_door, with_fulfillment, with_parcel
from domain.units import NOT_LEFT, Place, Stage
from domain.vocabulary import (
    EventKind,
    FulfillmentState,
    MovementKind,
    ParcelState,
    RequestKind,
    RequestState,
    ShortReason,
    WarehouseFactKind,
)

FINISHED = frozenset(
    {
        FulfillmentState.CANCELLED,
        FulfillmentState.REFUSED,
        FulfillmentState.DELIVERED,
        FulfillmentState.UNDELIVERABLE,
    }
)
SHIPPED = ((MovementKind.SHIPPED, 1),)
# The rules that an order was taken under: by the first, what a warehouse lacks is cancelled.
SOURCED_AGAIN_FROM = 2

Ready = bool


def apply_warehouse_fact(change: Change, fact: WarehouseFact) -> Ready:
    """Apply *fact*; False when its precondition is missing and it must be parked.

    A warehouse knows only what was released, yet we may not: a release is committed before the workflow task that decided
    it, and when that task is lost, the facts that came meanwhile are applied first.
    """
    found = [other for other in change.order.fulfillments if other.fulfillment_id == fact.fulfillment_id]
    if not found or (found[0].released_at is None and change.order.outcome is None):
        return False
    return _MOVES[fact.kind](change, found[0], fact)


def _accept(change: Change, fulfillment: Fulfillment, fact: WarehouseFact) -> Ready:
    _touch(change, fulfillment, accepted=True)
    _tell(change, EventKind.FULFILLMENT_ACCEPTED, fact)
    return True


def _refuse(change: Change, fulfillment: Fulfillment, fact: WarehouseFact) -> Ready:
    """The units that have not left are cancelled; physical facts beat the refusal, so what left stays left."""
    reason = ShortReason(fact.reason or ShortReason.OTHER)
    wanted = _wanted(fact.lines) or units.by_line(
        change.order.portions, NOT_LEFT, fulfillment_id=fulfillment.fulfillment_id
    )
    cancelled = _give_up(change, fulfillment, wanted, reason, stages=BY_REQUEST)
    _check_cash(change, fulfillment)
    _over(change, fulfillment, wanted, cancelled)
    current = change.order.fulfillment(fulfillment.fulfillment_id)
    if not units.count(change.order.portions, units.LEFT | NOT_LEFT, fulfillment_id=fulfillment.fulfillment_id):
        change.order = with_fulfillment(change.order, replace(current, refused=True))
    _tell(change, EventKind.FULFILLMENT_REFUSED, fact, reason=reason.value)
    return True


def _give_up(
    change: Change,
    fulfillment: Fulfillment,
    wanted: Mapping[str, int],
    reason: ShortReason,
    *,
    stages: tuple[Stage, ...],
) -> dict[str, int]:
    """Units that this warehouse cannot serve: looked for elsewhere, by the first rules cancelled at once; what was there."""
    elsewhere = change.order.rules >= SOURCED_AGAIN_FROM
    looked_for = units.count(change.order.portions, {Stage.OPEN}, fulfillment_id=fulfillment.fulfillment_id)
    gone = cancel_units(
        change, fulfillment.fulfillment_id, wanted, SHORT_EFFECTS[reason], stages=stages, elsewhere=elsewhere
    )
    if elsewhere and any(gone.values()):
        if looked_for:
            reserve_anew(change, fulfillment.fulfillment_id)
        else:
            current = change.order.fulfillment(fulfillment.fulfillment_id)
            change.order = with_fulfillment(change.order, replace(current, sourced_again=current.sourced_again + 1))
    return gone


def _check_cash(change: Change, fulfillment: Fulfillment) -> None:
    """What a carrier collects is fixed when its parcel is packed: units refused after that leave it wrong for people to see."""
    portions = change.order.portions
    wrong = any(
        parcel.collect_minor and units.count(portions, {Stage.CANCELLED}, parcel_id=parcel.parcel_id)
        for parcel in change.order.parcels_of(fulfillment.fulfillment_id)
    )
    if wrong and units.count(portions, units.LEFT | NOT_LEFT):
        open_case(
            change,
            AttentionCode.CAPTURE_FAILED,
            fulfillment.fulfillment_id,
            "units were refused after the cash to collect for them was fixed",
        )


def _pick(change: Change, fulfillment: Fulfillment, fact: WarehouseFact) -> Ready:
    if fulfillment_state(change.order, fulfillment) in FINISHED:
        return _record_late(change, EventKind.FULFILLMENT_PICKED, fact)
    wanted = _wanted(fact.lines)
    picked = _take(change, fulfillment, wanted, Stage.RELEASED, Stage.PICKED)
    _over(change, fulfillment, wanted, picked)
    _touch(change, change.order.fulfillment(fulfillment.fulfillment_id), accepted=True, picked=True)
    _tell(change, EventKind.FULFILLMENT_PICKED, fact)
    return True


def _short_pick(change: Change, fulfillment: Fulfillment, fact: WarehouseFact) -> Ready:
    if fulfillment_state(change.order, fulfillment) in FINISHED:
        return _record_late(change, EventKind.FULFILLMENT_SHORT_PICKED, fact)
    for reason in dict.fromkeys(line.reason or ShortReason.OTHER for line in fact.lines):
        wanted = _wanted(tuple(line for line in fact.lines if (line.reason or ShortReason.OTHER) is reason))
        gone = _give_up(change, fulfillment, wanted, reason, stages=(Stage.RELEASED, Stage.PICKED))
        _over(change, fulfillment, wanted, gone)
    _touch(change, change.order.fulfillment(fulfillment.fulfillment_id), accepted=True)
    _tell(change, EventKind.FULFILLMENT_SHORT_PICKED, fact)
    return True


def _pack(change: Change, fulfillment: Fulfillment, fact: WarehouseFact) -> Ready:
    if fulfillment_state(change.order, fulfillment) in FINISHED:
        return _record_late(change, EventKind.FULFILLMENT_PACKED, fact)
    parcels = fact.parcels or _whole(change, fulfillment)
    if parcels is None:
        return False
    taken = {parcel.parcel_ref for parcel in change.order.parcels_of(fulfillment.fulfillment_id)}
    if any(parcel.parcel_ref in taken for parcel in parcels):
        open_case(change, AttentionCode.QUANTITY_MISMATCH, fulfillment.fulfillment_id, "a parcel was packed twice")
        return _record_late(change, EventKind.FULFILLMENT_PACKED, fact)
    wanted = _wanted(tuple(line for parcel in parcels for line in parcel.lines))
    there = units.by_line(
        change.order.portions, {Stage.RELEASED, Stage.PICKED}, fulfillment_id=fulfillment.fulfillment_id
    )
    picked = units.by_line(change.order.portions, {Stage.PICKED}, fulfillment_id=fulfillment.fulfillment_id)
    if any(quantity > there.get(line_id, 0) for line_id, quantity in wanted.items()):
        open_case(change, AttentionCode.QUANTITY_MISMATCH, fulfillment.fulfillment_id, "more was packed than is there")
        return _record_late(change, EventKind.FULFILLMENT_PACKED, fact)
    if any(quantity > picked.get(line_id, 0) for line_id, quantity in wanted.items()):
        return False
    for parcel in parcels:
        _pack_parcel(change, fulfillment, parcel)
    _tell(change, EventKind.FULFILLMENT_PACKED, fact, parcel_refs=[parcel.parcel_ref for parcel in parcels])
    return True


def _whole(change: Change, fulfillment: Fulfillment) -> tuple[PackedParcel, ...] | None:
    """One parcel of all that was picked; None while something is still to be picked, or nothing was."""
    portions = change.order.portions
    if units.count(portions, {Stage.RELEASED}, fulfillment_id=fulfillment.fulfillment_id):
        return None
    picked = units.by_line(portions, {Stage.PICKED}, fulfillment_id=fulfillment.fulfillment_id)
    if not picked:
        return None
    lines = tuple(LineQuantity(line_id=line_id, quantity=quantity) for line_id, quantity in picked.items())
    return (PackedParcel(parcel_ref="A", lines=lines),)


def _pack_parcel(change: Change, fulfillment: Fulfillment, packed: PackedParcel) -> None:
    order = change.order
    contents = _wanted(packed.lines)
    parcel = Parcel(
        parcel_id=names.parcel_id(order.order_id, len(order.parcels) + 1),
        parcel_ref=packed.parcel_ref,
        fulfillment_id=fulfillment.fulfillment_id,
        packed_at=change.now,
        weight_g=packed.weight_g,
        length_mm=packed.length_mm,
        width_mm=packed.width_mm,
        height_mm=packed.height_mm,
        carrier=packed.carrier,
        tracking_number=packed.tracking_number,
        own_label=packed.tracking_number is not None,
        collect_minor=collection_at_door(order, fulfillment, contents),
    )
    portions = units.move(
        order.portions,
        contents,
        Place(stage=Stage.PICKED, fulfillment_id=fulfillment.fulfillment_id),
        Place(stage=Stage.PACKED, fulfillment_id=fulfillment.fulfillment_id, parcel_id=parcel.parcel_id),
    )
    change.order = replace(order, parcels=(*order.parcels, parcel), portions=portions)


def _hand_over(change: Change, fulfillment: Fulfillment, fact: WarehouseFact) -> Ready:
    known = {parcel.parcel_ref: parcel for parcel in change.order.parcels_of(fulfillment.fulfillment_id)}
    if any(ref not in known for ref in fact.parcel_refs):
        if fulfillment_state(change.order, fulfillment) in {FulfillmentState.CANCELLED, FulfillmentState.REFUSED}:
            open_case(
                change,
                AttentionCode.CONTRADICTING_FACT,
                fulfillment.fulfillment_id,
                "goods were handed over after the fulfillment had ended",
            )
            return _record_late(change, EventKind.FULFILLMENT_HANDED_OVER, fact)
        return False
    for ref in fact.parcel_refs:
        hand_over(change, known[ref], at=fact.occurred_at)
    _tell(change, EventKind.FULFILLMENT_HANDED_OVER, fact)
    return True


def hand_over(change: Change, parcel: Parcel, *, at: datetime) -> None:
    """The parcel left the house *at* that time: its units are on the way and off the shelf. Once; again changes nothing."""
    order = change.order
    contents = units.by_line(order.portions, {Stage.PACKED}, parcel_id=parcel.parcel_id)
    if not contents:
        if parcel_state(order, parcel) is ParcelState.CANCELLED:
            open_case(change, AttentionCode.CONTRADICTING_FACT, parcel.parcel_id, "a cancelled parcel was handed over")
        return
    place = Place(stage=Stage.PACKED, fulfillment_id=parcel.fulfillment_id, parcel_id=parcel.parcel_id)
    change.order = replace(
        order, portions=units.move(order.portions, contents, place, replace(place, stage=Stage.IN_TRANSIT))
    )
    change.order = with_parcel(change.order, replace(parcel, handed_over_at=at, heard_at=change.now))
    change.move_stock(parcel.fulfillment_id, SHIPPED, contents)


def _answer(change: Change, fulfillment: Fulfillment, fact: WarehouseFact) -> Ready:
    """An answer to a request of ours; a late yes counts, a second answer is kept in the timeline."""
    request = change.order.request(fact.request_id or "")
    awaited = request is not None and request.state in {RequestState.OPEN, RequestState.TIMED_OUT}
    change.tell(
        EventKind.REQUEST_ANSWERED,
        fulfillment_id=fulfillment.fulfillment_id,
        request_id=fact.request_id,
        answer=fact.kind.value,
        reason=fact.reason,
        known=awaited,
    )
    if request is None or not awaited:
        return True
    accepted = fact.kind is WarehouseFactKind.REQUEST_ACCEPTED
    if request.kind is RequestKind.CANCEL:
        cancel_answered(change, request, accepted=accepted, lines=_wanted(fact.lines))
        _check_cash(change, fulfillment)
    else:
        other_answered(change, request, accepted=accepted, reason=fact.reason)
    return True


_MOVES: Mapping[WarehouseFactKind, Callable[[Change, Fulfillment, WarehouseFact], Ready]] = {
    WarehouseFactKind.ACCEPTED: _accept,
    WarehouseFactKind.REFUSED: _refuse,
    WarehouseFactKind.PICKED: _pick,
    WarehouseFactKind.SHORT_PICKED: _short_pick,
    WarehouseFactKind.PACKED: _pack,
    WarehouseFactKind.HANDED_OVER: _hand_over,
    WarehouseFactKind.REQUEST_ACCEPTED: _answer,
    WarehouseFactKind.REQUEST_REFUSED: _answer,
}


def _wanted(lines: tuple[LineQuantity, ...]) -> dict[str, int]:
    wanted: dict[str, int] = {}
    for line in lines:
        wanted[line.line_id] = wanted.get(line.line_id, 0) + line.quantity
    return wanted


def _take(
    change: Change, fulfillment: Fulfillment, wanted: Mapping[str, int], source: Stage, target: Stage
) -> dict[str, int]:
    """Move at most *wanted* from *source* to *target*; answers what moved."""
    there = units.by_line(change.order.portions, {source}, fulfillment_id=fulfillment.fulfillment_id)
    moved = {line_id: min(quantity, there.get(line_id, 0)) for line_id, quantity in wanted.items()}
    place = Place(stage=source, fulfillment_id=fulfillment.fulfillment_id)
    change.order = replace(
        change.order, portions=units.move(change.order.portions, moved, place, replace(place, stage=target))
    )
    return moved


def _over(change: Change, fulfillment: Fulfillment, wanted: Mapping[str, int], done: Mapping[str, int]) -> bool:
    """Whether more was reported than is there; people look at it, and what was there has moved."""
    over = any(quantity > done.get(line_id, 0) for line_id, quantity in wanted.items())
    if over:
        open_case(
            change,
            AttentionCode.QUANTITY_MISMATCH,
            fulfillment.fulfillment_id,
            "more units were reported than are there",
        )
    return over


def _touch(change: Change, fulfillment: Fulfillment, *, accepted: bool = False, picked: bool = False) -> None:
    change.order = with_fulfillment(
        change.order,
        replace(
            fulfillment,
            accepted_at=fulfillment.accepted_at or (change.now if accepted else None),
            picked_at=fulfillment.picked_at or (change.now if picked else None),
        ),
    )


def _record_late(change: Change, kind: EventKind, fact: WarehouseFact) -> Ready:
    _tell(change, kind, fact, recorded_only=True)
    return True


def _tell(change: Change, kind: EventKind, fact: WarehouseFact, **more: object) -> None:
    data: dict[str, object] = {"fulfillment_id": fact.fulfillment_id, "occurred_at": fact.occurred_at.isoformat()}
    if fact.lines:
        data["lines"] = [
            {"line_id": line.line_id, "quantity": line.quantity}
            | ({"reason": line.reason.value} if line.reason else {})
            for line in fact.lines
        ]
    if fact.parcel_refs:
        data["parcel_refs"] = list(fact.parcel_refs)
    if fact.worker:
        data["worker"] = fact.worker
    change.tell(kind, **(data | more))
