"""The order's one write: everything a move means for our own rows, in one transaction."""

from datetime import datetime
from typing import Any

from temporalio import activity

from activities.results import snapshot
from contracts import names
from contracts.orders import Move
from db import projection
from db.session import Sessions
from domain.orders import Order, closed, fulfillment_state, order_state, parcel_state
from domain.priority import priority
from domain.waits import waits


class OrderActivities:
    """Writes moves."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def write_move(self, move: Move) -> None:
        """Write *move*. Idempotent on its version and causes; one that was overtaken by a later write does nothing.

        Raises:
            LookupError: the order has no row.
        """
        order = move.order
        now = order.recent[-1][0] if order.recent else order.received_at
        async with self._sessions.begin() as session:
            standing = await projection.lock_order(session, order.order_id)
            if standing is None:
                raise LookupError(f"no row for {order.order_id}")
            if standing.version > order.version:
                return
            await projection.undo_steps(session, order.order_id, move.undone, at=now)
            await projection.apply_stock(session, order.order_id, move.stock, at=now)
            last = await projection.add_events(
                session,
                order.order_id,
                move.events,
                after=standing.last_sequence,
            )
            changed = set(move.changed)
            await projection.store_fulfillments(session, _fulfillment_rows(order, changed, now))
            await projection.store_parcels(session, _parcel_rows(order, changed))
            if move.numbered:
                matches = [
                    names.tracking_match(parcel.carrier or "", parcel.tracking_number or "")
                    for parcel in order.parcels
                    if parcel.parcel_id in move.numbered
                ]
                await projection.match_early_facts(session, order.order_id, matches)
            values = order_values(order, now) | {"last_sequence": last}
            await projection.store_order(session, order.order_id, values, wake=move.notable)


def order_values(order: Order, now: datetime) -> dict[str, Any]:
    """The columns of the order's row that follow from its value."""
    waiting = next(iter(waits(order)), None)
    return {
        "state": order_state(order).value,
        "priority": priority(order, now).value,
        "owner": waiting.owner.value if waiting else None,
        "next_step": waiting.next_step if waiting else None,
        "due_at": waiting.due_at if waiting else None,
        "attention": sorted({case.code for case in order.attention}),
        "location_ids": sorted({fulfillment.location_id for fulfillment in order.fulfillments}),
        "snapshot": snapshot(order),
        "version": order.version,
        "changed_at": now,
        "closed_at": now if closed(order) else None,
    }


def _fulfillment_rows(order: Order, changed: set[str], now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "fulfillment_id": fulfillment.fulfillment_id,
            "order_id": order.order_id,
            "location_id": fulfillment.location_id,
            "state": fulfillment_state(order, fulfillment).value,
            "priority": priority(order, now).value,
            "ship_by": order.ship_by,
            "released_at": fulfillment.released_at,
        }
        for fulfillment in order.fulfillments
        if fulfillment.fulfillment_id in changed
    ]


def _parcel_rows(order: Order, changed: set[str]) -> list[dict[str, Any]]:
    return [
        {
            "parcel_id": parcel.parcel_id,
            "order_id": order.order_id,
            "fulfillment_id": parcel.fulfillment_id,
            "carrier": parcel.carrier,
            "tracking_number": parcel.tracking_number,
            "state": parcel_state(order, parcel).value,
            "tracking_status": parcel.tracking_status.value,
        }
        for parcel in order.parcels
        if parcel.parcel_id in changed
    ]
