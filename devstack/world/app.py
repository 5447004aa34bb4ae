"""The outside world put together: every counter behind one HTTP application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from devstack.world.answers import json_response
from devstack.world.carriers.labels import Labels
from devstack.world.carriers.routes import CarrierRoutes
from devstack.world.carriers.tracking import Tracking
from devstack.world.config import WorldConfig
from devstack.world.control import Control
from devstack.world.deliveries import Deliveries
from devstack.world.floor.requests import Requests
from devstack.world.floor.story import Floor
from devstack.world.floor.webhook import FloorWebhook
from devstack.world.ledger import Ledger
from devstack.world.messages import Mailbox, MailServer, MessageRoutes
from devstack.world.outbound import Outbound
from devstack.world.payments.events import Events
from devstack.world.payments.intents import Intents
from devstack.world.payments.methods import Methods
from devstack.world.payments.refunds import Refunds
from devstack.world.payments.routes import PaymentRoutes
from devstack.world.payments.sessions import Sessions
from devstack.world.scenarios import Scenarios
from devstack.world.store import Store
from devstack.world.storefront import StorefrontWebhook


class World:
    """Everything that lives in one world process."""

    def __init__(self, config: WorldConfig) -> None:
        self.control = Control(speed=config.speed, webhook_secret=config.warehouse_webhook_secret)
        self.store = Store(config.data_dir)
        self.ledger = Ledger(self.store)
        self.outbound = Outbound(config.api_url) if config.api_url else None
        self.deliveries = Deliveries(self.store)
        mailbox = Mailbox(self.store)
        self.mail_server = MailServer(store=self.store, control=self.control, mailbox=mailbox)
        self._mail_at = (config.host, config.smtp_port)
        self.app = FastAPI(title="Outside world", openapi_url=None, lifespan=self._lifespan)
        scenarios = Scenarios(config, self.outbound)
        labels = Labels(self.store, self.ledger)
        tracking = Tracking(
            deliveries=self.deliveries,
            outbound=self.outbound,
            control=self.control,
            labels=labels,
            secrets=config.carrier_secrets,
        )
        floor = Floor(
            store=self.store,
            config=config,
            control=self.control,
            deliveries=self.deliveries,
            outbound=self.outbound,
            scenarios=scenarios,
            labels=labels,
            tracking=tracking,
        )
        self._payments(config).add_to(self.app)
        CarrierRoutes(
            store=self.store,
            control=self.control,
            labels=labels,
            scenarios=scenarios,
            label_bought=floor.label_bought,
        ).add_to(self.app)
        requests = Requests(
            store=self.store,
            config=config,
            control=self.control,
            deliveries=self.deliveries,
            outbound=self.outbound,
            scenarios=scenarios,
        )
        FloorWebhook(store=self.store, ledger=self.ledger, control=self.control, floor=floor, requests=requests).add_to(
            self.app
        )
        MessageRoutes(
            store=self.store, control=self.control, mailbox=mailbox, token=config.message_gateway_token
        ).add_to(self.app)
        StorefrontWebhook(store=self.store, control=self.control, secret=config.storefront_webhook_secret).add_to(
            self.app
        )
        self.app.router.add_route("/healthz", self.healthz, methods=["GET"])
        self.app.router.add_route("/ledger", self.show_ledger, methods=["GET"])
        self.app.router.add_route("/control", self.turn, methods=["GET", "POST"])

    def _payments(self, config: WorldConfig) -> PaymentRoutes:
        store, ledger, faults = self.store, self.ledger, self.control.payments
        events = Events(config, self.deliveries, self.outbound)
        methods = Methods(store)
        intents = Intents(
            store=store,
            ledger=ledger,
            events=events,
            methods=methods,
            deliveries=self.deliveries,
            faults=faults,
            config=config,
        )
        sessions = Sessions(
            store=store,
            ledger=ledger,
            events=events,
            intents=intents,
            deliveries=self.deliveries,
            faults=faults,
            config=config,
        )
        return PaymentRoutes(
            store=store,
            control=self.control,
            api_key=config.stripe_api_key,
            methods=methods,
            intents=intents,
            sessions=sessions,
            refunds=Refunds(store=store, ledger=ledger, events=events, intents=intents),
        )

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        self.deliveries.start()
        host, port = self._mail_at
        if port is not None:
            await self.mail_server.start(host, port)
        yield
        await self.mail_server.stop()
        await self.deliveries.stop()
        if self.outbound is not None:
            await self.outbound.close()
        self.store.close()

    async def healthz(self, request: Request) -> Response:
        """The process is up."""
        return json_response(200, {"status": "ok"})

    async def show_ledger(self, request: Request) -> Response:
        """The entries of `?order_id=` and `&kind=`, all of them without."""
        wanted = request.query_params
        entries = self.ledger.entries(order_id=wanted.get("order_id"), kind=wanted.get("kind"))
        return json_response(200, entries)

    async def turn(self, request: Request) -> Response:
        """The knobs; POST turns those that it names."""
        if request.method == "POST":
            try:
                self.control.turn(orjson.loads(await request.body()))
            except (ValueError, AttributeError) as error:
                return json_response(422, {"code": "invalid_request", "message": str(error)})
        return json_response(200, self.control.view())


def build(config: WorldConfig) -> FastAPI:
    """The application of a new world.

    Raises:
        StoreInUse: another world runs on the same folder.
    """
    return World(config).app
