"""Whether this process runs, is ready, and what it counted."""

import asyncio
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.responses import Response
from temporalio.service import RPCError

from api.answers import json_response
from api.context import Context
from api.openapi import problems
from api.schemas.outward_views import HealthView
from db.reading import health
from domain.errors import Refused

router = APIRouter(tags=["running"])

RELAYS = ("outbox", "publisher", "webhooks")
OLDEST_BEAT = timedelta(seconds=15)
ANSWER_WITHIN = 2.0


@router.get("/healthz", response_model=HealthView)
async def healthz() -> Response:
    """The process is up."""
    return json_response({"status": "ok"})


@router.get("/readyz", response_model=HealthView, responses=problems())
async def readyz(request: Request) -> Response:
    """Database, engine and relays answer; 503 names those that do not."""
    context: Context = request.app.state.context
    missing = [*await _database(context), *await _engine(context)]
    if missing:
        raise Refused("not ready: " + ", ".join(missing), code="not_ready")
    return json_response({"status": "ready"})


async def _database(context: Context) -> list[str]:
    try:
        async with asyncio.timeout(ANSWER_WITHIN), context.sessions() as session:
            ages = await health.heartbeat_ages(session)
    except (SQLAlchemyError, PoolTimeoutError, OSError, TimeoutError):
        return ["database"]
    return [f"relay {name}" for name in RELAYS if name not in ages or ages[name] > OLDEST_BEAT]


async def _engine(context: Context) -> list[str]:
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            client = await context.client()
            healthy = await client.service_client.check_health(timeout=timedelta(seconds=ANSWER_WITHIN))
    except (RPCError, RuntimeError, OSError, TimeoutError):
        return ["engine"]
    return [] if healthy else ["engine"]


_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


@router.get("/metrics", response_class=Response, responses=_TEXT)
async def metrics(request: Request) -> Response:
    """What this process counted, for Prometheus."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)
