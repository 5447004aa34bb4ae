"""Webhook endpoints over HTTP: each belongs to the key that made it, and is told what that key may see."""

import base64
import secrets
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api import cursors
from api.answers import Answer, answer, json_response
from api.body import Received, body_of, parse, read_raw, require_json
from api.once import once
from api.openapi import CHANGE, READ, READ_ONE, Page, takes
from api.schemas.fields import PathName
from api.schemas.queries import PageQuery
from api.schemas.webhooks import (
    MOST_ENDPOINTS,
    DeliveryView,
    EndpointBody,
    EndpointView,
    NoBody,
    SecretEndpointView,
)
from api.security import Call, needs
from contracts import names
from db.webhooks import deliveries, endpoints
from db.webhooks.deliveries import LoggedDelivery
from db.webhooks.endpoints import Endpoint, NewEndpoint
from domain.errors import Conflict, Invalid, NotFound
from domain.webhooks import read_target

router = APIRouter(tags=["webhooks"])

Caller = Annotated[Call, Depends(needs())]
_SECRET_BYTES = 32
_RANDOM_BYTES = 7


@router.post(
    "/v1/webhook-endpoints",
    status_code=201,
    response_model=SecretEndpointView,
    responses=CHANGE,
    openapi_extra=takes(EndpointBody),
)
async def create_endpoint(
    call: Caller, received: Annotated[Received[EndpointBody], Depends(body_of(EndpointBody))]
) -> Response:
    """Make an endpoint; the answer has the secret that signs what it is sent, and nothing shows it again."""
    body = received.value
    try:
        read_target(body.url, allow_loopback=call.context.settings.webhooks_allow_loopback)
    except ValueError as error:
        raise Invalid([("url", f"url: {error}")]) from None

    async def work(session: AsyncSession) -> Answer:
        if await endpoints.count(session, call.key.key_id) >= MOST_ENDPOINTS:
            raise Conflict(f"a key has at most {MOST_ENDPOINTS} endpoints", code="too_many_endpoints")
        tail = names.new_tail(call.context.now(), secrets.token_bytes(_RANDOM_BYTES))
        new = NewEndpoint(
            endpoint_id=f"whk_{tail}",
            key_id=call.key.key_id,
            url=body.url,
            events=list(dict.fromkeys(body.events)),
            description=body.description,
            secret=_new_secret(),
        )
        await endpoints.add(session, new)
        return await _shown_once(session, call, new.endpoint_id, secret=new.secret, status=201)

    return (await once(call, received.raw, work)).response()


@router.get("/v1/webhook-endpoints", response_model=Page[EndpointView], responses=READ)
async def list_endpoints(call: Caller, query: Annotated[PageQuery, Query()]) -> Response:
    """The key's endpoints, the oldest first."""
    after: tuple[datetime, str] | None = None
    if query.cursor is not None:
        at, endpoint_id = cursors.read("webhook-endpoints", query.cursor, length=2)
        after = (datetime.fromisoformat(at), endpoint_id)
    async with call.context.sessions() as session:
        found = await endpoints.list_endpoints(session, call.key.key_id, limit=query.limit + 1, after=after)
    places = [(endpoint.created_at, endpoint.endpoint_id) for endpoint in found]
    items = [_view(endpoint) for endpoint in found]
    return json_response(cursors.page(items, limit=query.limit, kind="webhook-endpoints", places=places))


@router.get("/v1/webhook-endpoints/{endpoint_id}", response_model=EndpointView, responses=READ_ONE)
async def get_endpoint(call: Caller, endpoint_id: PathName) -> Response:
    """The endpoint, without its secret."""
    async with call.context.sessions() as session:
        return json_response(_view(await _own(session, call, endpoint_id)))


@router.delete("/v1/webhook-endpoints/{endpoint_id}", status_code=204, response_class=Response, responses=READ_ONE)
async def delete_endpoint(call: Caller, endpoint_id: PathName) -> Response:
    """Tell the endpoint nothing more; its log goes with it."""
    async with call.context.sessions.begin() as session:
        if not await endpoints.remove(session, call.key.key_id, endpoint_id):
            raise NotFound("there is no such endpoint")
    return Response(status_code=204)


@router.post(
    "/v1/webhook-endpoints/{endpoint_id}/rotate",
    response_model=SecretEndpointView,
    responses=CHANGE,
    openapi_extra=takes(NoBody, required=False),
)
async def rotate_secret(request: Request, call: Caller, endpoint_id: PathName) -> Response:
    """Sign with a new secret, shown in this answer; the one before signs too for 24 hours, any older one no more."""
    raw = await _read_nothing(request)

    async def work(session: AsyncSession) -> Answer:
        await _own(session, call, endpoint_id)
        secret = _new_secret()
        await endpoints.rotate(session, endpoint_id, secret=secret)
        return await _shown_once(session, call, endpoint_id, secret=secret, status=200)

    return (await once(call, raw, work)).response()


@router.post(
    "/v1/webhook-endpoints/{endpoint_id}/enable",
    response_model=EndpointView,
    responses=CHANGE,
    openapi_extra=takes(NoBody, required=False),
)
async def enable_endpoint(request: Request, call: Caller, endpoint_id: PathName) -> Response:
    """Tell an endpoint again that was disabled: first what was left waiting, not what happened meanwhile."""
    raw = await _read_nothing(request)

    async def work(session: AsyncSession) -> Answer:
        if (await _own(session, call, endpoint_id)).disabled_at is not None:
            await endpoints.enable(session, endpoint_id)
        return answer(_view(await _own(session, call, endpoint_id)))

    return (await once(call, raw, work)).response()


@router.get("/v1/webhook-endpoints/{endpoint_id}/deliveries", response_model=Page[DeliveryView], responses=READ_ONE)
async def list_deliveries(call: Caller, endpoint_id: PathName, query: Annotated[PageQuery, Query()]) -> Response:
    """The endpoint's log, the newest event first; it goes back 30 days."""
    before = None if query.cursor is None else int(cursors.read("webhook-deliveries", query.cursor, length=1)[0])
    async with call.context.sessions() as session:
        await _own(session, call, endpoint_id)
        found = await deliveries.list_deliveries(session, endpoint_id, limit=query.limit + 1, before=before)
    places = [(delivery.position,) for delivery in found]
    items = [_logged(delivery) for delivery in found]
    return json_response(cursors.page(items, limit=query.limit, kind="webhook-deliveries", places=places))


@router.post(
    "/v1/webhook-deliveries/{delivery_id}/redeliver",
    status_code=202,
    response_model=DeliveryView,
    responses=CHANGE,
    openapi_extra=takes(NoBody, required=False),
)
async def redeliver(request: Request, call: Caller, delivery_id: PathName) -> Response:
    """Send it again: the same id and the same body, by the whole schedule if need be."""
    raw = await _read_nothing(request)

    async def work(session: AsyncSession) -> Answer:
        delivery = await deliveries.find(session, delivery_id)
        if delivery is None:
            raise NotFound("there is no such delivery")
        endpoint = await _own(session, call, delivery.endpoint_id)
        if endpoint.disabled_at is not None:
            raise Conflict("the endpoint is disabled; enable it first", code="endpoint_disabled")
        await deliveries.redeliver(session, delivery_id)
        found = await deliveries.find(session, delivery_id)
        return answer(_logged(found or delivery), status=202)

    return (await once(call, raw, work)).response()


async def _own(session: AsyncSession, call: Call, endpoint_id: str) -> Endpoint:
    found = await endpoints.find(session, call.key.key_id, endpoint_id)
    if found is None:
        raise NotFound("there is no such endpoint")
    return found


async def _shown_once(session: AsyncSession, call: Call, endpoint_id: str, *, secret: str, status: int) -> Answer:
    headers = {"Location": f"/v1/webhook-endpoints/{endpoint_id}"} if status == 201 else {}
    view: SecretEndpointView = {**_view(await _own(session, call, endpoint_id)), "secret": secret}
    return answer(view, status=status, headers=headers)


async def _read_nothing(request: Request) -> bytes:
    """The body of a request that has nothing to say: none, or an empty object."""
    raw = await read_raw(request)
    if raw.strip():
        require_json(request)
        parse(NoBody, raw)
    return raw


def _new_secret() -> str:
    """A secret in the form of Standard Webhooks."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def _view(endpoint: Endpoint) -> EndpointView:
    return {
        "endpoint_id": endpoint.endpoint_id,
        "url": endpoint.url,
        "events": list(endpoint.events),
        "description": endpoint.description,
        "failures": endpoint.failures,
        "previous_secret_until": endpoint.previous_until,
        "created_at": endpoint.created_at,
        "disabled_at": endpoint.disabled_at,
        "disabled_reason": endpoint.disabled_reason,
    }


def _logged(delivery: LoggedDelivery) -> DeliveryView:
    over = delivery.delivered_at is not None
    return {
        "delivery_id": delivery.delivery_id,
        "endpoint_id": delivery.endpoint_id,
        "order_id": delivery.order_id,
        "sequence": delivery.sequence,
        "position": delivery.position,
        "kind": delivery.kind,
        "state": "delivered" if over else "waiting" if delivery.given_up_at is None else "given_up",
        "attempts": delivery.attempts,
        "created_at": delivery.created_at,
        "last_attempt_at": delivery.last_attempt_at,
        "next_attempt_at": delivery.due_at,
        "delivered_at": delivery.delivered_at,
        "given_up_at": delivery.given_up_at,
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
    }
