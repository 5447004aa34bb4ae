"""An order's events as its customer may follow them: that something happened, and when; never what is ours about it."""

import asyncio
from contextlib import AbstractContextManager

from api.streams.hub import PAGE, Hub
from api.streams.wire import message
from db.reading import orders
from domain.tracking_page import SHOWN


class TrackedSource:
    """One order's events behind sequence *after*, those of ``SHOWN`` kinds."""

    def __init__(self, hub: Hub, order_id: str, *, after: int) -> None:
        self._hub = hub
        self._order_id = order_id
        self._after = after

    def watch(self) -> AbstractContextManager[asyncio.Event]:
        """Set at each announcement of the order."""
        return self._hub.watch_order(self._order_id)

    async def read(self) -> tuple[bytes, bool]:
        """A page of the order's events."""
        async with self._hub.reading, self._hub.sessions() as session:
            found = await orders.list_events(session, self._order_id, limit=PAGE, after=self._after)
        if found:
            self._after = found[-1].sequence
        chunks = [
            message(
                kind=event.kind,
                place=event.sequence,
                data={"sequence": event.sequence, "kind": event.kind, "at": event.at},
            )
            for event in found
            if event.kind in SHOWN
        ]
        return b"".join(chunks), len(found) == PAGE
