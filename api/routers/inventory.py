"""Stock over HTTP: levels, movements, availability, and the bookings that change them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api import bookings, cursors
from api.answers import Answer, json_response
from api.body import Received, body_of
from api.once import once
from api.openapi import CHANGE, READ, READ_ONE, Page, takes
from api.schemas.inventory import AdjustmentBody, CountBody, ReceiptBody
from api.schemas.queries import AvailabilityQuery, MovementsQuery, StockQuery
from api.schemas.stock_views import (
    AdjustmentView,
    AvailabilityView,
    CountView,
    MovementView,
    ReceiptView,
    StockView,
)
from api.security import Call, needs
from db import policies
from db.reading import stock
from db.reading.stock import StoredMovement
from domain.errors import Invalid, NotFound
from domain.inventory import StockLevel
from domain.vocabulary import Scope

router = APIRouter(tags=["stock"])

Booker = Annotated[Call, Depends(needs(Scope.WAREHOUSE, Scope.OPERATIONS))]
Reader = Annotated[Call, Depends(needs(Scope.WAREHOUSE, Scope.SUPPORT, Scope.OPERATIONS))]
Promiser = Annotated[Call, Depends(needs(Scope.STOREFRONT, Scope.WAREHOUSE, Scope.SUPPORT, Scope.OPERATIONS))]


def _booked(view: Any) -> dict[int | str, dict[str, Any]]:
    return CHANGE | {200: {"model": view, "description": "It was booked already."}}


@router.get("/v1/stock", response_model=Page[StockView], responses=READ)
async def list_stock(call: Reader, query: Annotated[StockQuery, Query()]) -> Response:
    """Stock rows, by sku and location."""
    after: tuple[str, str] | None = None
    if query.cursor is not None:
        sku, location_id = cursors.read("stock", query.cursor, length=2)
        after = (sku, location_id)
    async with call.context.sessions() as session:
        found = await stock.list_levels(
            session, sku=query.sku, location_id=query.location_id, limit=query.limit + 1, after=after
        )
    places = [(level.sku, level.location_id) for level in found]
    views = [_level_view(level) for level in found]
    return json_response(cursors.page(views, limit=query.limit, kind="stock", places=places))


def _level_view(level: StockLevel) -> StockView:
    return {
        "sku": level.sku,
        "location_id": level.location_id,
        "on_hand": level.on_hand,
        "reserved": level.reserved,
        "unavailable": level.unavailable,
        "safety_stock": level.safety_stock,
        "available": level.available,
    }


@router.get("/v1/stock/movements", response_model=Page[MovementView], responses=READ)
async def list_movements(call: Reader, query: Annotated[MovementsQuery, Query()]) -> Response:
    """The stock ledger, newest first."""
    before = None if query.cursor is None else int(cursors.read("movements", query.cursor, length=1)[0])
    async with call.context.sessions() as session:
        found = await stock.list_movements(
            session, sku=query.sku, location_id=query.location_id, limit=query.limit + 1, before=before
        )
    places = [(movement.movement_id,) for movement in found]
    views = [_movement_view(movement) for movement in found]
    return json_response(cursors.page(views, limit=query.limit, kind="movements", places=places))


def _movement_view(movement: StoredMovement) -> MovementView:
    return {
        "movement_id": f"mov_{movement.movement_id}",
        "sku": movement.sku,
        "location_id": movement.location_id,
        "kind": movement.kind,
        "quantity": movement.quantity,
        "cause": movement.cause,
        "actor": movement.actor,
        "at": movement.at,
    }


@router.get("/v1/availability", response_model=AvailabilityView, responses=READ_ONE)
async def get_availability(call: Promiser, query: Annotated[AvailabilityQuery, Query()]) -> Response:
    """How much of a product can be promised now, and until when a standard order of it would be sent."""
    if query.country not in call.context.geography.countries:
        raise Invalid([("country", "unknown_country: not a country that we know")])
    now = call.context.now()
    async with call.context.sessions.begin() as session:
        available = await stock.available(session, query.sku)
        rules = (await policies.current(session, now=now)).policy.rules
    if available is None:
        raise NotFound("there is no such product")
    view: AvailabilityView = {
        "sku": query.sku,
        "country": query.country,
        "available": available,
        "ship_by": now + rules.standard_ship_within if available else None,
    }
    return json_response(view)


@router.post(
    "/v1/stock/receipts",
    status_code=201,
    response_model=ReceiptView,
    responses=_booked(ReceiptView),
    openapi_extra=takes(ReceiptBody),
)
async def receive_stock(
    call: Booker, received: Annotated[Received[ReceiptBody], Depends(body_of(ReceiptBody))]
) -> Response:
    """Book goods that came in: once per location and reference."""

    async def work(session: AsyncSession) -> Answer:
        return await bookings.receive(session, call, received.value)

    return (await once(call, received.raw, work)).response()


@router.post(
    "/v1/stock/adjustments",
    status_code=201,
    response_model=AdjustmentView,
    responses=CHANGE,
    openapi_extra=takes(AdjustmentBody),
)
async def adjust_stock(
    call: Booker, received: Annotated[Received[AdjustmentBody], Depends(body_of(AdjustmentBody))]
) -> Response:
    """Correct the books; never below what is promised or unavailable."""

    async def work(session: AsyncSession) -> Answer:
        return await bookings.adjust(session, call, received.value)

    return (await once(call, received.raw, work)).response()


@router.post(
    "/v1/stock/counts",
    status_code=201,
    response_model=CountView,
    responses=_booked(CountView),
    openapi_extra=takes(CountBody),
)
async def count_stock(call: Booker, received: Annotated[Received[CountBody], Depends(body_of(CountBody))]) -> Response:
    """Put the books right by a count: what moved after ``counted_at`` stays moved. Once per location and reference."""

    async def work(session: AsyncSession) -> Answer:
        return await bookings.count(session, call, received.value)

    return (await once(call, received.raw, work)).response()
