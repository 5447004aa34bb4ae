"""How money and days are written for customers, and the templates' environment; which words are said is in the templates."""

from datetime import date, datetime
from decimal import Decimal
from functools import cache
from zoneinfo import ZoneInfo

import jinja2
from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import format_date, format_skeleton, format_time
from babel.numbers import format_currency

from domain.currencies import EXPONENTS
from domain.notices import Language, language_of

# Where a country has several zones, the one in which nearly everybody lives; where there is none such, UTC's day is told.
_MAIN_ZONES = {"CN": "Asia/Shanghai", "DE": "Europe/Berlin", "ES": "Europe/Madrid", "NZ": "Pacific/Auckland"}


@cache
def locale_of(customer: str | None, language: Language) -> Locale:
    """The customer's own locale where it is of *language*, so that figures suit the words; else the language's."""
    if customer is not None and language_of(customer) is language:
        try:
            found = Locale.parse(customer.replace("-", "_"))
        except (ValueError, UnknownLocaleError):
            found = None
        if found is not None and found.language == language.value:
            return found
    return Locale.parse(language.value)


def money(amount_minor: int, currency: str, locale: Locale) -> str:
    """*amount_minor* as people write it there."""
    return format_currency(Decimal(amount_minor).scaleb(-EXPONENTS.get(currency, 2)), currency, locale=locale)


def day(at: datetime, locale: Locale, country: str) -> str:
    """The day of *at* where the parcel goes."""
    return calendar_day(at.astimezone(zone_of(country)).date(), locale)


def calendar_day(on: date, locale: Locale) -> str:
    """The day *on*, written out."""
    return format_date(on, format="long", locale=locale)


def moment(at: datetime, locale: Locale, country: str) -> str:
    """Day and time of *at* where the parcel goes, with the zone it is told in."""
    there = at.astimezone(zone_of(country))
    time = format_time(there, format="short", tzinfo=zone_of(country), locale=locale)
    return f"{format_date(there.date(), format='medium', locale=locale)} {time} {there:%Z}"


def hour(at: datetime, locale: Locale, country: str) -> str:
    """Day and time of *at* where the parcel goes, short: for lists of what happened lately."""
    zone = zone_of(country)
    time = format_time(at.astimezone(zone), format="short", tzinfo=zone, locale=locale)
    return f"{format_skeleton('MMMd', at, tzinfo=zone, locale=locale)} {time}"


@cache
def zone_of(country: str) -> ZoneInfo:
    """The zone of *country*, UTC where it has several and none is nearly everybody's."""
    zones = get_global("territory_zones").get(country, [])
    return ZoneInfo(_MAIN_ZONES.get(country) or (zones[0] if len(zones) == 1 else "UTC"))


def templates(package: str) -> jinja2.Environment:
    """The templates of *package*: what ends in ``.html`` escapes whatever is put in, and a missing value is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package, "templates"),
        autoescape=jinja2.select_autoescape(["html"], default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
