"""A shop's side of our webhooks: verified, each kept once with what it said, repeats counted and compared."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from starlette.requests import Request
from starlette.responses import Response

from devstack.world.answers import Counter, Dropped, json_response
from devstack.world.control import Control
from devstack.world.store import Store

KIND = "storefront_webhook"
ORDER_FIELDS = ("order_id", "order_ref", "state", "version")


class StorefrontWebhook:
    """`POST /storefront/webhooks` takes one, `GET /storefront/webhooks?order_id=` shows what came."""

    def __init__(self, *, store: Store, control: Control, secret: str) -> None:
        self._store = store
        self._secret = secret
        self._faults = control.storefront
        self._counter = Counter(store, "storefront", control.storefront)

    def add_to(self, app: FastAPI) -> None:
        """The routes are part of *app*."""
        app.router.add_route("/storefront/webhooks", self.receive, methods=["POST"])
        app.router.add_route("/storefront/webhooks", self.show, methods=["GET"])

    async def receive(self, request: Request) -> Response:
        """204 for what was kept, repeated too; 401 for a signature that is not ours."""
        if (refusal := await self._counter.enter(request)) is not None:
            return refusal
        if not self._secret:
            return json_response(503, {"code": "no_secret", "message": "The shop was not told its secret."})
        body = await request.body()
        try:
            message = Webhook(self._secret).verify(body, dict(request.headers))
        except (WebhookVerificationError, ValueError):
            return json_response(401, {"code": "bad_signature", "message": "The signature does not fit."})
        with self._store.transaction():
            self._keep(request.headers["webhook-id"], message, hashlib.sha256(body).hexdigest())
        if self._faults.take("timeout_after_next"):
            return Dropped(self._faults.hang_seconds)
        return Response(status_code=204)

    async def show(self, request: Request) -> Response:
        """What came for `?order_id=`, or at all, in the order in which it first came."""
        order_id = request.query_params.get("order_id")
        return json_response(200, self._store.tagged(KIND, KIND if order_id is None else f"{KIND}:{order_id}"))

    def _keep(self, webhook_id: str, message: Any, digest: str) -> None:
        id = f"{KIND}:{webhook_id}"
        record = self._store.get(KIND, id)
        if record is None:
            data = message["data"]
            order = data.get("order") or {}
            record = {
                "id": id,
                "webhook_id": webhook_id,
                "at": datetime.now(UTC).isoformat(),
                "type": message["type"],
                "timestamp": message["timestamp"],
                "event": data["event"],
                "order": {name: order.get(name) for name in ORDER_FIELDS},
                "sha256": digest,
                "copies": 0,
                "altered": False,
            }
        record["copies"] += 1
        record["altered"] = record["altered"] or record["sha256"] != digest
        self._store.put(KIND, record)
        self._store.tag(KIND, id)
        self._store.tag(f"{KIND}:{record['order']['order_id']}", id)
