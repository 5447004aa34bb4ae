"""The tracking page and its JSON, events and forms: the token in the path is the key, and opens this order alone."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api import tracking_page
from api.answers import Answer, answer, json_response
from api.body import Received, body_of
from api.context import Context
from api.once import claim_of, once
from api.openapi import problems, takes
from api.routers.events import STREAM, LastEventId
from api.schemas.fields import PathName
from api.schemas.tracking import QuestionBody, QuestionView, RatingBody, RatingView, TrackedOrderView
from api.security import Call
from api.streams.response import EventStream
from api.streams.wire import beyond_the_end, resume_after
from api.tracking_stream import TrackedSource
from api.tracking_view import Tracked, tracked_view
from db import tracking_page as stored_page
from db.keys import Key
from db.reading import orders
from domain.errors import Conflict, NotFound, Refused
from domain.notices import Language, language_of
from domain.tracking_page import MOST_QUESTIONS, REACHED_BY, is_open, may_rate
from domain.vocabulary import ActorKind
from runtime import tracking_links

router = APIRouter(tags=["tracking page"])

_READ = problems(404, 422)
_WRITE = problems(404, 409, 413, 415, 422, 429)
_PAGE = {"text/html": {"schema": {"type": "string"}}}
_HTML = problems(422) | {
    200: {"content": _PAGE},
    404: {"content": _PAGE, "description": "There is no such page, or no longer."},
}
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request by somebody who has the link of an order."""

    context: Context
    token: str
    order_id: str

    @property
    def own(self) -> str:
        """The path of the order's JSON."""
        return f"/v1/track/{self.token}"


async def by_link(request: Request, token: PathName) -> Visit:
    """The visit that *token* opens; whether the page is still there is seen when the order is read.

    Raises:
        NotFound: it is nobody's.
    """
    context: Context = request.app.state.context
    order_id = tracking_links.order_of(token, context.settings.tracking_secrets)
    if order_id is None:
        raise _nothing()
    return Visit(context=context, token=token, order_id=order_id)


Visitor = Annotated[Visit, Depends(by_link)]


def _nothing() -> NotFound:
    return NotFound("there is no such page, or no longer")


async def _tracked(session: AsyncSession, visit: Visit) -> Tracked:
    progress = await stored_page.progress(session, visit.order_id, list(REACHED_BY.values()))
    stored = await orders.find_order(session, visit.order_id)
    if progress is None or stored is None or not is_open(progress.closed_at, visit.context.now()):
        raise _nothing()
    return Tracked(
        stored=stored,
        progress=progress,
        scans=await stored_page.scans(session, visit.order_id),
        proofs=await stored_page.proofs(session, visit.order_id),
    )


async def _still_there(visit: Visit) -> bool:
    async with visit.context.sessions() as session:
        known, closed_at = await stored_page.closed_at(session, visit.order_id)
    return known and is_open(closed_at, visit.context.now())


@router.get("/track/{token}", response_class=Response, responses=_HTML)
async def show_page(
    request: Request,
    token: PathName,
    lang: Annotated[Language | None, Query(description="Another language than the customer's own.")] = None,
    accept_language: Annotated[str | None, Header()] = None,
) -> Response:
    """The order's page for its customer, which renews itself."""
    try:
        visit = await by_link(request, token)
        async with visit.context.sessions() as session:
            tracked = await _tracked(session, visit)
    except NotFound:
        return tracking_page.gone(lang or language_of((accept_language or "").split(",")[0].strip()))
    view = tracked_view(tracked, own=visit.own, now=visit.context.now())
    return tracking_page.page(
        view,
        token=token,
        locale=tracked.stored.contact.locale,
        country=tracked.stored.order.country,
        language=lang or view["language"],
    )


@router.get("/v1/track/{token}", response_model=TrackedOrderView, responses=_READ)
async def get_tracked(visit: Visitor) -> Response:
    """The order as its page shows it."""
    async with visit.context.sessions() as session:
        tracked = await _tracked(session, visit)
    return json_response(tracked_view(tracked, own=visit.own, now=visit.context.now()))


@router.get("/v1/track/{token}/events", response_class=Response, responses=_READ | STREAM)
async def follow_tracked(
    visit: Visitor,
    last_event_id: LastEventId = None,
    after: Annotated[int, Query(ge=0, le=10**9, description="Go on behind this version, without Last-Event-ID.")] = 0,
) -> Response:
    """What happens to the order, as it happens: kinds and times of what concerns the customer; resumable."""
    if not await _still_there(visit):
        raise _nothing()
    resumed = resume_after(last_event_id)
    begin = after if resumed is None else resumed
    async with visit.context.sessions() as session:
        last = await orders.last_sequence(session, visit.order_id)
    if begin > last:
        raise beyond_the_end(last)
    streams, settings = visit.context.streams, visit.context.settings
    streams.admit()
    return EventStream(
        streams,
        TrackedSource(streams, visit.order_id, after=begin),
        allowed=lambda: _still_there(visit),
        comment_every=settings.stream_comment_seconds,
        patience=settings.stream_patience_seconds,
    )


@router.get("/v1/track/{token}/parcels/{number}/photo", response_class=Response, responses=_READ)
async def get_photo(visit: Visitor, number: int) -> Response:
    """The carrier's photo of the delivery of the order's *number*-th parcel."""
    async with visit.context.sessions() as session:
        tracked = await _tracked(session, visit)
    parcels = tracked.stored.order.parcels
    proof = tracked.proofs.get(parcels[number - 1].parcel_id) if 0 < number <= len(parcels) else None
    found = None if proof is None or proof.photo_key is None else await visit.context.documents.get(proof.photo_key)
    if found is None:
        raise NotFound("there is no photo of that parcel")
    content_type, body = found
    return Response(body, media_type=content_type)


@router.post(
    "/v1/track/{token}/questions",
    status_code=201,
    response_model=QuestionView,
    responses=_WRITE,
    openapi_extra=takes(QuestionBody),
)
async def ask_question(
    request: Request, visit: Visitor, received: Annotated[Received[QuestionBody], Depends(body_of(QuestionBody))]
) -> Response:
    """Ask something about the order; a person answers. At most twenty a day."""
    call = _call(request, visit)
    claim = claim_of(call, received.raw)
    name = claim.request_id.hex() if claim is not None else visit.context.random_id()

    async def work(session: AsyncSession) -> Answer:
        await _tracked(session, visit)
        if await stored_page.questions_since(session, visit.order_id, _DAY) >= MOST_QUESTIONS:
            raise Refused("that were many questions for one day; please call us", code="too_many_questions")
        question_id, now = f"note_{name[:20]}", visit.context.now()
        await stored_page.ask_question(session, visit.order_id, question_id, received.value.text, at=now)
        return answer({"question_id": question_id, "at": now}, status=201)

    return (await once(call, received.raw, work)).response()


@router.post(
    "/v1/track/{token}/rating",
    status_code=201,
    response_model=RatingView,
    responses=_WRITE,
    openapi_extra=takes(RatingBody),
)
async def rate_delivery(
    request: Request, visit: Visitor, received: Annotated[Received[RatingBody], Depends(body_of(RatingBody))]
) -> Response:
    """Say how the delivery was, once, after something was delivered; else 409 ``already_rated``, ``not_delivered``."""

    async def work(session: AsyncSession) -> Answer:
        tracked = await _tracked(session, visit)
        if not may_rate(tracked.stored.order):
            raise Conflict("nothing was delivered yet", code="not_delivered")
        rating = received.value
        if not await stored_page.rate_delivery(
            session, visit.order_id, rating.score, rating.text, at=visit.context.now()
        ):
            raise Conflict("this delivery was rated already", code="already_rated")
        return answer({"score": rating.score}, status=201)

    return (await once(_call(request, visit), received.raw, work)).response()


def _call(request: Request, visit: Visit) -> Call:
    """The visit as a call that can be done once: its key is the order's own, and opens nothing else."""
    key = Key(key_id=f"track:{visit.order_id}", name=stored_page.ACTOR, scopes=frozenset(), sources=frozenset())
    return Call(
        request=request,
        context=visit.context,
        key=key,
        actor_kind=ActorKind.CUSTOMER,
        actor_id=stored_page.ACTOR,
    )
