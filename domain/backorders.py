"""Units that wait for stock in the order of their promise: queued, served, promised anew; no I/O."""

from dataclasses import replace
from datetime import datetime

from domain import units
from domain.change import Change
from domain.messages import Allocation, StockServed
from domain.orders import Fulfillment
from domain.payments import next_unit, plan_authorizations
from domain.requests import counted
from domain.steps import reserve_key
from domain.units import Place, Stage
from domain.vocabulary import EventKind, ServiceLevel


def queue(change: Change, lines: dict[str, int]) -> None:
    """Open units (line id -> units) wait for stock from now on; the customer is promised a later day."""
    change.order = replace(
        change.order,
        portions=units.move(change.order.portions, lines, Place(stage=Stage.OPEN), Place(stage=Stage.BACKORDERED)),
    )
    change.tell(
        EventKind.STOCK_BACKORDERED,
        lines=[{"line_id": line_id, "quantity": count} for line_id, count in lines.items()],
    )
    _promise(change, change.order.received_at + change.order.policy.rules.backorder_within, "backordered")


def served(change: Change, fact: StockServed) -> bool:
    """Units at the head of the queue are promised at a location, as a fulfillment of their own.

    Units that were cancelled meanwhile are left out: whoever cancelled them gave them back, as whoever gave up the attempt
    that had queued them did. False, and parked, while we do not know yet that they were queued: a lost workflow task
    forgets that.
    """
    order = change.order
    waiting = units.by_line(order.portions, {Stage.BACKORDERED})
    if any(f.fulfillment_id == fact.fulfillment_id for f in order.fulfillments):
        return True
    if fact.queued_by not in {None, reserve_key(order)}:
        return True
    if any(portion.stage is Stage.OPEN and portion.fulfillment_id is None for portion in order.portions):
        return False
    lines = {line_id: min(count, waiting.get(line_id, 0)) for line_id, count in counted(fact.lines).items()}
    lines = {line_id: count for line_id, count in lines.items() if count}
    if not lines:
        return True
    fulfillment = Fulfillment(
        fulfillment_id=fact.fulfillment_id,
        location_id=fact.location_id,
        allocations=tuple(
            Allocation(
                line_id=line_id,
                sku=order.line(line_id).sku,
                quantity=count,
                first_unit=next_unit(order, line_id),
            )
            for line_id, count in lines.items()
        ),
    )
    place = Place(stage=Stage.RESERVED, fulfillment_id=fact.fulfillment_id)
    change.order = replace(
        order,
        portions=units.move(order.portions, lines, Place(stage=Stage.BACKORDERED), place),
        fulfillments=(*order.fulfillments, fulfillment),
    )
    change.order = replace(change.order, authorizations=plan_authorizations(change.order, now=change.now))
    change.tell(
        EventKind.STOCK_RESERVED,
        fulfillments=[{"fulfillment_id": fact.fulfillment_id, "location_id": fact.location_id}],
    )
    if not units.count(change.order.portions, {Stage.BACKORDERED}):
        _promise(change, change.now, "restocked")
    return True


def _promise(change: Change, at: datetime, because: str) -> None:
    """What is there *at* that time ships and arrives within the policy's time; the first promise is remembered."""
    order, rules = change.order, change.order.policy.rules
    express = order.service_level is ServiceLevel.EXPRESS
    ship_by = at + (rules.express_ship_within if express else rules.standard_ship_within)
    deliver_by = at + (rules.express_deliver_within if express else rules.standard_deliver_within)
    if (ship_by, deliver_by) == (order.ship_by, order.deliver_by):
        return
    change.order = replace(
        order, ship_by=ship_by, deliver_by=deliver_by, first_deliver_by=order.first_deliver_by or order.deliver_by
    )
    change.tell(
        EventKind.ORDER_PROMISE_CHANGED,
        ship_by=ship_by.isoformat(),
        deliver_by=deliver_by.isoformat(),
        because=because,
    )
