"""Server-sent events as bytes, and what a reader says of itself: what it accepts, what it has seen."""

import re
from collections.abc import Mapping
from typing import Any

from api.answers import to_json
from domain.errors import Invalid

MEDIA_TYPE = "text/event-stream"
COMMENT = b": still here\n\n"
RESUME_PATTERN = r"^[0-9]{1,18}$"

_NUMBER = re.compile(RESUME_PATTERN, re.ASCII)
_REFUSED = re.compile(r"q\s*=\s*0(\.0*)?\s*$")


def message(*, kind: str, place: int, data: Mapping[str, Any]) -> bytes:
    """One event: its kind, its place as id, and *data* as JSON, which has no line breaks."""
    return b"event: %b\nid: %d\ndata: %b\n\n" % (kind.encode(), place, to_json(data))


def wants_stream(accept: str | None) -> bool:
    """Whether an ``Accept`` header names server-sent events; ``*/*`` does not."""
    for entry in (accept or "").split(","):
        kind, _, parameters = entry.partition(";")
        if kind.strip().lower() == MEDIA_TYPE:
            return not _REFUSED.search(parameters)
    return False


def resume_after(value: str | None) -> int | None:
    """The place that a ``Last-Event-ID`` header names; None without one.

    Raises:
        Invalid: it is no place.
    """
    if value is None:
        return None
    if not _NUMBER.fullmatch(value):
        raise Invalid([("Last-Event-ID", "pattern: the id of an event, a whole number")])
    return int(value)


def beyond_the_end(last: int) -> Invalid:
    """The refusal of a place where nothing has happened yet: waiting there would skip what comes before it."""
    return Invalid([("Last-Event-ID", f"beyond_the_end: the last event is {last}")])
