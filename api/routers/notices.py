"""What customers are written to about, over HTTP: so that staff sees what was sent, waits, or was given up."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from api.answers import json_response
from api.openapi import READ_ONE, Page
from api.routers.orders import see_order
from api.schemas.fields import PathName
from api.schemas.notices import NoticeView
from api.security import Call, needs
from db import notices
from db.models import Notice
from domain.notices import Language, NoticeChannel, NoticeKind, NoticeState
from domain.vocabulary import Scope

router = APIRouter(tags=["notices"])

Staff = Annotated[Call, Depends(needs(Scope.SUPPORT, Scope.OPERATIONS))]


@router.get("/v1/orders/{order_id}/notices", response_model=Page[NoticeView], responses=READ_ONE)
async def list_notices(call: Staff, order_id: PathName) -> Response:
    """The order's notices, all of them, in the order of the events that called for them."""
    async with call.context.sessions() as session:
        await see_order(session, call, order_id)
        found = await notices.of_order(session, order_id)
    return json_response({"items": [_view(notice) for notice in found], "next_cursor": None})


def _view(notice: Notice) -> NoticeView:
    return {
        "notice_id": notice.notice_id,
        "kind": NoticeKind(notice.kind),
        "channel": NoticeChannel(notice.channel),
        "locale": Language(notice.locale),
        "state": NoticeState(notice.state),
        "sequence": notice.sequence,
        "attempts": notice.attempts,
        "last_error": notice.last_error,
        "created_at": notice.created_at,
        "settled_at": notice.settled_at,
    }
