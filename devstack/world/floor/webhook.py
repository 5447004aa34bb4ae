"""Where the floor hears from us: our signed webhooks, each taken once."""

from typing import Any

from fastapi import FastAPI
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from starlette.requests import Request
from starlette.responses import Response

from devstack.world.answers import json_response
from devstack.world.control import Control
from devstack.world.floor.requests import Requests
from devstack.world.floor.story import Floor
from devstack.world.ledger import Ledger
from devstack.world.store import Store

RELEASED = "fulfillment.released"
REQUEST = "request.sent"


class FloorWebhook:
    """`POST /warehouse/webhook`."""

    def __init__(self, *, store: Store, ledger: Ledger, control: Control, floor: Floor, requests: Requests) -> None:
        self._store = store
        self._ledger = ledger
        self._control = control
        self._floor = floor
        self._requests = requests

    def add_to(self, app: FastAPI) -> None:
        """The route is part of *app*."""
        app.router.add_route("/warehouse/webhook", self.receive, methods=["POST"])

    async def receive(self, request: Request) -> Response:
        """204 for what was taken, repeated or of no interest; 401 for a signature that is not ours."""
        if not self._control.webhook_secret:
            return json_response(503, {"code": "no_secret", "message": "The floor was not told its secret."})
        try:
            message = Webhook(self._control.webhook_secret).verify(await request.body(), dict(request.headers))
        except (WebhookVerificationError, ValueError):
            return json_response(401, {"code": "bad_signature", "message": "The signature does not fit."})
        if not isinstance(message, dict) or message.get("type") not in {RELEASED, REQUEST}:
            return Response(status_code=204)
        view = (message.get("data") or {}).get("fulfillment")
        if not isinstance(view, dict) or not {"fulfillment_id", "order_id", "lines"} <= view.keys():
            return json_response(422, {"code": "invalid_request", "message": "data.fulfillment is missing"})
        if message["type"] == REQUEST:
            with self._store.transaction():
                self._requests.hear(view["order_id"], message["data"]["event"]["data"])
            return Response(status_code=204)
        self._take(request.headers["webhook-id"], view)
        return Response(status_code=204)

    def _take(self, webhook_id: str, view: dict[str, Any]) -> None:
        with self._store.transaction():
            if self._store.mark(f"webhook:{webhook_id}"):
                self._ledger.append(
                    "pick_request", key=webhook_id, reference=view["fulfillment_id"], order_id=view["order_id"]
                )
                self._floor.begin(view)
