"""What each carrier serves, for how much and how fast: tables, and the arithmetic over them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Zone = Literal["domestic", "europe", "world"]
CURRENCY = "GBP"
SATURDAY = 5
EUROPE = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GB GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()  # noqa: SIM905
)
TIME_ZONES: Mapping[str, str] = {
    "GB": "Europe/London",
    "IE": "Europe/Dublin",
    "PT": "Europe/Lisbon",
    "FR": "Europe/Paris",
    "DE": "Europe/Berlin",
    "NL": "Europe/Amsterdam",
    "ES": "Europe/Madrid",
    "IT": "Europe/Rome",
    "US": "America/New_York",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Transit in working days, and a price for the first kilogram and each further one, by zone."""

    name: str
    transit_days: Mapping[Zone, int]
    first_kilogram_minor: Mapping[Zone, int]
    further_kilogram_minor: Mapping[Zone, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """One carrier; a parcel handed in after *cut_off*, local time of its origin, leaves the next working day."""

    name: str
    cut_off: time
    max_weight_g: int
    prefix: str
    services: tuple[Service, ...]


TARIFFS: Mapping[str, Tariff] = {
    "swift": Tariff(
        name="swift",
        cut_off=time(17),
        max_weight_g=20_000,
        prefix="SW",
        services=(
            Service(
                name="standard",
                transit_days={"domestic": 1, "europe": 3},
                first_kilogram_minor={"domestic": 790, "europe": 1690},
                further_kilogram_minor={"domestic": 60, "europe": 190},
            ),
            Service(
                name="express",
                transit_days={"domestic": 1, "europe": 2},
                first_kilogram_minor={"domestic": 1090, "europe": 2390},
                further_kilogram_minor={"domestic": 80, "europe": 240},
            ),
        ),
    ),
    "parcelway": Tariff(
        name="parcelway",
        cut_off=time(15),
        max_weight_g=30_000,
        prefix="PW",
        services=(
            Service(
                name="standard",
                transit_days={"domestic": 3, "europe": 5, "world": 9},
                first_kilogram_minor={"domestic": 390, "europe": 990, "world": 2490},
                further_kilogram_minor={"domestic": 25, "europe": 95, "world": 690},
            ),
        ),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One service for one parcel."""

    service: str
    price_minor: int
    transit_days: int
    estimated_on: date


def zone_of(origin: str, destination: str) -> Zone:
    """Where *destination* lies, seen from *origin*."""
    if origin == destination:
        return "domestic"
    return "europe" if {origin, destination} <= EUROPE else "world"


def offers(tariff: Tariff, *, origin: str, destination: str, weight_g: int, ship_at: datetime) -> list[Offer]:
    """Every service of *tariff* that takes the parcel; empty beyond its zones or its weight."""
    if weight_g > tariff.max_weight_g:
        return []
    zone = zone_of(origin, destination)
    leaves = _leaves_on(ship_at.astimezone(ZoneInfo(TIME_ZONES.get(origin, "UTC"))), tariff.cut_off)
    further = max(0, -(-weight_g // 1000) - 1)
    return [
        Offer(
            service=service.name,
            price_minor=service.first_kilogram_minor[zone] + further * service.further_kilogram_minor[zone],
            transit_days=service.transit_days[zone],
            estimated_on=_after(leaves, service.transit_days[zone]),
        )
        for service in tariff.services
        if zone in service.transit_days
    ]


def _leaves_on(moment: datetime, cut_off: time) -> date:
    day = moment.date()
    return day if day.weekday() < SATURDAY and moment.time() < cut_off else _after(day, 1)


def _after(day: date, working_days: int) -> date:
    for _ in range(working_days):
        day += timedelta(days=1)
        while day.weekday() >= SATURDAY:
            day += timedelta(days=1)
    return day
