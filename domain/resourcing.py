"""Units that a location could not serve, or whose money was refused: served by others, or cancelled; no I/O."""

from collections.abc import Mapping
from dataclasses import replace

from domain import units
from domain.cancelling import tell_cancelled
from domain.change import Change
from domain.ending import GIVE_BACK
from domain.messages import Allocation, PlannedFulfillment
from domain.payments import with_fulfillment
from domain.units import Place, Stage
from domain.vocabulary import CancelReason, EventKind


def take_over(
    change: Change, instead_of: str, planned: tuple[PlannedFulfillment, ...]
) -> dict[str, tuple[Allocation, ...]]:
    """The allocations of *planned* (by fulfillment), cut off the end of what *instead_of* was to serve.

    So every unit keeps its place in its line, and with it its share of the price.
    """
    parent = change.order.fulfillment(instead_of)
    moved: dict[str, int] = {}
    for plan in planned:
        for allocation in plan.allocations:
            moved[allocation.line_id] = moved.get(allocation.line_id, 0) + allocation.quantity
    kept: list[Allocation] = []
    place: dict[str, int] = {}
    for allocation in parent.allocations:
        left = allocation.quantity - moved.get(allocation.line_id, 0)
        place[allocation.line_id] = allocation.first_unit + left
        kept.append(replace(allocation, quantity=left))
    change.order = with_fulfillment(change.order, replace(parent, allocations=tuple(kept)))
    found: dict[str, tuple[Allocation, ...]] = {}
    for plan in planned:
        mine: list[Allocation] = []
        for allocation in plan.allocations:
            mine.append(replace(allocation, first_unit=place[allocation.line_id]))
            place[allocation.line_id] += allocation.quantity
        found[plan.fulfillment_id] = tuple(mine)
    return found


def drop_short(change: Change, instead_of: str, short: Mapping[str, int]) -> None:
    """Units that no other location has are cancelled; the rest of the order goes on."""
    place = Place(stage=Stage.OPEN, fulfillment_id=instead_of)
    change.order = replace(
        change.order,
        portions=units.move(change.order.portions, short, place, replace(place, stage=Stage.CANCELLED)),
    )
    tell_cancelled(change, CancelReason.INVENTORY, short)


def drop_declined(change: Change, fulfillment_id: str) -> None:
    """The money for one fulfillment is refused while others are on their way: its units are cancelled and given back."""
    place = Place(stage=Stage.RESERVED, fulfillment_id=fulfillment_id)
    promised = units.by_line(change.order.portions, {Stage.RESERVED}, fulfillment_id=fulfillment_id)
    change.order = replace(
        change.order,
        portions=units.move(change.order.portions, promised, place, replace(place, stage=Stage.CANCELLED)),
    )
    change.move_stock(fulfillment_id, GIVE_BACK, promised)
    change.tell(EventKind.STOCK_UNRESERVED, fulfillment_id=fulfillment_id, reason="payment_declined")
    tell_cancelled(change, CancelReason.DECLINED, promised)
