"""Booking stock for a caller: receipts, adjustments and counts, each one transaction's work."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from datetime import datetime

import orjson
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api.answers import Answer, answer
from api.errors import sqlstate
from api.schemas.inventory import MOST_STOCK, AdjustmentBody, CountBody, ReceiptBody
from api.security import Call
from contracts import names
from db import inventory, stock_bookings
from db.stock_bookings import Reference
from domain.errors import Conflict, Invalid
from domain.inventory import StockChange
from domain.vocabulary import MovementKind

_CHECK_VIOLATION = "23514"


async def receive(session: AsyncSession, call: Call, body: ReceiptBody) -> Answer:
    """Book goods that came in. Idempotent on (location, reference): 201, the same again 200."""
    await _require_known(session, body.location_id, [line.sku for line in body.lines])
    view = {
        "location_id": body.location_id,
        "reference": body.reference,
        "lines": [{"sku": line.sku, "quantity": line.quantity} for line in body.lines],
    }
    if await _is_repeated(session, "receipt", body):
        return answer(view)
    quantities = {line.sku: 0 for line in body.lines}
    for line in body.lines:
        quantities[line.sku] += line.quantity
    await _book(
        session,
        call,
        kind=MovementKind.RECEIVED,
        location_id=body.location_id,
        quantities=quantities,
        cause=f"receipt/{body.reference}",
    )
    return answer(view, status=201)


async def adjust(session: AsyncSession, call: Call, body: AdjustmentBody) -> Answer:
    """Book corrections; 409 ``stock_reserved`` when less would be left than is promised or unavailable."""
    await _require_known(session, body.location_id, [line.sku for line in body.lines])
    adjustment_id = "adj_" + names.new_tail(call.context.now(), os.urandom(7))
    deltas = {line.sku: 0 for line in body.lines}
    for line in body.lines:
        deltas[line.sku] += line.delta
    cause = f"adjustment/{adjustment_id}: {body.reason}"
    await _book(session, call, kind=MovementKind.ADJUSTED, location_id=body.location_id, quantities=deltas, cause=cause)
    return answer(
        {
            "adjustment_id": adjustment_id,
            "location_id": body.location_id,
            "reason": body.reason,
            "lines": [{"sku": line.sku, "delta": line.delta} for line in body.lines],
        },
        status=201,
    )


async def count(session: AsyncSession, call: Call, body: CountBody) -> Answer:
    """Book a count against what the ledger says stood there at the time. Idempotent on (location, reference)."""
    skus = [line.sku for line in body.lines]
    repeated = [place for place, sku in enumerate(skus) if sku in skus[:place]]
    if repeated:
        raise Invalid([(f"lines[{place}].sku", "duplicate: counted twice") for place in repeated])
    if body.counted_at > call.context.now():
        raise Invalid([("counted_at", "in_the_future: nothing is counted before it stands there")])
    await _require_known(session, body.location_id, skus)
    view = {
        "location_id": body.location_id,
        "reference": body.reference,
        "counted_at": body.counted_at,
        "lines": [{"sku": line.sku, "counted": line.counted} for line in body.lines],
    }
    if await _is_repeated(session, "count", body):
        return answer(view)
    stood = await stock_bookings.on_hand_at(session, location_id=body.location_id, skus=skus, at=body.counted_at)
    deltas = {line.sku: line.counted - stood[line.sku] for line in body.lines}
    await _book(
        session,
        call,
        kind=MovementKind.COUNTED,
        location_id=body.location_id,
        quantities=deltas,
        cause=f"count/{body.reference}",
    )
    return answer(view, status=201)


async def _require_known(session: AsyncSession, location_id: str, skus: Sequence[str]) -> None:
    unknown = await stock_bookings.find_unknown(session, location_id=location_id, skus=skus)
    errors = [("location_id", f"unknown_location: there is no location {location_id}")] if unknown.location else []
    errors += [
        (f"lines[{place}].sku", f"unknown_sku: {sku} is not in the catalogue")
        for place, sku in enumerate(skus)
        if sku in unknown.skus
    ]
    if errors:
        raise Invalid(errors)


async def _is_repeated(session: AsyncSession, kind: str, body: ReceiptBody | CountBody) -> bool:
    found = await stock_bookings.claim_reference(
        session,
        kind=kind,
        location_id=body.location_id,
        reference=body.reference,
        content_hash=_hash(body),
    )
    if found is Reference.TAKEN:
        raise Conflict(f"{body.reference} was booked with other content", code="reference_taken")
    return found is Reference.SAME


def _hash(body: BaseModel) -> bytes:
    return hashlib.sha256(orjson.dumps(body.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)).digest()


async def _book(
    session: AsyncSession,
    call: Call,
    *,
    kind: MovementKind,
    location_id: str,
    quantities: Mapping[str, int],
    cause: str,
) -> None:
    if any(abs(quantity) > MOST_STOCK for quantity in quantities.values()):
        raise Invalid([("lines", f"too_large: more than {MOST_STOCK} of one sku")])
    await stock_bookings.lock_rows(session, location_id=location_id, skus=quantities)
    changes = [
        StockChange(kind=kind, location_id=location_id, sku=sku, quantity=quantity)
        for sku, quantity in quantities.items()
    ]
    at: datetime = call.context.now()
    try:
        await inventory.book(session, changes, cause=cause, actor=call.actor_id, at=at, rows_exist=True)
    except IntegrityError as error:
        if sqlstate(error) != _CHECK_VIOLATION:
            raise
        raise Conflict("less would be left than is promised to orders or unavailable", code="stock_reserved") from error
