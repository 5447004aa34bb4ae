"""Opaque places in a list: where the next page begins; a cursor that was altered or is another list's is refused."""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Any

import orjson

from domain.errors import Invalid

_CHECK = 6


def write(kind: str, place: Sequence[Any]) -> str:
    """The cursor for *place* in lists of *kind*."""
    content = orjson.dumps(place, option=orjson.OPT_UTC_Z)
    return base64.urlsafe_b64encode(_check(kind, content) + content).decode().rstrip("=")


def read(kind: str, cursor: str, *, length: int) -> list[Any]:
    """The place that *cursor* names: *length* values.

    Raises:
        Invalid: it is not a cursor of such a list.
    """
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        packed = b""
    content = packed[_CHECK:]
    if not content or packed[:_CHECK] != _check(kind, content):
        raise Invalid([("cursor", "unknown_cursor: not a cursor of this list")])
    place = orjson.loads(content)
    if not isinstance(place, list) or len(place) != length:
        raise Invalid([("cursor", "unknown_cursor: not a cursor of this list")])
    return place


def _check(kind: str, content: bytes) -> bytes:
    return hashlib.sha256(b"doorstep:cursor:" + kind.encode() + b"\0" + content).digest()[:_CHECK]


def page(items: Sequence[Any], *, limit: int, kind: str, places: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """A page of at most *limit* of *items*, which are one more than that when there is a next page."""
    more = len(items) > limit
    return {"items": list(items[:limit]), "next_cursor": write(kind, places[limit - 1]) if more else None}
