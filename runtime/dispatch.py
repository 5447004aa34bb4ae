"""Telling the engine what the outbox holds: starts and signals, each at least once, harmless when repeated."""

from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from pydantic import TypeAdapter
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from contracts import names
from contracts.orders import OrderInput
from db import outbox, projection
from db.outbox import Outgoing, Startable
from db.session import Sessions
from domain import late
from domain.messages import CarrierFact, PaymentFact, StockServed, WarehouseFact
from domain.orders import Order
from workflows import cards

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=15)
RPC_TIMEOUT = timedelta(seconds=5)
MOST_ATTEMPTS = 10
_ORDER: TypeAdapter[Order] = TypeAdapter(Order)
_FACTS: dict[str, TypeAdapter[Any]] = {
    names.WAREHOUSE_FACT: TypeAdapter(WarehouseFact),
    names.CARRIER_FACT: TypeAdapter(CarrierFact),
    names.PAYMENT_FACT: TypeAdapter(PaymentFact),
    names.STOCK_SERVED: TypeAdapter(StockServed),
}


class Dispatcher:
    """Sends outbox rows to the engine; knows what to do when it does not know the order."""

    def __init__(self, sessions: Sessions, client: Client, task_queue: str, *, continue_after: int = 1000) -> None:
        self._sessions = sessions
        self._client = client
        self._task_queue = task_queue
        self._continue_after = continue_after

    async def start_order(self, order_id: str) -> None:
        """Start the order's workflow now, unless somebody else did or does.

        Raises:
            RPCError: the engine is away; the row stays, and a relay takes it.
        """
        async with self._sessions.begin() as session:
            row = await outbox.claim_start(session, order_id, lease=LEASE)
        if row is None:
            return
        try:
            await self.send(row)
        except RPCError as error:
            async with self._sessions.begin() as session:
                await outbox.postpone(session, [row.outbox_id], wait=timedelta(seconds=1), error=str(error))
            raise
        async with self._sessions.begin() as session:
            await outbox.finish(session, [row.outbox_id])

    async def send(self, row: Outgoing) -> None:
        """Send one row; returning means that it may be forgotten.

        Raises:
            RPCError: not sent; try again later.
            EngineLost: the order is open and was started, yet the engine does not know it.
        """
        if row.kind == "start":
            await self._start(await self._load(row.order_id))
            return
        try:
            await self._signal(row)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            await self._signal_unknown(row)

    async def restart(self, order: Startable) -> bool:
        """Start an open order from its stored value; False when the engine has it, and it runs.

        One that somebody terminated, or that failed, is started again: its order is open, whatever became of the run.
        """
        try:
            await self._start(
                order,
                conflict=WorkflowIDConflictPolicy.FAIL,
                reuse=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            )
        except WorkflowAlreadyStartedError:
            return False
        return True

    async def _load(self, order_id: str) -> Startable:
        async with self._sessions() as session:
            found = await outbox.startable(session, order_id)
        if found is None:
            raise LookupError(f"no row for {order_id}")
        return found

    async def _start(
        self,
        stored: Startable,
        *,
        conflict: WorkflowIDConflictPolicy = WorkflowIDConflictPolicy.USE_EXISTING,
        reuse: WorkflowIDReusePolicy = WorkflowIDReusePolicy.REJECT_DUPLICATE,
    ) -> None:
        order = _ORDER.validate_python(stored.snapshot)
        try:
            await self._client.start_workflow(
                names.ORDER_WORKFLOW,
                OrderInput(order=order, continue_after=self._continue_after),
                id=names.order_workflow_id(order.order_id),
                task_queue=self._task_queue,
                id_reuse_policy=reuse,
                id_conflict_policy=conflict,
                search_attributes=cards.attributes_at_start(order),
                static_summary=f"order {order.channel.value}/{order.source}, {len(order.lines)} lines",
                rpc_timeout=RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            if conflict is WorkflowIDConflictPolicy.FAIL:
                raise

    async def _signal(self, row: Outgoing) -> None:
        handle = self._client.get_workflow_handle(row.workflow_id)
        await handle.signal(row.name or "", row.payload, rpc_timeout=RPC_TIMEOUT)

    async def _signal_unknown(self, row: Outgoing) -> None:
        """The engine does not know the order: it has ended, has not been started yet, or the engine lost it."""
        stored = await self._load(row.order_id)
        if stored.is_closed:
            await self._record_late(row, stored)
        elif stored.version == 0:
            await self._start(stored)
            await self._signal(row)
        else:
            raise EngineLost(row.order_id)

    async def _record_late(self, row: Outgoing, stored: Startable) -> None:
        order = _ORDER.validate_python(stored.snapshot)
        fact = _FACTS[row.name or ""].validate_python(row.payload)
        # Whoever gave units of the queue up has given back what was served meanwhile.
        if order.knows(fact.id) or isinstance(fact, StockServed):
            return
        event, attention = late.record(order, fact, now=datetime.now(UTC))
        async with self._sessions.begin() as session:
            await projection.record_fact_after_end(session, order.order_id, event, attention=attention)


class EngineLost(Exception):
    """The engine does not know an order that it was given."""


async def restart_open_orders(
    sessions: Sessions, client: Client, task_queue: str, *, continue_after: int = 1000
) -> int:
    """Start every open order that the engine lost from its stored value, and signal again what that does not know.

    Returns:
        How many were restarted. Safe to repeat.
    """
    dispatcher = Dispatcher(sessions, client, task_queue, continue_after=continue_after)
    restarted, after = 0, ""
    while True:
        async with sessions() as session:
            page = await outbox.open_orders(session, after=after, limit=200)
        if not page:
            return restarted
        for stored in page:
            after = stored.order_id
            if await dispatcher.restart(stored):
                restarted += 1
                await _signal_again(sessions, stored)


async def _signal_again(sessions: Sessions, stored: Startable) -> None:
    order = _ORDER.validate_python(stored.snapshot)
    known = [*order.seen, *(parked.fact.id for parked in order.parked)]
    async with sessions.begin() as session:
        await outbox.signal_again(session, stored.order_id, names.order_workflow_id(stored.order_id), known)
        await outbox.unpark(session, stored.order_id)
        await outbox.close_engine_lost(session, stored.order_id)
