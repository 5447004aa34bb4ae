"""Opening a stream for a caller: with the limits of this installation, and for as long as the caller's key is good."""

from api.security import Call, still_good
from api.streams.response import EventStream
from api.streams.sources import Source


def open_stream(call: Call, source: Source) -> EventStream:
    """*source* as a response to *call*.

    Raises:
        Refused: (busy) too many streams are open.
    """
    context = call.context
    context.streams.admit()
    return EventStream(
        context.streams,
        source,
        allowed=lambda: still_good(call),
        comment_every=context.settings.stream_comment_seconds,
        patience=context.settings.stream_patience_seconds,
    )
