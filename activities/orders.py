"""The order's one write: everything a move means for our own rows, in one transaction."""

from dataclasses import asdict
from typing import Any

from temporalio import activity
from temporalio.common import RawValue

from contracts import names
from contracts.orders import Move
from db import projection
from db.session import Sessions


class OrderActivities:
    """Writes moves."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def write_move(self, move: Move, order: RawValue) -> None:
        """Write *move*, and *order*, its value after it, as it travelled. Idempotent on version and causes.

        A write that was overtaken by a later one does nothing.

        Raises:
            LookupError: the order has no row.
        """
        async with self._sessions.begin() as session:
            standing = await projection.lock_order(session, move.order_id)
            if standing is None:
                raise LookupError(f"no row for {move.order_id}")
            if standing.version > move.version:
                return
            await projection.undo_steps(session, move.order_id, move.undone, at=move.at)
            await projection.apply_stock(session, move.order_id, move.stock, at=move.at)
            last = await projection.add_events(session, move.order_id, move.events, after=standing.last_sequence)
            of_order = {"order_id": move.order_id}
            await projection.store_fulfillments(session, [asdict(row) | of_order for row in move.fulfillments])
            await projection.store_parcels(session, [asdict(row) | of_order for row in move.parcels])
            if move.numbered:
                matches = [names.tracking_match(carrier, number) for carrier, number in move.numbered]
                await projection.match_early_facts(session, move.order_id, matches)
            await projection.store_order(
                session,
                move.order_id,
                _columns(move) | {"last_sequence": last},
                snapshot=order.payload.data,
                wake=move.notable,
            )


def _columns(move: Move) -> dict[str, Any]:
    figures = move.figures
    return {
        "state": figures.state,
        "priority": figures.priority,
        "owner": figures.owner,
        "next_step": figures.next_step,
        "due_at": figures.due_at,
        "attention": list(figures.attention),
        "location_ids": list(figures.location_ids),
        "version": move.version,
        "changed_at": move.at,
        "closed_at": move.at if figures.is_closed else None,
    }
