"""A small API of our contract's shape on loopback, for the commands to talk to over real HTTP."""

import asyncio
import io
import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from rich.console import Console
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cli.stack import Stack, from_mapping

KEYS = {"storefront": "k-store", "warehouse": "k-wms", "operations": "k-ops", "support": "k-sup"}
T0 = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def problem(status: int, code: str, **more: Any) -> JSONResponse:
    """An answer as api.md gives errors."""
    body = {"type": "about:blank", "title": code, "status": status, "detail": f"because {code}", "code": code, **more}
    headers = {"Retry-After": "0"} if status in {429, 503} or code == "idempotency_in_flight" else None
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


@dataclass
class FakeApi:
    """What the fake keeps and what it is told to answer; orders advance one state per look at them."""

    url: str = ""
    products: dict[str, Any] = field(default_factory=dict)
    locations: dict[str, Any] = field(default_factory=dict)
    receipts: dict[tuple[str, str], Any] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, tuple[bytes, dict[str, Any]]] = field(default_factory=dict)
    trouble: deque[JSONResponse] = field(default_factory=deque)
    received: list[tuple[str, str]] = field(default_factory=list)
    summaries_only: bool = False
    stuck: bool = False

    @property
    def on_hand(self) -> dict[tuple[str, str], int]:
        """Units booked per location and sku."""
        units: dict[tuple[str, str], int] = {}
        for (location_id, _), lines in self.receipts.items():
            for line in lines:
                units[location_id, line["sku"]] = units.get((location_id, line["sku"]), 0) + line["quantity"]
        return units

    def stack_json(self) -> dict[str, Any]:
        """What stack.json would say."""
        return {"api_url": self.url, "temporal_ui_url": "http://127.0.0.1:8233", "keys": KEYS, "pids": {}}

    def stack(self) -> Stack:
        """The stack that this fake is."""
        return from_mapping(self.stack_json())

    def folder(self, path: Path) -> Path:
        """A data folder that names this fake."""
        path.mkdir(exist_ok=True)
        (path / "stack.json").write_text(json.dumps(self.stack_json()))
        return path

    async def handle(self, request: Request) -> Response:
        """Every route."""
        path = request.url.path
        self.received.append((request.method, path))
        if path == "/healthz":
            return JSONResponse({})
        if self.trouble:
            return self.trouble.popleft()
        role = {f"Bearer {key}": name for name, key in KEYS.items()}.get(request.headers.get("authorization", ""))
        if role is None:
            return problem(401, "unauthorized")
        return self._answer(request, role, await request.body())

    def _answer(self, request: Request, role: str, body: bytes) -> Response:
        parts = request.url.path.strip("/").split("/")[1:]
        match request.method, parts:
            case "PUT", ["products" | "locations" as table, name]:
                return self._put(table, name, role, json.loads(body))
            case "POST", ["stock", "receipts"]:
                return self._receive(role, json.loads(body))
            case "POST", ["orders"]:
                return self._order(request.headers.get("idempotency-key", ""), body)
            case "GET", ["orders"]:
                return self._list(request.query_params)
            case "GET", ["orders", order_id] if order_id in self.orders:
                return JSONResponse(self._seen(self.orders[order_id]))
            case "GET", ["orders", order_id, "events"] if order_id in self.orders:
                return JSONResponse({"items": EVENTS, "next_cursor": None})
            case _:
                return problem(404, "not_found")

    def _put(self, table: str, name: str, role: str, body: dict[str, Any]) -> Response:
        if role != "operations":
            return problem(403, "wrong_scope")
        if "name" not in body:
            return problem(422, "invalid_request", errors=[{"field": "name", "rule": "missing", "message": "required"}])
        (self.products if table == "products" else self.locations)[name] = body
        return JSONResponse({**body}, 200)

    def _receive(self, role: str, body: dict[str, Any]) -> Response:
        if role != "warehouse":
            return problem(403, "wrong_scope")
        for index, line in enumerate(body["lines"]):
            if line["sku"] not in self.products:
                return problem(422, "invalid_request", errors=[{"field": f"lines.{index}.sku", "rule": "unknown_sku"}])
        key = (body["location_id"], body["reference"])
        if key not in self.receipts:
            self.receipts[key] = body["lines"]
            return JSONResponse({}, 201)
        same = self.receipts[key] == body["lines"]
        return JSONResponse({}, 200) if same else problem(409, "reference_taken")

    def _order(self, key: str, body: bytes) -> Response:
        if key in self.answers:
            content, answer = self.answers[key]
            same = content == body
            replay = JSONResponse(answer, 201, headers={"Idempotent-Replayed": "true"})
            return replay if same else problem(422, "idempotency_mismatch")
        order = json.loads(body)
        if "expect" in order or not order.get("lines"):
            return problem(422, "invalid_request", errors=[{"field": "lines", "rule": "too_short"}])
        identity = (order["channel"], order.get("source", "default"), order["order_ref"])
        for known in self.orders.values():
            if known["identity"] == identity and known["state"] != "rejected":
                same = known["request"] == order
                return JSONResponse(self.view(known), 200) if same else problem(409, "order_ref_taken")
        order_id = f"ord_{len(self.orders) + 1:05d}"
        self.orders[order_id] = {
            "order_id": order_id,
            "identity": identity,
            "request": order,
            "state": "received",
            "version": 1,
            "received_at": (T0 + timedelta(seconds=len(self.orders))).isoformat(),
        }
        answer = self.view(self.orders[order_id])
        self.answers[key] = (body, answer)
        return JSONResponse(answer, 201)

    def _list(self, query: Mapping[str, str]) -> Response:
        found = list(reversed(self.orders.values()))
        if "order_ref" in query:
            found = [order for order in found if order["identity"][2] == query["order_ref"]]
        if "received_from" in query:
            since = datetime.fromisoformat(query["received_from"])
            found = [order for order in found if datetime.fromisoformat(order["received_at"]) >= since]
        start, limit = int(query.get("cursor", 0)), int(query.get("limit", 50))
        following = str(start + limit) if start + limit < len(found) else None
        items = [self._seen(order) for order in found[start : start + limit]]
        if self.summaries_only:
            items = [{name: item[name] for name in ("order_id", "order_ref", "state", "version")} for item in items]
        return JSONResponse({"items": items, "next_cursor": following})

    def _seen(self, order: dict[str, Any]) -> dict[str, Any]:
        end = _end_of(order["request"])
        way = ["received", "confirmed", end] if end == "rejected" else ["received", "confirmed", "fulfilling", end]
        if order["state"] != end and not self.stuck:
            order["state"] = way[way.index(order["state"]) + 1]
            order["version"] += 1
        return self.view(order)

    def view(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """The order view, as far as the commands read it."""
        request, state = order["request"], order["state"]
        token = request["payments"][0].get("token", "")
        delivered = request.get("total_minor", 0) if state == "delivered" else 0
        outcome = "payment_declined" if "Declined" in token else "out_of_stock"
        waiting = {"subject": order["order_id"], "owner": "warehouse", "next_step": "pick", "due_at": _at(3600)}
        return {
            **{name: request.get(name) for name in ("order_ref", "channel", "currency", "customer")},
            "order_id": order["order_id"],
            "source": order["identity"][1],
            "state": state,
            "outcome": {"state": state, "reason": outcome, "detail": None} if state == "rejected" else None,
            "version": order["version"],
            "received_at": order["received_at"],
            "changed_at": _at(order["version"]),
            "amounts": {"total_minor": request.get("total_minor"), "captured_minor": delivered},
            "waits": [] if state == _end_of(request) else [waiting],
            "attention": [],
            "fulfillments": [],
        }


EVENTS = [
    {"sequence": 1, "kind": "order.received", "at": "2026-03-01T09:00:00Z", "actor": "system", "data": {"lines": 2}},
    {"sequence": 2, "kind": "order.confirmed", "at": "2026-03-01T09:00:01Z", "actor": "system", "data": {}},
]


def _at(seconds: int) -> str:
    return (T0 + timedelta(seconds=seconds)).isoformat()


def _end_of(order: Mapping[str, Any]) -> str:
    """How an order of the sample ends, judged by its content alone."""
    if "Declined" in order["payments"][0].get("token", ""):
        return "rejected"
    if {line["sku"] for line in order["lines"]} & {"RADIO-KIT", "GLOBE-30"}:
        return "rejected"
    scenario = order.get("metadata", {}).get("scenario")
    return "cancelled" if scenario in {"short_pick_all", "refuse"} else "delivered"


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """The fake, listening."""
    fake = FakeApi()
    methods = ["GET", "POST", "PUT"]
    app = Starlette(routes=[Route("/{path:path}", fake.handle, methods=methods)])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    listening = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(server, fake, listening)))
    thread.start()
    assert listening.wait(10)
    yield fake
    server.should_exit = True
    thread.join(10)


async def _serve(server: uvicorn.Server, fake: FakeApi, listening: threading.Event) -> None:
    socket = server.config.bind_socket()
    fake.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    serving = asyncio.create_task(server.serve(sockets=[socket]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.005)
    listening.set()
    await serving
    socket.close()


@pytest.fixture
def output() -> Console:
    """A console of a pipe, whose text can be read back."""
    return Console(file=io.StringIO(), width=200, color_system=None, highlight=False)


@pytest.fixture
def text(output: Console) -> Any:
    """What was printed so far."""
    return output.file.getvalue  # type: ignore[attr-defined]


@pytest.fixture
def make_order() -> Any:
    """A good order with the given changes."""

    def make(order_ref: str, **changes: Any) -> dict[str, Any]:
        return {
            "order_ref": order_ref,
            "channel": "web",
            "currency": "GBP",
            "customer": {"customer_ref": "c-1"},
            "shipping_address": {"lines": ["1 Paper Lane"], "city": "Leeds", "postal_code": "LS1 4DY", "country": "GB"},
            "lines": [{"sku": "MUG", "quantity": 1, "unit_price_minor": 900}],
            "total_minor": 900,
            "payments": [{"method": "card", "token": "pm_card_visa"}],
            **changes,
        }

    return make
