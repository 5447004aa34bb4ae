"""The lines of import files: read one at a time, told apart by their fields, numbered; nothing is sent from here."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

# Far above the API's own limit of 256 KiB: the API says what is too large, this only bounds our memory.
LONGEST_LINE = 4 * 1024 * 1024
EXPECTATIONS = frozenset({"state", "outcome", "captured_minor"})


class Kind(StrEnum):
    """What a line is; the order here is the order of work: stock needs products and locations, orders need stock."""

    LOCATION = "locations"
    PRODUCT = "products"
    STOCK = "stock"
    ORDER = "orders"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One good line: its place, its kind, what is to be sent, and how the file says it must end."""

    path: Path
    number: int
    kind: Kind
    body: dict[str, Any]
    expect: Mapping[str, Any] | None = None
    repeat: int = 1

    @property
    def place(self) -> str:
        """File and line, as editors understand it."""
        return f"{self.path}:{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """One line that could not be taken, and why."""

    path: Path
    number: int
    reason: str
    reference: str = ""

    @property
    def place(self) -> str:
        """File and line, as editors understand it."""
        return f"{self.path}:{self.number}"


@dataclass(slots=True)
class Survey:
    """How many lines of each kind each file holds, and the lines that are no rows at all."""

    counts: Counter[tuple[Path, Kind]] = field(default_factory=Counter)
    bad: int = 0

    def total(self, kind: Kind) -> int:
        """Rows of *kind* in all files."""
        return sum(count for (_, of), count in self.counts.items() if of is kind)


def survey(paths: Sequence[Path]) -> Survey:
    """Count every file once, so that progress has an end to go to.

    Raises:
        OSError: a file cannot be read.
    """
    result = Survey()
    for path in paths:
        for row in read(path):
            if isinstance(row, BadLine):
                result.bad += 1
            else:
                result.counts[path, row.kind] += 1
    return result


def read(path: Path) -> Iterator[Row | BadLine]:
    """Every line that is not blank, in order; one line in memory at a time.

    A stock row carries which row of its (location, sku) it is in this file: together with the file's name that is
    its identity, which other rows coming or going does not change.

    Raises:
        OSError: the file cannot be read.
    """
    seen: Counter[int] = Counter()
    for number, line in _lines(path):
        row = _parse(path, number, line)
        if isinstance(row, Row) and row.kind is Kind.STOCK:
            pair = hash((row.body["location_id"], row.body["sku"]))
            seen[pair] += 1
            row = Row(path=path, number=number, kind=row.kind, body=row.body, repeat=seen[pair])
        yield row


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST_LINE):
            number += 1
            complete = line.endswith(b"\n") or len(line) < LONGEST_LINE
            while not complete:
                rest = file.readline(LONGEST_LINE)
                complete = rest.endswith(b"\n") or len(rest) < LONGEST_LINE
                line = line[:LONGEST_LINE] + rest[:1]
            text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if text.strip():
                yield number, text


def _parse(path: Path, number: int, line: bytes) -> Row | BadLine:
    if len(line) > LONGEST_LINE:
        return BadLine(path=path, number=number, reason=f"longer than {LONGEST_LINE} bytes")
    try:
        body = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return BadLine(path=path, number=number, reason=f"not JSON: {error}")
    if not isinstance(body, dict):
        return BadLine(path=path, number=number, reason="not a JSON object")
    kind = recognise(body)
    if kind is None:
        known = "an order (order_ref), a product (sku), a location (location_id) or stock (location_id, sku, quantity)"
        return BadLine(path=path, number=number, reason=f"neither {known}")
    if problem := _problem(kind, body):
        return BadLine(path=path, number=number, reason=problem)
    expect = body.pop("expect", None) if kind is Kind.ORDER else None
    return Row(path=path, number=number, kind=kind, body=body, expect=expect)


def recognise(body: Mapping[str, Any]) -> Kind | None:
    """What a line is by the fields it has; None when it is nothing we know."""
    if "order_ref" in body or {"channel", "lines"} <= body.keys():
        return Kind.ORDER
    if {"sku", "location_id"} <= body.keys():
        return Kind.STOCK
    if "sku" in body:
        return Kind.PRODUCT
    return Kind.LOCATION if "location_id" in body else None


def _problem(kind: Kind, body: Mapping[str, Any]) -> str | None:
    """What the API could not tell, because it would never see it: the fields that name the address, and `expect`."""
    named = {Kind.LOCATION: ("location_id",), Kind.PRODUCT: ("sku",), Kind.STOCK: ("location_id", "sku", "quantity")}
    for name in named.get(kind, ()):
        if name not in body:
            return f"{name} is missing"
        if name != "quantity" and (not isinstance(body[name], str) or body[name] in {"", ".", ".."}):
            return f"{name} must be a text that names something"
    if kind is Kind.STOCK and (unknown := sorted(body.keys() - set(named[kind]))):
        return f"unknown field {', '.join(unknown)}"
    return _expect_problem(body["expect"]) if kind is Kind.ORDER and body.get("expect") is not None else None


def _expect_problem(expect: object) -> str | None:
    if not isinstance(expect, dict):
        return "expect must be an object"
    if unknown := sorted(expect.keys() - EXPECTATIONS):
        return f"expect: unknown field {', '.join(unknown)}"
    return None
