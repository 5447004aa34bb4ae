"""How urgent an order is, 0 to 9, each term shown; no clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.orders import Order
from domain.vocabulary import ServiceLevel

HIGHEST = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Priority:
    """The sum of *terms*, at most 9."""

    value: int
    terms: tuple[tuple[str, int], ...]


def priority(order: Order, now: datetime) -> Priority:
    """The priority of *order* at *now*, 9 first.

    Express counts 3; time left to ship counts 4 when late, 3 within 2 hours, 2 within 8, 1 within a day; a share of
    fast-moving units of a half or more counts 2, of any 1.
    """
    units = sum(line.quantity for line in order.lines)
    fast = sum(line.quantity for line in order.lines if line.fast_moving)
    terms = (
        ("service_level", 3 if order.service_level is ServiceLevel.EXPRESS else 0),
        ("time_left", _time_left(order.ship_by - now)),
        ("fast_moving", 0 if not fast else 2 if fast * 2 >= units else 1),
    )
    return Priority(value=min(HIGHEST, sum(term for _, term in terms)), terms=terms)


def _time_left(left: timedelta) -> int:
    limits = ((timedelta(0), 4), (timedelta(hours=2), 3), (timedelta(hours=8), 2), (timedelta(hours=24), 1))
    return next((score for limit, score in limits if left <= limit), 0)
