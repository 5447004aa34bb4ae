"""The composition root: the one module that sees every layer and puts the worker together."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypedDict

import httpx
from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.inventory import InventoryActivities
from activities.orders import OrderActivities
from activities.payments import PaymentActivities
from activities.shipping import ShippingActivities
from db.session import Sessions
from domain.notices import NoticeChannel
from providers.carrier import Carrier, HttpCarrier
from providers.message import GatewayMessages, MessageProvider, SmtpMessages
from providers.payment import PaymentProvider, StripePayments
from runtime.settings import Settings
from workflows.orders import OrderWorkflow

BUILD_ID = "doorstep-1"
PASSED_THROUGH = ("activities", "contracts", "domain", "workflows.cards", "workflows.loop", "workflows.options")


@dataclass(frozen=True)
class Providers:
    """The outside world, as the activities see it, and the relay that writes to customers."""

    payments: PaymentProvider
    carriers: dict[str, Carrier]
    messages: Mapping[NoticeChannel, MessageProvider] = field(default_factory=dict)


@asynccontextmanager
async def open_providers(settings: Settings) -> AsyncIterator[Providers]:
    """The providers that *settings* name, closed at the end."""
    payments = StripePayments(
        key=settings.stripe_api_key, url=settings.stripe_api_url, return_url=f"{settings.public_url}/"
    )
    async with httpx.AsyncClient(timeout=10.0) as client:
        carriers: dict[str, Carrier] = {
            name: HttpCarrier(name, carrier.url, client) for name, carrier in settings.carriers.items()
        }
        mail = SmtpMessages(url=settings.smtp_url, sender=settings.mail_from) if settings.smtp_url else None
        messages: dict[NoticeChannel, MessageProvider] = {} if mail is None else {NoticeChannel.EMAIL: mail}
        if settings.message_gateway_url is not None:
            gateway = GatewayMessages(
                url=settings.message_gateway_url, token=settings.message_gateway_token, client=client
            )
            messages |= {NoticeChannel.SMS: gateway, NoticeChannel.MESSENGER: gateway}
        try:
            yield Providers(payments=payments, carriers=carriers, messages=messages)
        finally:
            await payments.close()
            if mail is not None:
                await mail.close()


def runner() -> SandboxedWorkflowRunner:
    """The workflow sandbox; our own pure modules are passed through, which made a replay ten times cheaper."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH, "pydantic", "pydantic_core")
    )


class Tuning(TypedDict):
    """How much a worker does at once; what ``Worker`` takes."""

    max_cached_workflows: int
    max_concurrent_workflow_tasks: int
    max_concurrent_activities: int
    max_concurrent_local_activities: int
    workflow_task_poller_behavior: PollerBehaviorAutoscaling
    activity_task_poller_behavior: PollerBehaviorAutoscaling
    graceful_shutdown_timeout: timedelta


def tuning(max_cached_workflows: int = 2000) -> Tuning:
    """The order worker's options, which `make bench` gives the bare workflow too.

    A workflow task keeps its slot while its local writes run, so there are more slots than the machine has cores.
    """
    return Tuning(
        max_cached_workflows=max_cached_workflows,
        max_concurrent_workflow_tasks=8 if max_cached_workflows else 2,
        max_concurrent_activities=40,
        max_concurrent_local_activities=20,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(initial=2, maximum=8),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(initial=2, maximum=8),
        graceful_shutdown_timeout=timedelta(seconds=25),
    )


def create_worker(
    client: Client, sessions: Sessions, providers: Providers, *, task_queue: str, max_cached_workflows: int = 2000
) -> Worker:
    """A worker of workflows and activities on one queue, so that eager activities work."""
    orders = OrderActivities(sessions)
    inventory = InventoryActivities(sessions)
    payments = PaymentActivities(sessions, providers.payments)
    shipping = ShippingActivities(sessions, providers.carriers)
    return Worker(
        client,
        task_queue=task_queue,
        build_id=BUILD_ID,
        workflows=[OrderWorkflow],
        activities=[
            orders.write_move,
            inventory.reserve_stock,
            payments.authorize_payment,
            payments.capture_payment,
            payments.void_authorization,
            shipping.book_label,
            shipping.void_label,
        ],
        workflow_runner=runner(),
        **tuning(max_cached_workflows),
    )
