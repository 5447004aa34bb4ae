"""What an order's customer was written to about, as staff sees it: never what was written, nor to which address."""

from datetime import datetime

from typing_extensions import TypedDict

from domain.notices import Language, NoticeChannel, NoticeKind, NoticeState


class NoticeView(TypedDict):
    """One notice; *sequence* is the event that called for it."""

    notice_id: str
    kind: NoticeKind
    channel: NoticeChannel
    locale: Language
    state: NoticeState
    sequence: int
    attempts: int
    last_error: str | None
    created_at: datetime
    settled_at: datetime | None
