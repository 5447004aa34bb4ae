"""How data of the outside is shown in a terminal: made harmless, and in the words people use; no layout."""

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
# Minor digits of ISO 4217 where they are not two.
MINOR_DIGITS: Mapping[str, int] = {
    **dict.fromkeys(_NONE.split(), 0),
    **dict.fromkeys(_THREE.split(), 3),
}

STATE_STYLES: Mapping[str, str] = {
    "received": "white",
    "confirmed": "cyan",
    "fulfilling": "blue",
    "shipped": "magenta",
    "delivered": "green",
    "cancelled": "yellow",
    "rejected": "red",
    "undeliverable": "bright_red",
}
STATES: Sequence[str] = tuple(STATE_STYLES)
TERMINAL_STATES = frozenset({"delivered", "cancelled", "rejected", "undeliverable"})


def clean(value: object, *, limit: int = 400) -> str:
    """*value* as one line that cannot steer a terminal: control, format and surrogate characters become escapes."""
    text = str(value)
    shortened = text if len(text) <= limit else text[: limit - 1] + "\u2026"
    return "".join(_escape(character) for character in shortened)


def _escape(character: str) -> str:
    # Cc: escape sequences; Cf: right-to-left overrides and zero-width marks; Zl, Zp: line breaks of Unicode's own.
    if unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def plain(value: object, style: str = "") -> Text:
    """*value* as rich text: cleaned, and never read as markup."""
    return Text(clean(value), style=style)


def state_text(state: object) -> Text:
    """A state in its colour."""
    return plain(state, STATE_STYLES.get(str(state), ""))


def money(minor: object, currency: object) -> str:
    """Minor units as people write them, ``20.25 GBP``; a dash for what is no amount."""
    if not isinstance(minor, int) or isinstance(minor, bool):
        return "-"
    digits = MINOR_DIGITS.get(str(currency), 2)
    whole, rest = divmod(abs(minor), 10**digits)
    amount = f"{whole:,}" + (f".{rest:0{digits}d}" if digits else "")
    return f"{'-' if minor < 0 else ''}{amount} {clean(currency)}"


def moment(value: object) -> datetime | None:
    """The time that an RFC 3339 text names, aware; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def clock(value: object) -> str:
    """A time as ``2026-03-01 14:05:09Z``, to the second, in UTC; a dash for none."""
    at = moment(value)
    return "-" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def until(value: object, now: datetime) -> str:
    """How far off a time is: ``in 3 h``, ``12 s ago``; a dash for none."""
    at = moment(value)
    if at is None:
        return "-"
    seconds = (at - now).total_seconds()
    return f"in {span(seconds)}" if seconds >= 0 else f"{span(-seconds)} ago"


def span(seconds: float) -> str:
    """A length of time in its largest sensible unit."""
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def short_data(data: object, *, limit: int = 110) -> str:
    """An event's data on one line: ``key value`` pairs, nested values shortened."""
    if not isinstance(data, Mapping):
        return "" if data in (None, "", []) else clean(data, limit=limit)
    told = {key: value for key, value in data.items() if value not in (None, "", [], {})}
    pairs = [f"{clean(key, limit=40)}={_short(value)}" for key, value in told.items()]
    text = "  ".join(pairs)
    return text if len(text) <= limit else text[: limit - 1] + "\u2026"


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{clean(key, limit=20)}:{_short(item)}" for key, item in list(value.items())[:4]) + "}"
    if isinstance(value, list | tuple):
        more = ", \u2026" if len(value) > 3 else ""
        return "[" + ", ".join(_short(item) for item in value[:3]) + more + "]"
    return clean(value, limit=40)
