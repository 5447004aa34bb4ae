"""Where an order's workflow is played: a worker on a queue of its own, providers that can fail, and a database."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pydantic import TypeAdapter
from temporalio.client import Client, WorkflowHandle, WorkflowHistory

from contracts import names
from db.session import Sessions
from domain.messages import CarrierFact, Fact, WarehouseFact
from domain.orders import Order
from domain.policy import DEFAULT_RULES, Rules
from runtime.dispatch import Dispatcher
from tests.activities.providers import FakeCarrier, FakePayments
from tests.db.placing import CANARIES, any_order, fresh_sku, place, rows, stock_up
from workers.wiring import Providers, create_worker

ORDER: TypeAdapter[Order] = TypeAdapter(Order)
LIMIT = 20.0


class Stage:
    """One test's engine room: its own task queue, its own providers."""

    def __init__(self, sessions: Sessions, client: Client, changed: asyncio.Condition) -> None:
        self.sessions = sessions
        self.client = client
        self.payments = FakePayments()
        self.carrier = FakeCarrier()
        self.task_queue = f"test-{uuid4().hex[:12]}"
        self._changed = changed

    @asynccontextmanager
    async def worker(self, *, max_cached_workflows: int = 100) -> AsyncIterator[None]:
        """A worker while the block runs; it is the one that production uses."""
        providers = Providers(payments=self.payments, carriers={"swift": self.carrier})
        async with create_worker(
            self.client,
            self.sessions,
            providers,
            task_queue=self.task_queue,
            max_cached_workflows=max_cached_workflows,
        ):
            yield

    async def begin(
        self,
        *,
        stock: Sequence[Mapping[str, int]] = ({"LEEDS": 10}, {"LEEDS": 10}),
        quantity: int = 2,
        token: str | Sequence[str] | None = CANARIES["token"],
        rules: Rules = DEFAULT_RULES,
        continue_after: int = 1000,
        **more: Any,
    ) -> str:
        """The id of an order of one line per entry of *stock* (location -> units), taken and started."""
        skus = [fresh_sku(letter) for letter, _ in zip("ABCDEF", stock, strict=False)]
        shelves = {
            (location, sku): units for sku, places in zip(skus, stock, strict=True) for location, units in places.items()
        }
        await stock_up(self.sessions, shelves)
        order = any_order(skus, quantity=quantity, now=datetime.now(UTC), rules=rules, **more)
        await place(self.sessions, order, token=token)
        dispatcher = Dispatcher(self.sessions, self.client, self.task_queue, continue_after=continue_after)
        await dispatcher.start_order(order.order_id)
        return order.order_id

    async def order(self, order_id: str) -> Order:
        """The value as the projection has it."""
        (row,) = await rows(self.sessions, "SELECT snapshot FROM orders WHERE order_id = :id", id=order_id)
        return ORDER.validate_python(row["snapshot"])

    async def until(self, order_id: str, holds: Callable[[Order], object]) -> Order:
        """The order once *holds* is true of it: looked at whenever the database tells of a change."""
        try:
            async with asyncio.timeout(LIMIT), self._changed:
                while not holds(order := await self.order(order_id)):
                    await self._changed.wait()
                return order
        except TimeoutError:
            order = await self.order(order_id)
            told = [kind for _, kind in order.recent]
            raise AssertionError(f"waited in vain: {order.announced.value}, {told}, {order.attention}") from None

    async def tell(self, order_id: str, *facts: Fact) -> Order:
        """Signal *facts* one at a time, each once the one before is written."""
        order = await self.order(order_id)
        for fact in facts:
            await self.handle(order_id).signal(_signal(fact), fact)
            order = await self.until(order_id, lambda order, fact_id=fact.id: order.knows(fact_id))
        return order

    def handle(self, order_id: str) -> WorkflowHandle[Any, Any]:
        """The order's workflow."""
        return self.client.get_workflow_handle(names.order_workflow_id(order_id))

    async def result(self, order_id: str) -> str:
        """The state that the order's workflow ended in."""
        async with asyncio.timeout(LIMIT):
            ended: str = await self.handle(order_id).result()
            return ended

    async def history(self, order_id: str, run_id: str | None = None) -> WorkflowHistory:
        """Everything that the engine keeps of the order's workflow."""
        handle = self.client.get_workflow_handle(names.order_workflow_id(order_id), run_id=run_id)
        return await handle.fetch_history()

    async def runs(self, order_id: str) -> list[WorkflowHistory]:
        """The histories of all runs, the first one first."""
        found = [await self.history(order_id)]
        while True:
            begun = found[0].events[0].workflow_execution_started_event_attributes
            if not begun.continued_execution_run_id:
                return found
            found.insert(0, await self.history(order_id, begun.continued_execution_run_id))

    async def until_event(self, order_id: str, seen: Callable[[Any], bool], *, then: str | None = None) -> int:
        """How many events the workflow has once one is *seen*, and *then* the next of that kind."""
        async with asyncio.timeout(LIMIT):
            wanted: str | None = None
            async for event in self.handle(order_id).fetch_history_events(wait_new_event=True):
                kind = event.WhichOneof("attributes") or ""
                if wanted is None and seen(event):
                    if then is None:
                        return int(event.event_id)
                    wanted = then
                elif wanted is not None and kind.startswith(wanted):
                    return int(event.event_id)
        raise AssertionError("the workflow ended")


def _signal(fact: Fact) -> str:
    if isinstance(fact, WarehouseFact):
        return names.WAREHOUSE_FACT
    return names.CARRIER_FACT if isinstance(fact, CarrierFact) else names.PAYMENT_FACT


def rules(**changed: Any) -> Rules:
    """The default rules with some windows of their own."""
    return replace(DEFAULT_RULES, **changed)
