"""Orders over HTTP: bring one, list, look, its request as it came, its timeline."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api import cursors
from api.addresses import e164
from api.answers import Answer, json_response
from api.body import read_raw, require_json
from api.intake import read_draft
from api.once import Claim, Done, claim_of, once
from api.openapi import CHANGE, READ, READ_ONE, Page, takes
from api.routers.events import STREAM, LastEventId
from api.schemas.fields import PathName
from api.schemas.orders import OrderBody
from api.schemas.queries import OrdersQuery, PageQuery
from api.schemas.views import EventView, OrderView
from api.security import Call, needs
from api.streams.opening import open_stream
from api.streams.sources import OrderSource
from api.streams.wire import beyond_the_end, resume_after, wants_stream
from api.taking import Taken, may_bring, take
from api.views import order_view
from api.waiting import first_decision, preferred_wait
from contracts import views
from db import idempotency
from db.reading import orders
from db.reading.orders import OrderFilter
from domain.errors import NotFound
from domain.vocabulary import Scope

router = APIRouter(tags=["orders"])

Bringer = Annotated[Call, Depends(needs(Scope.STOREFRONT, Scope.SUPPORT))]
Reader = Annotated[Call, Depends(needs(Scope.STOREFRONT, Scope.SUPPORT, Scope.OPERATIONS))]

_LOCATION = {"Location": {"description": "Where the order is.", "schema": {"type": "string"}}}
_EXISTING: dict[int | str, dict[str, Any]] = {
    200: {"model": OrderView, "description": "This order was there already.", "headers": _LOCATION},
    201: {"headers": _LOCATION},
}


@router.post(
    "/v1/orders",
    status_code=201,
    response_model=OrderView,
    responses=CHANGE | _EXISTING,
    openapi_extra=takes(OrderBody),
)
async def create_order(
    request: Request,
    call: Bringer,
    prefer: Annotated[
        str | None, Header(description="`wait=N`: answer at the first decision, N <= 10 seconds.")
    ] = None,
) -> Response:
    """Take an order. 201 with the new order; 200 with the one that has its identity and content already."""
    require_json(request)
    raw = await read_raw(request)
    draft = read_draft(raw, now=call.context.now())
    may_bring(call, draft)
    taken: Taken | None = None

    async def work(session: AsyncSession) -> Answer:
        nonlocal taken
        taken = await take(session, call, draft, raw)
        return taken.answer

    done = await once(call, raw, work)
    if done.replayed or taken is None:
        return done.response()
    if taken.fresh:
        call.context.start_soon(taken.order_id)
    if seconds := preferred_wait(prefer):
        done = await _wait(call, taken, claim_of(call, raw), seconds=seconds)
    return done.response()


async def _wait(call: Call, taken: Taken, claim: Claim | None, *, seconds: float) -> Done:
    """The answer at the first decision; from then on it is what the caller's key answers."""
    found = await first_decision(call.context, taken.answer, order_id=taken.order_id, seconds=seconds)
    if claim is not None and found is not taken.answer:
        async with call.context.sessions.begin() as session:
            await idempotency.store(
                session, claim.request_id, status=found.status, headers=found.headers, answer=found.body
            )
    return Done(answer=found)


@router.get("/v1/orders", response_model=Page[OrderView], responses=READ)
async def list_orders(call: Reader, query: Annotated[OrdersQuery, Query()]) -> Response:
    """Orders, newest first; a storefront sees those of its sources."""
    before: tuple[datetime, str] | None = None
    if query.cursor is not None:
        at, order_id = cursors.read("orders", query.cursor, length=2)
        before = (datetime.fromisoformat(at), order_id)
    fields = query.model_dump(exclude={"limit", "cursor", "phone"})
    phone = None if query.phone is None else e164(query.phone, "ZZ") or query.phone
    wanted = OrderFilter(sources=call.sources, phone=phone, **fields)
    async with call.context.sessions() as session:
        found = await orders.list_orders(session, wanted, limit=query.limit + 1, before=before)
    items = [order_view(stored, call.context.settings) for stored in found]
    places = [(stored.order.received_at, stored.order.order_id) for stored in found]
    return json_response(cursors.page(items, limit=query.limit, kind="orders", places=places))


@router.get("/v1/orders/{order_id}", response_model=OrderView, responses=READ_ONE)
async def get_order(call: Reader, order_id: PathName) -> Response:
    """The order as it stands."""
    async with call.context.sessions() as session:
        stored = await orders.find_order(session, order_id)
    if stored is None or not call.sees_source(stored.order.source):
        raise NotFound("there is no such order")
    return json_response(order_view(stored, call.context.settings))


@router.get(
    "/v1/orders/{order_id}/request",
    response_class=Response,
    responses=READ_ONE | {200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def get_request(call: Reader, order_id: PathName) -> Response:
    """The request as it was received, byte for byte."""
    async with call.context.sessions() as session:
        await see_order(session, call, order_id)
        body = await orders.find_request(session, order_id)
    if body is None:
        raise NotFound("the request of that order is not kept")
    return Response(body, media_type="application/json")


@router.get("/v1/orders/{order_id}/events", response_model=Page[EventView], responses=READ_ONE | STREAM)
async def list_events(
    call: Reader, order_id: PathName, query: Annotated[PageQuery, Query()], last_event_id: LastEventId = None
) -> Response:
    """The order's timeline, from its beginning; live for who accepts ``text/event-stream``."""
    seen = resume_after(last_event_id)
    if wants_stream(call.request.headers.get("accept")):
        return await _follow(call, order_id, after=seen or 0)
    after = 0 if query.cursor is None else int(cursors.read("events", query.cursor, length=1)[0])
    async with call.context.sessions() as session:
        await see_order(session, call, order_id)
        found = await orders.list_events(session, order_id, limit=query.limit + 1, after=after)
    return json_response(
        cursors.page(
            [views.event_view(**asdict(event)) for event in found],
            limit=query.limit,
            kind="events",
            places=[(event.sequence,) for event in found],
        )
    )


async def _follow(call: Call, order_id: str, *, after: int) -> Response:
    """The order's events behind sequence *after*, as they happen."""
    async with call.context.sessions() as session:
        await see_order(session, call, order_id)
        last = await orders.last_sequence(session, order_id)
    if after > last:
        raise beyond_the_end(last)
    return open_stream(call, OrderSource(call.context.streams, order_id, after=after))


async def see_order(session: AsyncSession, call: Call, order_id: str) -> None:
    """Return when the key may see the order.

    Raises:
        NotFound: there is no such order, or it is another source's.
    """
    source = await orders.source_of(session, order_id)
    if source is None or not call.sees_source(source):
        raise NotFound("there is no such order")
