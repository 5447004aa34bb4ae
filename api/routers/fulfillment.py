"""Fulfillments over HTTP: what a warehouse has to do, and what it says it did."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api import cursors
from api.answers import Answer, answer, json_response
from api.body import read_raw, require_json
from api.facts import check_fact, read_fact, to_fact, traces
from api.once import once
from api.openapi import CHANGE, READ, READ_ONE, Page, takes
from api.schemas.fields import PathName
from api.schemas.outward_views import AcceptedView, FulfillmentView
from api.schemas.queries import FulfillmentsQuery
from api.schemas.warehouse import FACT_BODIES
from api.security import Call, needs
from contracts import names, views
from db import inbox
from db.inbox import Incoming
from db.reading import fulfillments
from db.reading.fulfillments import StoredFulfillment
from domain.errors import Invalid, NotFound
from domain.messages import WarehouseFact
from domain.vocabulary import Scope

router = APIRouter(tags=["warehouse"])

Warehouse = Annotated[Call, Depends(needs(Scope.WAREHOUSE))]
_FACT = TypeAdapter(WarehouseFact)


@router.get("/v1/fulfillments", response_model=Page[FulfillmentView], responses=READ)
async def list_fulfillments(call: Warehouse, query: Annotated[FulfillmentsQuery, Query()]) -> Response:
    """Released fulfillments, the longest released first, or by priority."""
    by_priority = query.sort == "priority"
    kind = "fulfillments:priority" if by_priority else "fulfillments"
    async with call.context.sessions() as session:
        found = await (_by_priority if by_priority else _by_release)(session, query, kind)
    places = [
        (stored.priority, stored.ship_by, stored.fulfillment_id)
        if by_priority
        else (stored.released_at, stored.fulfillment_id)
        for stored in found
    ]
    items = [_view(stored) for stored in found]
    return json_response(cursors.page(items, limit=query.limit, kind=kind, places=places))


def _view(stored: StoredFulfillment) -> dict[str, Any]:
    return views.fulfillment_view(
        stored.order,
        stored.order.fulfillment(stored.fulfillment_id),
        order_ref=stored.order_ref,
        priority=stored.priority,
        ship_to=views.ship_to_view(name=stored.recipient, phone=stored.phone, address=stored.address),
        gift=stored.gift,
        products=stored.products,
    )


async def _by_priority(session: AsyncSession, query: FulfillmentsQuery, kind: str) -> list[StoredFulfillment]:
    after: tuple[int, datetime, str] | None = None
    if query.cursor is not None:
        priority, ship_by, fulfillment_id = cursors.read(kind, query.cursor, length=3)
        after = (priority, datetime.fromisoformat(ship_by), fulfillment_id)
    return await fulfillments.list_by_priority(
        session, location_id=query.location_id, state=query.state, limit=query.limit + 1, after=after
    )


async def _by_release(session: AsyncSession, query: FulfillmentsQuery, kind: str) -> list[StoredFulfillment]:
    after: tuple[datetime, str] | None = None
    if query.cursor is not None:
        released_at, fulfillment_id = cursors.read(kind, query.cursor, length=2)
        after = (datetime.fromisoformat(released_at), fulfillment_id)
    return await fulfillments.list_by_release(
        session, location_id=query.location_id, state=query.state, limit=query.limit + 1, after=after
    )


@router.get("/v1/fulfillments/{fulfillment_id}", response_model=FulfillmentView, responses=READ_ONE)
async def get_fulfillment(call: Warehouse, fulfillment_id: PathName) -> Response:
    """The fulfillment as its warehouse sees it."""
    async with call.context.sessions() as session:
        stored = await fulfillments.find_fulfillment(session, fulfillment_id)
    if stored is None:
        raise NotFound("there is no such fulfillment")
    return json_response(_view(stored))


@router.post(
    "/v1/fulfillments/{fulfillment_id}/events",
    status_code=202,
    response_model=AcceptedView,
    responses=CHANGE,
    openapi_extra=takes(*FACT_BODIES),
)
async def report(request: Request, call: Warehouse, fulfillment_id: PathName) -> Response:
    """Take a warehouse's fact. Idempotent on its event_id; late, early and repeated is normal."""
    require_json(request)
    raw = await read_raw(request)
    body = read_fact(raw)

    async def work(session: AsyncSession) -> Answer:
        found = await inbox.find_released(session, fulfillment_id)
        if found is None:
            raise NotFound("there is no such fulfillment")
        if errors := list(check_fact(body, found.line_ids, now=call.context.now())):
            raise Invalid(errors)
        source = names.warehouse_source(found.location_id)
        fact = to_fact(body, fact_id=names.fact_id(source, body.event_id), fulfillment_id=fulfillment_id)
        content = _FACT.dump_python(fact, mode="json", exclude_defaults=True)
        if found_traces := traces(body):
            content["traces"] = found_traces
        incoming = Incoming(
            source=source,
            event_id=body.event_id,
            signal=names.WAREHOUSE_FACT,
            fact=content,
            received_at=call.context.now(),
            order_id=found.order_id,
        )
        return answer({"duplicate": not await inbox.keep(session, incoming)}, status=202)

    return (await once(call, raw, work)).response()
