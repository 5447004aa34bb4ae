"""Promising stock: loads what is there, decides, stores; no call to the outside."""

from datetime import UTC, datetime

from temporalio import activity

from activities.results import keep, kept
from db import backorders, inventory, reservations
from db.backorders import Waiting
from db.session import Sessions
from domain.messages import Candidate, Decision, StockReserved, StockShort
from domain.sourcing import decide_reservation
from domain.steps import ReserveStock


class InventoryActivities:
    """Promises stock to orders."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def reserve_stock(self, request: ReserveStock) -> StockReserved | StockShort:
        """Promise every line or none, or a place in the queue; falling short is a result. Idempotent on ``request.key``.

        A reservation that was given up while this hung finds its tombstone and promises nothing.
        """
        now = datetime.now(UTC)
        async with self._sessions.begin() as session:
            mark = await reservations.claim(session, request.key)
            if mark is not None:
                return _as_before(request, mark.undone, mark.result, now)
            stock = await inventory.lock_stock(session, [line.sku for line in request.lines])
            decision = decide_reservation(
                request,
                stock=stock,
                sites=await reservations.sites(session),
                destination=await reservations.destination(session, request.order_id, request.contact_revision),
                now=now,
                queued=await backorders.queued(session, [line.sku for line in request.lines]),
            )
            if isinstance(decision, StockReserved):
                await reservations.promise(session, request.order_id, request.key, decision, at=now)
                skus = {line.line_id: line.sku for line in request.lines}
                waiting = [
                    Waiting(line_id=line.line_id, sku=skus[line.line_id], quantity=line.quantity)
                    for line in decision.backordered
                ]
                await backorders.join(
                    session,
                    request.order_id,
                    waiting,
                    priority=request.priority,
                    received_at=request.received_at or now,
                    queued_by=request.key,
                )
            await reservations.keep_result(session, request.key, keep(decision))
            return decision


def _as_before(
    request: ReserveStock, undone: bool, result: dict[str, object] | None, now: datetime
) -> StockReserved | StockShort:
    if result is not None and not undone:
        before: StockReserved | StockShort = kept(result)
        return before
    given_up = Decision(
        kind="sourcing",
        subject=request.order_id,
        at=now,
        chosen=None,
        candidates=(Candidate(choice="none", refused="the order had given up"),),
    )
    return StockShort(step_key=request.key, missing=(), decision=given_up)
