"""A world process and a tiny stand-in for our API, on free loopback ports."""

import asyncio
import base64
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from standardwebhooks.webhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devstack.world.app import build
from devstack.world.config import WorldConfig, load

ROOT = Path(__file__).resolve().parents[2]
STRIPE_KEY = "sk_test_world"
STRIPE_SECRET = "whsec_stripe_test"
LIMIT_SECONDS = 15.0


def webhook_secret(word: str) -> str:
    """A Standard Webhooks secret made of *word*."""
    return "whsec_" + base64.b64encode(word.ljust(24, "-").encode()).decode()


CARRIER_SECRETS = {"swift": webhook_secret("swift"), "parcelway": webhook_secret("parcelway")}
FLOOR_SECRET = webhook_secret("floor")


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class World:
    """A world in a thread of this process, on one folder."""

    folder: Path
    api_url: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def write_config(self) -> Path:
        """The file that a world reads."""
        config = {
            "port": self.port,
            "data_dir": str(self.folder / "world"),
            "speed": 0,
            "api_url": self.api_url,
            "api_key": "key-admin",
            "warehouse_key": "key-warehouse",
            "warehouse_webhook_secret": FLOOR_SECRET,
            "stripe_api_key": STRIPE_KEY,
            "stripe_webhook_secret": STRIPE_SECRET,
            "carriers": {name: {"secret": secret} for name, secret in CARRIER_SECRETS.items()},
        }
        file = self.folder / "world.json"
        file.write_text(json.dumps(config | self.settings))
        return file

    def start(self) -> None:
        """Listens when this returns."""
        config = load(self.write_config())
        self._thread = threading.Thread(target=self._serve, args=(config,))
        self._thread.start()
        self.wait_until_it_listens(lambda: self._thread is not None and self._thread.is_alive())

    def _serve(self, config: WorldConfig) -> None:
        settings = uvicorn.Config(build(config), port=config.port, log_level="critical")
        self._server = uvicorn.Server(settings)
        self._server.run()

    def wait_until_it_listens(self, alive: Callable[[], bool]) -> None:
        """Returns once a connection is accepted."""
        limit = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < limit:
            if not alive():
                raise RuntimeError("the world ended at once")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise TimeoutError("the world does not listen")

    def stop(self) -> None:
        """Asked to end, and ended."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(LIMIT_SECONDS)

    def ledger(self, **wanted: str) -> list[dict[str, Any]]:
        """The world's ledger."""
        entries: list[dict[str, Any]] = httpx.get(f"{self.url}/ledger", params=wanted, trust_env=False).json()
        return entries

    def control(self, **knobs: Any) -> dict[str, Any]:
        """The knobs after these were turned."""
        answer = httpx.post(f"{self.url}/control", json=knobs, trust_env=False).raise_for_status()
        view: dict[str, Any] = answer.json()
        return view


@dataclass
class WorldProcess(World):
    """A world in its own process; it can be killed and started again."""

    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Listens when this returns."""
        command = [sys.executable, "-m", "devstack.world", "--config", str(self.write_config())]
        process = subprocess.Popen(command, cwd=ROOT)
        self.process = process
        self.wait_until_it_listens(lambda: process.poll() is None)

    def kill(self) -> None:
        """Dead at once, as by kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """Asked to end, and ended."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(LIMIT_SECONDS)


class FakeApi:
    """Our API as the world sees it: keeps what it is told, shows parcels, and can be away."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.facts: list[dict[str, Any]] = []
        self.carrier_events: list[dict[str, Any]] = []
        self.stripe_events: list[tuple[bytes, str]] = []
        self.metadata: dict[str, str] = {}
        self.order_ref = "1"
        self.products: dict[str, dict[str, Any]] = {}
        self.parcels: list[dict[str, Any]] = []
        self.label: Callable[[dict[str, Any]], str] | None = None
        self.away = 0
        self._changed = asyncio.Event()
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listens when this returns."""
        routes = [
            Route("/v1/orders/{id}", self._order),
            Route("/v1/products/{sku}", self._product),
            Route("/v1/fulfillments/{id}", self._fulfillment),
            Route("/v1/fulfillments/{id}/events", self._fact, methods=["POST"]),
            Route("/v1/carriers/{name}/events", self._carrier, methods=["POST"]),
            Route("/v1/payments/stripe/events", self._stripe, methods=["POST"]),
        ]
        config = uvicorn.Config(Starlette(routes=routes), port=self.port, log_level="critical", lifespan="off")
        self._server = uvicorn.Server(config)
        self._task = asyncio.create_task(self._server.serve())
        while not self._server.started:
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Listens no more."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task

    async def until(self, met: Callable[[], bool]) -> None:
        """Returns once *met* is true; it is asked after everything that arrives."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while not met():
                self._changed.clear()
                await self._changed.wait()

    def kinds(self) -> list[str]:
        """The kinds of the facts so far."""
        return [fact["kind"] for fact in self.facts]

    def statuses(self) -> list[str]:
        """The carriers' statuses so far."""
        return [event["status"] for event in self.carrier_events]

    def _refuse(self) -> Response | None:
        if self.away <= 0:
            return None
        self.away -= 1
        return JSONResponse({"code": "away"}, status_code=503)

    async def _order(self, request: Request) -> Response:
        return JSONResponse(
            {"order_id": request.path_params["id"], "order_ref": self.order_ref, "metadata": self.metadata}
        )

    async def _product(self, request: Request) -> Response:
        product = self.products.get(request.path_params["sku"])
        return JSONResponse(product or {"code": "not_found"}, status_code=200 if product else 404)

    async def _fulfillment(self, request: Request) -> Response:
        return JSONResponse(
            {"fulfillment_id": request.path_params["id"], "state": "packed", "parcels": self.parcels, "requests": []}
        )

    async def _fact(self, request: Request) -> Response:
        if refusal := self._refuse():
            return refusal
        fact = await request.json()
        assert request.headers["authorization"] == "Bearer key-warehouse"
        new = fact["event_id"] not in {known["event_id"] for known in self.facts}
        self.facts.append(fact)
        for parcel in fact.get("parcels", []) if new else []:
            number = parcel.get("tracking_number") or (self.label(parcel) if self.label else None)
            state = "labelled" if number else "packed"
            self.parcels.append({"parcel_ref": parcel["parcel_ref"], "state": state, "tracking_number": number})
        self._changed.set()
        return JSONResponse({"duplicate": False}, status_code=202)

    async def _carrier(self, request: Request) -> Response:
        if refusal := self._refuse():
            return refusal
        body = await request.body()
        event = Webhook(CARRIER_SECRETS[request.path_params["name"]]).verify(body, dict(request.headers))
        assert request.headers["webhook-id"] == event["event_id"]
        self.carrier_events.append(event)
        self._changed.set()
        return Response(status_code=202)

    async def _stripe(self, request: Request) -> Response:
        if refusal := self._refuse():
            return refusal
        self.stripe_events.append((await request.body(), request.headers["stripe-signature"]))
        self._changed.set()
        return Response(status_code=202)


def released(fulfillment_id: str = "ful_1", **changes: Any) -> dict[str, Any]:
    """The payload of a `fulfillment.released` webhook."""
    view = {
        "fulfillment_id": fulfillment_id,
        "order_id": "ord_1",
        "order_ref": "1",
        "location_id": "LEEDS",
        "state": "released",
        "ship_to": {"name": "A. Reader", "country": "GB"},
        "lines": [{"line_id": "1", "sku": "A", "name": "A", "gtin": None, "quantity": 3}],
        "parcels": [],
        "requests": [],
    } | changes
    return {
        "type": "fulfillment.released",
        "timestamp": datetime.now(UTC).isoformat(),
        "data": {"event": {"kind": "fulfillment.released"}, "fulfillment": view},
    }


def release(world: World, payload: dict[str, Any], *, id: str = "evt_1", secret: str = FLOOR_SECRET) -> int:
    """The status with which the floor answers our webhook."""
    body = json.dumps(payload)
    now = datetime.now(UTC)
    headers = {
        "webhook-id": id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(id, now, body),
    }
    url = f"{world.url}/warehouse/webhook"
    return httpx.post(url, content=body, headers=headers, trust_env=False).status_code
