"""Products, locations and the policy over HTTP."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.answers import Answer, answer, json_response
from api.body import Received, body_of
from api.once import once
from api.openapi import CHANGE, READ, READ_ONE, takes
from api.schemas.fields import NAME_PATTERN
from api.schemas.inventory import LocationBody, ProductBody
from api.schemas.policy import PolicyBody
from api.schemas.stock_views import LocationView, PolicyView, ProductView
from api.security import Call, needs
from db import catalogue, inventory, policies
from db.policies import RULES, StoredPolicy
from domain.errors import Invalid, NotFound
from domain.vocabulary import Scope

router = APIRouter(tags=["catalogue"])

# A caller's clock may be behind ours.
PAST_TOLERATED = timedelta(minutes=5)

Reader = Annotated[Call, Depends(needs(Scope.OPERATIONS, Scope.SUPPORT, Scope.WAREHOUSE))]
Operations = Annotated[Call, Depends(needs(Scope.OPERATIONS))]
Named = Annotated[str, Path(min_length=1, max_length=64, pattern=NAME_PATTERN)]


def _put(view: Any) -> dict[int | str, dict[str, Any]]:
    return CHANGE | {201: {"model": view, "description": "It is new."}}


@router.get("/v1/products/{sku:path}", response_model=ProductView, responses=READ_ONE)
async def get_product(call: Reader, sku: Named) -> Response:
    """The product."""
    async with call.context.sessions() as session:
        found = await catalogue.find_product(session, sku)
    if found is None:
        raise NotFound("there is no such product")
    return json_response(found)


@router.put(
    "/v1/products/{sku:path}",
    response_model=ProductView,
    responses=_put(ProductView),
    openapi_extra=takes(ProductBody),
)
async def put_product(
    call: Operations, sku: Named, received: Annotated[Received[ProductBody], Depends(body_of(ProductBody))]
) -> Response:
    """Make or change a product: 201 when it is new, else 200."""

    async def work(session: AsyncSession) -> Answer:
        found, made = await catalogue.put_product(session, sku, received.value.model_dump())
        await inventory.serve_waiting(
            session, cause=f"catalogue/{call.context.random_id()[:16]}", at=call.context.now()
        )
        return answer(found, status=201 if made else 200)

    return (await once(call, received.raw, work)).response()


@router.get("/v1/locations/{location_id}", response_model=LocationView, responses=READ_ONE)
async def get_location(call: Reader, location_id: Named) -> Response:
    """The location."""
    async with call.context.sessions() as session:
        found = await catalogue.find_location(session, location_id)
    if found is None:
        raise NotFound("there is no such location")
    return json_response(found)


@router.put(
    "/v1/locations/{location_id}",
    response_model=LocationView,
    responses=_put(LocationView),
    openapi_extra=takes(LocationBody),
)
async def put_location(
    call: Operations, location_id: Named, received: Annotated[Received[LocationBody], Depends(body_of(LocationBody))]
) -> Response:
    """Make or change a location: 201 when it is new, else 200."""

    async def work(session: AsyncSession) -> Answer:
        found, made = await catalogue.put_location(session, location_id, received.value.model_dump())
        await inventory.serve_waiting(
            session, cause=f"catalogue/{call.context.random_id()[:16]}", at=call.context.now()
        )
        return answer(found, status=201 if made else 200)

    return (await once(call, received.raw, work)).response()


@router.get("/v1/policy", response_model=PolicyView, responses=READ)
async def get_policy(call: Operations) -> Response:
    """The policy in force: new orders are pinned to it."""
    async with call.context.sessions.begin() as session:
        found = await policies.current(session, now=call.context.now())
    return json_response(_policy_view(found))


@router.put("/v1/policy", response_model=PolicyView, responses=CHANGE, openapi_extra=takes(PolicyBody))
async def put_policy(
    call: Operations, received: Annotated[Received[PolicyBody], Depends(body_of(PolicyBody))]
) -> Response:
    """A new version of the policy, in force from ``effective_at`` or now; rules left out stay as they are."""
    body = received.value
    now = call.context.now()
    if body.effective_at is not None and body.effective_at < now - PAST_TOLERATED:
        raise Invalid([("effective_at", "in_the_past: running orders keep the policy they began with")])

    async def work(session: AsyncSession) -> Answer:
        before = await policies.current(session, now=now)
        changes = {name: value for name, value in body.rules.model_dump().items() if value is not None}
        found = await policies.add(
            session,
            replace(before.policy.rules, **changes),
            effective_at=body.effective_at or now,
            actor=call.actor_id,
            profile=body.profile or before.profile,
        )
        return answer(_policy_view(found))

    return (await once(call, received.raw, work)).response()


def _policy_view(stored: StoredPolicy) -> PolicyView:
    return {
        "version": stored.policy.version,
        "effective_at": stored.effective_at,
        "actor": stored.actor,
        "profile": stored.profile,
        "rules": RULES.dump_python(stored.policy.rules, mode="json"),
    }
