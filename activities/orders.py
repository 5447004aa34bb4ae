"""The order's one write: everything a move means for our own rows, in one transaction."""

from temporalio import activity
from temporalio.common import RawValue

from contracts import names
from contracts.orders import Move
from db import projection
from db.session import Sessions, autocommit


class OrderActivities:
    """Writes moves."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._single = autocommit(sessions)

    @activity.defn
    async def write_move(self, move: Move, order: RawValue) -> None:
        """Write *move*, and *order*, its value after it, as it travelled. Idempotent on version and causes.

        A write that was overtaken by a later one does nothing.

        Raises:
            LookupError: the order has no row.
        """
        if not (move.stock or move.undone or move.unqueued or move.numbered):
            async with self._single() as session:
                await projection.write(session, move, snapshot=order.payload.data)
            return
        async with self._sessions.begin() as session:
            # Under the row's lock, so that a move that was overtaken books nothing.
            standing = await projection.lock_order(session, move.order_id)
            if standing is not None and standing.version > move.version:
                return
            await projection.undo_steps(session, move.order_id, move.undone, at=move.at)
            await projection.leave_queue(session, move.order_id, move.unqueued, at=move.at)
            await projection.apply_stock(session, move.order_id, move.stock, at=move.at)
            await projection.write(session, move, snapshot=order.payload.data)
            if move.numbered:
                matches = [names.tracking_match(carrier, number) for carrier, number in move.numbered]
                await projection.match_early_facts(session, move.order_id, matches)
