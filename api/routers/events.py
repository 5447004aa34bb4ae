"""The feed over HTTP: what happens to all orders that a key may see, as server-sent events."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header
from starlette.responses import Response

from api.openapi import READ
from api.security import Call, needs
from api.streams.opening import open_stream
from api.streams.sources import FeedSource
from api.streams.wire import MEDIA_TYPE, RESUME_PATTERN, beyond_the_end, resume_after
from db.reading import feed
from domain.vocabulary import Scope

router = APIRouter(tags=["orders"])

Reader = Annotated[Call, Depends(needs(Scope.STOREFRONT, Scope.SUPPORT, Scope.OPERATIONS))]
LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="Go on behind the event with this id.",
        json_schema_extra={"pattern": RESUME_PATTERN},
    ),
]
STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}}


@router.get("/v1/events", response_class=Response, responses=READ | STREAM)
async def follow_events(call: Reader, last_event_id: LastEventId = None) -> Response:
    """Every published event of the orders that the key may see; without Last-Event-ID those from now on."""
    after = resume_after(last_event_id)
    async with call.context.sessions() as session:
        last = await feed.last_position(session)
    if after is not None and after > last:
        raise beyond_the_end(last)
    begin = last if after is None else after
    stream = open_stream(call, FeedSource(call.context.streams, after=begin, sources=call.sources))
    # Where a reader goes on that lost its connection before the first event.
    stream.headers["Last-Event-ID"] = str(begin)
    return stream
