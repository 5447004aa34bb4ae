"""Where every unit of an order is: portions that can be moved but never made or lost; no money, no clock."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.vocabulary import Bucket


class Stage(StrEnum):
    """A bucket, with ``at_warehouse`` told apart by whether the unit is picked."""

    OPEN = "open"
    BACKORDERED = "backordered"
    RESERVED = "reserved"
    RELEASED = "released"
    PICKED = "picked"
    PACKED = "packed"
    IN_TRANSIT = "in_transit"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    LOST = "lost"
    SENDING_BACK = "sending_back"
    SENT_BACK = "sent_back"
    RETURNING = "returning"
    RETURNED = "returned"

    @property
    def bucket(self) -> Bucket:
        """The bucket that the order view shows for this stage."""
        return Bucket.AT_WAREHOUSE if self in AT_WAREHOUSE else Bucket(self.value)


ANYWHERE = frozenset(Stage)
AT_WAREHOUSE = frozenset({Stage.RELEASED, Stage.PICKED})
NOT_LEFT = frozenset({Stage.RESERVED, Stage.RELEASED, Stage.PICKED, Stage.PACKED})
WAITING = frozenset({Stage.OPEN, Stage.BACKORDERED}) | NOT_LEFT
ENDED = frozenset({Stage.DELIVERED, Stage.CANCELLED, Stage.LOST, Stage.SENT_BACK, Stage.RETURNING, Stage.RETURNED})
NOT_LIVE = frozenset({Stage.CANCELLED, Stage.LOST, Stage.SENT_BACK})
LEFT = frozenset(
    {
        Stage.IN_TRANSIT,
        Stage.DELIVERED,
        Stage.LOST,
        Stage.SENDING_BACK,
        Stage.SENT_BACK,
        Stage.RETURNING,
        Stage.RETURNED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """*quantity* units of one line that are in the same place."""

    line_id: str
    stage: Stage
    quantity: int
    fulfillment_id: str | None = None
    parcel_id: str | None = None


Portions = tuple[Portion, ...]


def count(
    portions: Portions,
    stages: Iterable[Stage] | None = None,
    *,
    line_id: str | None = None,
    fulfillment_id: str | None = None,
    parcel_id: str | None = None,
) -> int:
    """How many units match every condition given."""
    wanted = None if stages is None else frozenset(stages)
    return sum(
        portion.quantity
        for portion in portions
        if (wanted is None or portion.stage in wanted)
        and (line_id is None or portion.line_id == line_id)
        and (fulfillment_id is None or portion.fulfillment_id == fulfillment_id)
        and (parcel_id is None or portion.parcel_id == parcel_id)
    )


def by_line(
    portions: Portions,
    stages: Iterable[Stage],
    *,
    fulfillment_id: str | None = None,
    parcel_id: str | None = None,
) -> dict[str, int]:
    """Line id -> units that match, in the lines' order; lines with none are left out."""
    wanted = frozenset(stages)
    found: dict[str, int] = {}
    for portion in portions:
        if (
            portion.stage in wanted
            and (fulfillment_id is None or portion.fulfillment_id == fulfillment_id)
            and (parcel_id is None or portion.parcel_id == parcel_id)
        ):
            found[portion.line_id] = found.get(portion.line_id, 0) + portion.quantity
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where units come from or go to."""

    stage: Stage
    fulfillment_id: str | None = None
    parcel_id: str | None = None


def move(portions: Portions, quantities: Mapping[str, int], source: Place, target: Place) -> Portions:
    """*portions* with *quantities* (line id -> units) moved from *source* to *target*; the sum per line stays.

    Raises:
        ValueError: a line has fewer units at *source*, or a quantity is negative.
    """
    left = {line_id: quantity for line_id, quantity in quantities.items() if quantity}
    if any(quantity < 0 for quantity in left.values()):
        raise ValueError("a quantity is negative")
    moved = dict(left)
    result: list[Portion] = []
    for portion in portions:
        take = min(portion.quantity, left.get(portion.line_id, 0)) if _stands_at(portion, source) else 0
        if take:
            left[portion.line_id] -= take
        if portion.quantity > take:
            result.append(_with(portion, portion.quantity - take))
    if any(left.values()):
        short = {line_id: quantity for line_id, quantity in left.items() if quantity}
        raise ValueError(f"not at {source}: {short}")
    return _merge(
        result,
        [
            Portion(
                line_id=line_id,
                stage=target.stage,
                quantity=quantity,
                fulfillment_id=target.fulfillment_id,
                parcel_id=target.parcel_id,
            )
            for line_id, quantity in moved.items()
        ],
    )


def _stands_at(portion: Portion, place: Place) -> bool:
    return (
        portion.stage is place.stage
        and portion.fulfillment_id == place.fulfillment_id
        and portion.parcel_id == place.parcel_id
    )


def _with(portion: Portion, quantity: int) -> Portion:
    return Portion(
        line_id=portion.line_id,
        stage=portion.stage,
        quantity=quantity,
        fulfillment_id=portion.fulfillment_id,
        parcel_id=portion.parcel_id,
    )


def _merge(portions: list[Portion], additions: list[Portion]) -> Portions:
    """Both, one portion per place and line, lines together in their first order."""
    sums: dict[str, dict[tuple[Stage, str | None, str | None], int]] = {}
    for portion in [*portions, *additions]:
        places = sums.setdefault(portion.line_id, {})
        place = (portion.stage, portion.fulfillment_id, portion.parcel_id)
        places[place] = places.get(place, 0) + portion.quantity
    return tuple(
        Portion(line_id=line_id, stage=stage, quantity=quantity, fulfillment_id=fulfillment_id, parcel_id=parcel_id)
        for line_id, places in sums.items()
        for (stage, fulfillment_id, parcel_id), quantity in places.items()
    )
