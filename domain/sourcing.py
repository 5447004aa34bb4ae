"""Which location serves which quantity: fewest fulfillments, then distance, then priority; no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations
from math import asin, cos, radians, sin, sqrt

from domain import names
from domain.commands import LineUnits
from domain.inventory import StockLevel
from domain.messages import Allocation, Candidate, Decision, PlannedFulfillment, StockReserved, StockShort
from domain.steps import ReserveStock, WantedLine

EARTH_RADIUS_KM = 6371.0
MOST_EXPLAINED = 10
MOST_COMBINED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A location as sourcing sees it; a higher *priority* is preferred at the same distance."""

    location_id: str
    latitude: float
    longitude: float
    priority: int = 0


def distance_km(site: Site, destination: tuple[float, float] | None) -> float:
    """Great-circle kilometres (haversine formula) from *site* to *destination*; 0 when that is unknown."""
    if destination is None:
        return 0.0
    latitude, longitude = radians(destination[0]), radians(destination[1])
    half_north = (latitude - radians(site.latitude)) / 2
    half_east = (longitude - radians(site.longitude)) / 2
    chord = sin(half_north) ** 2 + cos(radians(site.latitude)) * cos(latitude) * sin(half_east) ** 2
    return 2 * EARTH_RADIUS_KM * asin(sqrt(min(1.0, chord)))


def decide_reservation(
    request: ReserveStock,
    *,
    stock: Sequence[StockLevel],
    sites: Sequence[Site],
    destination: tuple[float, float] | None,
    now: datetime,
    queued: Mapping[str, int] | None = None,
) -> StockReserved | StockShort:
    """Serve every line or none, from as few locations as can; with ``allow_backorder`` what falls short waits its turn.

    What others wait for already (*queued*, units by sku) is theirs: a new order never overtakes the queue.

    Of the smallest sets of locations that hold everything, the one with the least distance wins, then the one with the
    highest priority, then the first by name. Within a set the nearer location serves as much as it can.
    """
    sites = [site for site in sites if site.location_id not in request.not_at]
    ranked = sorted(sites, key=lambda site: (distance_km(site, destination), -site.priority, site.location_id))
    locations = {site.location_id for site in sites}
    available = {
        (level.location_id, level.sku): max(0, level.available) for level in stock if level.location_id in locations
    }
    _set_aside(available, queued or {}, ranked)
    partly = request.allow_backorder or request.instead_of is not None
    request, lacking = _what_is_there(request, available) if partly else (request, ())
    wanted: dict[str, int] = {}
    for line in request.lines:
        wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
    missing = _missing(wanted, available, [site.location_id for site in ranked])
    sets, refused = (
        ([()], [])
        if not wanted
        else ([], [])
        if missing
        else _smallest_sets(ranked, wanted, available, most=len(ranked) if request.allow_split or lacking else 1)
    )
    scored = sorted(
        (
            (sum(distance_km(site, destination) for site in chosen), -sum(site.priority for site in chosen), chosen)
            for chosen in sets
        ),
        key=lambda score: (score[0], score[1], [site.location_id for site in score[2]]),
    )
    decision = Decision(
        kind="sourcing",
        subject=request.order_id,
        at=now,
        chosen=(_label(scored[0][2]) or None) if scored else None,
        candidates=(
            *(
                Candidate(
                    choice=_label(chosen),
                    scores=(
                        ("fulfillments", float(len(chosen))),
                        ("distance_km", round(distance, 1)),
                        ("priority", float(-minus_priority)),
                    ),
                )
                for distance, minus_priority, chosen in scored[:MOST_EXPLAINED]
                if chosen
            ),
            *refused[:MOST_EXPLAINED],
        ),
    )
    if not scored:
        short = missing or {
            sku: quantity for sku, quantity in wanted.items() if not _one_holds(sku, quantity, available)
        }
        return StockShort(step_key=request.key, missing=tuple(sorted(short.items())), decision=decision)
    return StockReserved(
        step_key=request.key,
        fulfillments=_plan(request, scored[0][2], available),
        decision=decision,
        backordered=lacking if request.allow_backorder else (),
        short=() if request.allow_backorder else lacking,
    )


def _set_aside(available: dict[tuple[str, str], int], queued: Mapping[str, int], ranked: Sequence[Site]) -> None:
    """Take what others wait for off *available*, the farthest location first."""
    for sku, count in queued.items():
        left = count
        for site in reversed(ranked):
            place = (site.location_id, sku)
            taken = min(left, available.get(place, 0))
            if taken:
                available[place] -= taken
                left -= taken


def _what_is_there(
    request: ReserveStock, available: Mapping[tuple[str, str], int]
) -> tuple[ReserveStock, tuple[LineUnits, ...]]:
    """The request for what all locations together have, and what of it must wait."""
    left: dict[str, int] = {}
    for (_, sku), count in available.items():
        left[sku] = left.get(sku, 0) + count
    lines: list[WantedLine] = []
    waiting: list[LineUnits] = []
    for line in request.lines:
        there = min(line.quantity, left.get(line.sku, 0))
        left[line.sku] = left.get(line.sku, 0) - there
        if there:
            lines.append(replace(line, quantity=there))
        if line.quantity > there:
            waiting.append(LineUnits(line_id=line.line_id, quantity=line.quantity - there))
    return replace(request, lines=tuple(lines)), tuple(waiting)


def _one_holds(sku: str, quantity: int, available: Mapping[tuple[str, str], int]) -> bool:
    return any(units >= quantity for (_, held), units in available.items() if held == sku)


def _label(sites: Sequence[Site]) -> str:
    return "+".join(site.location_id for site in sites)


def _missing(
    wanted: Mapping[str, int], available: Mapping[tuple[str, str], int], locations: Sequence[str]
) -> dict[str, int]:
    """Sku -> units that no location has; skus that are there in full are left out."""
    short = {
        sku: quantity - sum(available.get((location, sku), 0) for location in locations)
        for sku, quantity in wanted.items()
    }
    return {sku: quantity for sku, quantity in short.items() if quantity > 0}


def _smallest_sets(
    ranked: Sequence[Site], wanted: Mapping[str, int], available: Mapping[tuple[str, str], int], *, most: int
) -> tuple[list[tuple[Site, ...]], list[Candidate]]:
    """The sets of fewest locations that together hold *wanted*, and the single locations that do not, with the reason."""
    refused = [
        Candidate(choice=site.location_id, refused=f"short of {len(short)} skus")
        for site in ranked
        if (short := _missing(wanted, available, [site.location_id]))
    ]
    useful = [site for site in ranked if any(available.get((site.location_id, sku)) for sku in wanted)]
    for size in range(1, most + 1):
        # Beyond ten useful locations the sets of three and more are too many to try: the nearest ones are taken together.
        tried = combinations(useful, size) if size <= 2 or len(useful) <= MOST_COMBINED else [tuple(useful[:size])]
        sets = [chosen for chosen in tried if not _missing(wanted, available, [site.location_id for site in chosen])]
        if sets:
            return sets, refused
    return [], refused


def _plan(
    request: ReserveStock, chosen: Sequence[Site], available: Mapping[tuple[str, str], int]
) -> tuple[PlannedFulfillment, ...]:
    left = dict(available)
    place = {line.line_id: line.first_unit for line in request.lines}
    needed = {line.line_id: line.quantity for line in request.lines}
    planned: list[PlannedFulfillment] = []
    for site in chosen:
        allocations = tuple(
            allocation
            for line in request.lines
            if (allocation := _allocate(line, site.location_id, left, needed, place)) is not None
        )
        if allocations:
            number = request.first_fulfillment + len(planned)
            planned.append(
                PlannedFulfillment(
                    fulfillment_id=names.fulfillment_id(request.order_id, number),
                    location_id=site.location_id,
                    allocations=allocations,
                )
            )
    return tuple(planned)


def _allocate(
    line: WantedLine,
    location_id: str,
    left: dict[tuple[str, str], int],
    needed: dict[str, int],
    place: dict[str, int],
) -> Allocation | None:
    take = min(needed[line.line_id], left.get((location_id, line.sku), 0))
    if take == 0:
        return None
    allocation = Allocation(line_id=line.line_id, sku=line.sku, quantity=take, first_unit=place[line.line_id])
    left[(location_id, line.sku)] -= take
    needed[line.line_id] -= take
    place[line.line_id] += take
    return allocation
