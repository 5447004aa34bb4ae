"""A warehouse's words as the fact that the order's loop understands; what it means is decided there."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import orjson

from api.body import parse
from api.schemas.warehouse import (
    AcceptedBody,
    FactBody,
    HandedOverBody,
    PackedBody,
    ParcelBody,
    PickedBody,
    RefusedBody,
    RequestAcceptedBody,
    RequestRefusedBody,
    ShortPickedBody,
)
from domain.errors import Invalid
from domain.intake import Violation
from domain.messages import LineQuantity, PackedParcel, WarehouseFact
from domain.vocabulary import WarehouseFactKind

CLOCKS_DIFFER = timedelta(minutes=5)
_BODIES: dict[WarehouseFactKind, type[FactBody]] = {
    WarehouseFactKind.ACCEPTED: AcceptedBody,
    WarehouseFactKind.REFUSED: RefusedBody,
    WarehouseFactKind.PICKED: PickedBody,
    WarehouseFactKind.SHORT_PICKED: ShortPickedBody,
    WarehouseFactKind.PACKED: PackedBody,
    WarehouseFactKind.HANDED_OVER: HandedOverBody,
    WarehouseFactKind.REQUEST_ACCEPTED: RequestAcceptedBody,
    WarehouseFactKind.REQUEST_REFUSED: RequestRefusedBody,
}


def read_fact(raw: bytes) -> FactBody:
    """The body of the kind that it says it is.

    Raises:
        Invalid: every field that is not as it must be.
    """
    try:
        content = orjson.loads(raw)
    except orjson.JSONDecodeError:
        content = None
    kind = content.get("kind") if isinstance(content, dict) else None
    if not isinstance(kind, str) or kind not in _BODIES:
        # Whatever else is wrong with it is found as if it were the plainest kind.
        try:
            parse(AcceptedBody, raw)
        except Invalid as invalid:
            known = ", ".join(_BODIES)
            others = [error for error in invalid.errors if error[0] in {"", "event_id", "occurred_at", "worker"}]
            wrong = [] if content is None else [("kind", f"enum: one of {known}")]
            raise Invalid([*wrong, *others]) from invalid
    return parse(_BODIES[WarehouseFactKind(str(kind))], raw)


def check_occurred_at(occurred_at: datetime, *, now: datetime) -> Iterator[Violation]:
    """Nothing happens in the future: a clock that is ahead would make every later fact look late."""
    if occurred_at > now + CLOCKS_DIFFER:
        yield "occurred_at", "in_the_future: more than five minutes ahead of our clock"


def check_fact(body: FactBody, line_ids: frozenset[str], *, now: datetime) -> Iterator[Violation]:
    """Which of its lines are not the fulfillment's, what it names twice or by halves, and a time that is not yet."""
    yield from check_occurred_at(body.occurred_at, now=now)
    for field, line_id in _lines_named(body):
        if line_id not in line_ids:
            yield f"{field}.line_id", f"unknown_line: the fulfillment has no line {line_id}"
    if isinstance(body, PackedBody):
        refs = [parcel.parcel_ref for parcel in body.parcels]
        for place, parcel in enumerate(body.parcels):
            if parcel.parcel_ref in refs[:place]:
                yield f"parcels[{place}].parcel_ref", "duplicate: another parcel has this reference"
            if (parcel.carrier is None) != (parcel.tracking_number is None):
                missing = "carrier" if parcel.carrier is None else "tracking_number"
                yield f"parcels[{place}].{missing}", "missing: a label has a carrier and a tracking number"


def _lines_named(body: FactBody) -> Iterator[tuple[str, str]]:
    if isinstance(body, ShortPickedBody):
        yield from ((f"lines[{place}]", missing.line_id) for place, missing in enumerate(body.lines))
    if isinstance(body, RefusedBody | PickedBody | RequestAcceptedBody):
        yield from ((f"lines[{place}]", line.line_id) for place, line in enumerate(body.lines))
    if isinstance(body, PackedBody):
        for at, parcel in enumerate(body.parcels):
            for place, packed in enumerate(parcel.lines):
                yield f"parcels[{at}].lines[{place}]", packed.line_id


def to_fact(body: FactBody, *, fact_id: str, fulfillment_id: str) -> WarehouseFact:
    """The fact."""
    return WarehouseFact(
        id=fact_id,
        kind=WarehouseFactKind(body.kind),
        fulfillment_id=fulfillment_id,
        occurred_at=body.occurred_at,
        lines=_line_quantities(body),
        parcels=tuple(_parcel(parcel) for parcel in body.parcels) if isinstance(body, PackedBody) else (),
        parcel_refs=tuple(dict.fromkeys(body.parcel_refs)) if isinstance(body, HandedOverBody) else (),
        reason=body.reason if isinstance(body, RefusedBody | RequestRefusedBody) else None,
        request_id=body.request_id if isinstance(body, RequestAcceptedBody | RequestRefusedBody) else None,
        worker=body.worker,
    )


def _line_quantities(body: FactBody) -> tuple[LineQuantity, ...]:
    if isinstance(body, ShortPickedBody):
        return tuple(
            LineQuantity(line_id=line.line_id, quantity=line.missing, reason=line.reason) for line in body.lines
        )
    if isinstance(body, RefusedBody | PickedBody | RequestAcceptedBody):
        return tuple(LineQuantity(line_id=line.line_id, quantity=line.quantity) for line in body.lines)
    return ()


def _parcel(parcel: ParcelBody) -> PackedParcel:
    return PackedParcel(
        parcel_ref=parcel.parcel_ref,
        lines=tuple(LineQuantity(line_id=line.line_id, quantity=line.quantity) for line in parcel.lines),
        weight_g=parcel.weight_g,
        length_mm=parcel.length_mm,
        width_mm=parcel.width_mm,
        height_mm=parcel.height_mm,
        carrier=parcel.carrier,
        tracking_number=parcel.tracking_number,
    )


def traces(body: FactBody) -> list[dict[str, Any]]:
    """Lots and serial numbers of what was picked, kept with the fact for recalls; empty when there are none."""
    if not isinstance(body, PickedBody):
        return []
    return [
        {"line_id": line.line_id, "lot": line.lot, "serials": line.serials}
        for line in body.lines
        if line.lot is not None or line.serials
    ]
