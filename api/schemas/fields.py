"""The kinds of field that bodies are made of: bounded, strict, free of NUL bytes; what they mean is said elsewhere."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from domain.intake import MOST_MONEY

MOST_UNITS = 100_000

# No control characters inside, no blanks at the ends: names that people and machines can repeat.
NAME_PATTERN = r"^[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


class Body(BaseModel):
    """A request's body: unknown fields are refused, nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Query(BaseModel):
    """A route's query: unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _read_time(value: Any) -> datetime:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ValueError("must be an RFC 3339 time with its offset, like 2026-01-31T12:00:00Z")
    try:
        found = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("there is no such time") from error
    if not _EARLIEST <= found < _LATEST:
        raise ValueError("must lie between 1970 and 2200")
    return found


def _read_date(value: Any) -> date:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("must be a date like 2026-01-31")
    found = date.fromisoformat(value)
    if not _EARLIEST.date() <= found < _LATEST.date():
        raise ValueError("must lie between 1970 and 2200")
    return found


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain NUL")
    return value


Time = Annotated[datetime, BeforeValidator(_read_time), WithJsonSchema({"type": "string", "format": "date-time"})]
Day = Annotated[date, BeforeValidator(_read_date), WithJsonSchema({"type": "string", "format": "date"})]

Name64 = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=NAME_PATTERN)]
Name100 = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=NAME_PATTERN)]
Name200 = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NAME_PATTERN)]
Text500 = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_no_nul)]
Text2000 = Annotated[str, StringConstraints(min_length=1, max_length=2000), AfterValidator(_no_nul)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9_\-.]*$")]
Country = Annotated[str, StringConstraints(min_length=2, max_length=2, pattern=r"^[A-Z]{2}$")]
Currency = Annotated[str, StringConstraints(min_length=3, max_length=3, pattern=r"^[A-Z]{3}$")]
Email = Annotated[
    str,
    StringConstraints(
        max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f]{1,64}@[^@\s.\x00-\x1f\x7f]+(?:\.[^@\s.\x00-\x1f\x7f]+)+$"
    ),
]
Locale = Annotated[str, StringConstraints(max_length=35, pattern=r"^[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*$")]

Money = Annotated[int, Field(ge=0, le=MOST_MONEY)]
Quantity = Annotated[int, Field(ge=1, le=MOST_UNITS)]
Grams = Annotated[int, Field(ge=1, le=1_000_000)]
Millimetres = Annotated[int, Field(ge=1, le=100_000)]

PathName = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_no_nul)]
QueryText = Annotated[str, StringConstraints(min_length=1, max_length=254), AfterValidator(_no_nul)]
