"""The HTTP application: routes, error answers and shared things put together; no route's own work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from temporalio.client import Client

from api import errors, openapi
from api.context import Context
from api.metrics import Measure, Metrics
from api.routers import (
    catalogue,
    commands,
    events,
    fulfillment,
    insight,
    inventory,
    notices,
    orders,
    payments,
    shipping,
    tracking,
    webhooks,
)
from api.routers.payments import StripeEvent
from api.schemas.carriers import TrackingBody
from api.schemas.commands import CancelBody, HoldBody, NewPaymentBody, NoteBody, ReleaseBody, ResolveBody
from api.schemas.inventory import AdjustmentBody, CountBody, LocationBody, ProductBody, ReceiptBody
from api.schemas.orders import AddressBody, OrderBody
from api.schemas.policy import PolicyBody
from api.schemas.tracking import QuestionBody, RatingBody
from api.schemas.warehouse import FACT_BODIES
from api.schemas.webhooks import EndpointBody, NoBody
from api.tracking_page import KeepSecret
from db.session import Sessions, create_sessions
from runtime.settings import Settings

ROUTERS = (
    orders.router,
    commands.router,
    events.router,
    fulfillment.router,
    shipping.router,
    payments.router,
    inventory.router,
    catalogue.router,
    webhooks.router,
    notices.router,
    tracking.router,
)
BODIES = (
    OrderBody,
    CancelBody,
    HoldBody,
    ReleaseBody,
    AddressBody,
    ResolveBody,
    NewPaymentBody,
    NoteBody,
    *FACT_BODIES,
    TrackingBody,
    StripeEvent,
    ReceiptBody,
    AdjustmentBody,
    CountBody,
    ProductBody,
    LocationBody,
    PolicyBody,
    EndpointBody,
    NoBody,
    QuestionBody,
    RatingBody,
)


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    # A second's work that no request should wait for.
    await asyncio.to_thread(lambda: context.geography)
    yield
    await context.close()


def create_app(settings: Settings, *, sessions: Sessions | None = None, client: Client | None = None) -> FastAPI:
    """The application; what it needs is opened when it is first used, so it also works without its lifespan."""
    # Its documentation page brings its own script and style: a page that loads them from elsewhere is blank offline.
    app = FastAPIOffline(
        title="Doorstep",
        version="1",
        description="An order, from the basket to the doorstep.",
        lifespan=_life,
        redirect_slashes=False,
        # The framework's own telemetry would carry query strings and exception texts, and both can be personal.
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    app.state.context = Context(
        settings,
        sessions=sessions or create_sessions(settings.database_url, pool_size=settings.database_pool),
        client=client,
    )
    app.state.metrics = Metrics()
    for router in (*ROUTERS, insight.router):
        app.include_router(router)
    errors.install(app)
    openapi.install(app, BODIES)
    app.add_middleware(KeepSecret)
    app.add_middleware(Measure, metrics=app.state.metrics)
    return app
