"""Sends the rows of import files through the HTTP API, each exactly once in effect however often it is run."""

import asyncio
import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import httpx
import orjson

from cli.client import Client, read_json, reason
from cli.rows import BadLine, Kind, Row, Survey, read

ROLES: Mapping[Kind, str] = {
    Kind.LOCATION: "operations",
    Kind.PRODUCT: "operations",
    Kind.STOCK: "warehouse",
    Kind.ORDER: "storefront",
}
# As many bad lines as a person will read; the rest is counted.
KEPT_FAILURES = 1000

# Longer references are shown as a digest.
READABLE = 64

OnOrder = Callable[[Row, Mapping[str, Any]], None]


class Progress(Protocol):
    """Where an import says how far it is."""

    def begin(self, kind: Kind, total: int) -> None:
        """The rows of *kind* come now, *total* of them."""

    def advance(self, kind: Kind) -> None:
        """One more row of *kind* is settled, well or badly."""


class Silent:
    """Progress for callers that show their own."""

    def begin(self, kind: Kind, total: int) -> None:
        """Nothing is shown."""

    def advance(self, kind: Kind) -> None:
        """Nothing is shown."""


@dataclass(slots=True)
class Report:
    """What became of an import: per kind what was new and what was there already, and the lines that failed.

    *orders_began_at* is the monotonic time at which the first order was sent.
    """

    created: Counter[Kind] = field(default_factory=Counter)
    already: Counter[Kind] = field(default_factory=Counter)
    failures: list[BadLine] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0
    orders_began_at: float | None = None

    def fail(self, line: BadLine) -> None:
        """Count one failed line, and keep it while there is room."""
        self.failed += 1
        if len(self.failures) < KEPT_FAILURES:
            self.failures.append(line)


class Import:
    """One run over some files: locations, then products, then stock, then orders, each kind concurrently."""

    def __init__(
        self,
        client: Client,
        *,
        concurrency: int = 16,
        progress: Progress | None = None,
        on_order: OnOrder | None = None,
    ) -> None:
        self.report = Report()
        self._client = client
        self._concurrency = concurrency
        self._progress = progress or Silent()
        self._on_order = on_order

    async def run(self, files: Sequence[Path], counted: Survey) -> Report:
        """Send every row and report; a bad line is recorded and the others go on.

        Raises:
            ApiAwayError, KeyRefusedError: nothing more can be sent; what was sent stays, and a second run goes on.
        """
        started = time.monotonic()
        self._record_unreadable(files, counted)
        for kind in Kind:
            if counted.total(kind):
                if kind is Kind.ORDER:
                    self.report.orders_began_at = time.monotonic()
                self._progress.begin(kind, counted.total(kind))
                with_kind = [path for path in files if counted.counts[path, kind]]
                await self._send_all(row for path in with_kind for row in _rows(path, kind))
        self.report.seconds = time.monotonic() - started
        return self.report

    def _record_unreadable(self, files: Sequence[Path], counted: Survey) -> None:
        if counted.bad:
            for path in files:
                for line in read(path):
                    if isinstance(line, BadLine):
                        self.report.fail(line)

    async def _send_all(self, rows: Iterator[Row]) -> None:
        # The workers share one iterator: a row is taken between two awaits, so no row is taken twice.
        async def work() -> None:
            for row in rows:
                await self._send(row)
                self._progress.advance(row.kind)

        workers = [asyncio.create_task(work()) for _ in range(self._concurrency)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _send(self, row: Row) -> None:
        method, path, body, key = request_for(row)
        response = await self._client.call(method, path, role=ROLES[row.kind], body=body, idempotency_key=key)
        if not response.is_success:
            self.report.fail(_failure(row, response))
            return
        # 200 = the identity was there; a replayed answer = this very request was made before.
        again = row.kind in {Kind.STOCK, Kind.ORDER} and (
            response.status_code == httpx.codes.OK or response.headers.get("idempotent-replayed") == "true"
        )
        (self.report.already if again else self.report.created)[row.kind] += 1
        if row.kind is Kind.ORDER and self._on_order is not None:
            view = read_json(response)
            if isinstance(view, Mapping):
                self._on_order(row, view)


def _rows(path: Path, kind: Kind) -> Iterator[Row]:
    return (row for row in read(path) if isinstance(row, Row) and row.kind is kind)


def request_for(row: Row) -> tuple[str, str, dict[str, Any], str | None]:
    """Method, path, body and Idempotency-Key of a row.

    A PUT has no key: a key would answer a second import from memory and not put back what was changed in between.
    A receipt has its reference. An order's key is the very bytes that are sent, so that a renamed or re-sorted file
    replays too, and no key ever comes with another body.
    """
    body = dict(row.body)
    if row.kind is Kind.LOCATION:
        return "PUT", f"/v1/locations/{_segment(body.pop('location_id'))}", body, None
    if row.kind is Kind.PRODUCT:
        return "PUT", f"/v1/products/{_segment(body.pop('sku'))}", body, None
    if row.kind is Kind.STOCK:
        line = {"sku": body["sku"], "quantity": body["quantity"]}
        return "POST", "/v1/stock/receipts", {**_receipt_head(row), "lines": [line]}, None
    return "POST", "/v1/orders", body, f"import-{hashlib.sha256(orjson.dumps(body)).hexdigest()}"


def _segment(name: str) -> str:
    return quote(name, safe="")


def _receipt_head(row: Row) -> dict[str, Any]:
    return {"location_id": row.body["location_id"], "reference": receipt_reference(row)}


def receipt_reference(row: Row) -> str:
    """The reference of a stock row's receipt: the file's name, the sku, and which row of this sku and location it is.

    Neither the line number nor the quantity is in it: lines may be put right, added, moved or taken out and the file
    imported again, and every row is booked once; a quantity changed afterwards is refused (409), never booked on top.
    One receipt for many rows could not do that: the API would know the rows only as a whole.
    """
    name, sku = row.path.name, str(row.body["sku"])
    readable = f"{name}:{sku}:{row.repeat}"
    if len(readable) <= READABLE and re.fullmatch(r"[\w.\-]+:[\w.\-/ ]+:\d+", readable, re.ASCII):
        return readable
    digest = hashlib.sha256("\0".join((name, sku, str(row.repeat))).encode()).hexdigest()
    return f"import:{digest[:40]}"


def _failure(row: Row, response: httpx.Response) -> BadLine:
    why = reason(response)
    if row.kind is Kind.STOCK and response.status_code == httpx.codes.CONFLICT:
        why += f" (booked before from {row.path.name} with another quantity; new goods need a file of another name)"
    if response.status_code == httpx.codes.FORBIDDEN:
        why += f" ({row.kind} need a key with the scope {ROLES[row.kind]})"
    return BadLine(path=row.path, number=row.number, reason=why, reference=str(row.body.get("order_ref", "")))
