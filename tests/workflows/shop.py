"""One order on a real engine and a real database: places it, plays warehouse and carrier, and looks at it."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import insert, select, text
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from contracts import names
from db import inventory
from db.models import Location, OrderContact, OrderEvent, OrderRow, OutboxRow, PaymentToken, Product
from db.session import Sessions
from domain import names as part_names
from domain.inventory import StockChange
from domain.orders import Line, Order, Payment
from domain.policy import DEFAULT_RULES, Policy, Rules
from domain.projection import order_figures
from domain.units import Portion, Stage
from domain.vocabulary import Channel, MovementKind, PaymentMethod
from runtime.dispatch import Dispatcher
from tests.fixtures.waiting import until
from tests.workflows.outside import MemoryCarrier, MemoryPayments
from workers.relays import OutboxRelay
from workers.wiring import Providers, create_worker

ORDER: TypeAdapter[Order] = TypeAdapter(Order)
LINES = (("1", "A", 6, 1530), ("2", "B", 2, 199))
CANARY = "Canary Street 77"


@dataclass
class Shop:
    """The house around one order."""

    sessions: Sessions
    client: Client
    payments: MemoryPayments = field(default_factory=MemoryPayments)
    carrier: MemoryCarrier = field(default_factory=MemoryCarrier)
    task_queue: str = field(default_factory=lambda: f"q-{os.urandom(6).hex()}")
    order_id: str = ""
    said: int = 0

    async def open(self, stock: Mapping[tuple[str, str], int] | None = None) -> None:
        """Two products at LEEDS (and LYON), with stock of a name of their own for this shop."""
        stock = stock or {("LEEDS", "A"): 100, ("LEEDS", "B"): 100}
        at = datetime.now(UTC)
        async with self.sessions.begin() as session:
            for sku in ("A", "B"):
                size = {"weight_g": 100, "length_mm": 10, "width_mm": 10, "height_mm": 10}
                session.add(Product(sku=self.sku(sku), name=sku, **size))
            for location_id, latitude in (("LEEDS", 53.8), ("LYON", 45.7)):
                session.add(
                    Location(
                        location_id=self.sku(location_id),
                        name=location_id,
                        country="GB",
                        postal_code="LS1 4DY",
                        latitude=latitude,
                        longitude=-1.5,
                    )
                )
            await session.flush()
            changes = [
                StockChange(
                    kind=MovementKind.RECEIVED,
                    location_id=self.sku(location_id),
                    sku=self.sku(sku),
                    quantity=quantity,
                )
                for (location_id, sku), quantity in stock.items()
            ]
            await inventory.book(session, changes, cause=f"open {self.task_queue}", actor="test", at=at)

    def sku(self, name: str) -> str:
        """A name that only this shop uses."""
        return f"{name}-{self.task_queue}"

    async def place(
        self,
        *,
        rules: Rules = DEFAULT_RULES,
        payments: Sequence[tuple[PaymentMethod, int]] | None = None,
        continue_after: int = 1000,
        **more: Any,
    ) -> None:
        """Accept an order of six A and two B, and start it."""
        now = datetime.now(UTC)
        tail = names.new_tail(now, os.urandom(7))
        self.order_id = names.order_id(tail)
        order = self._order(now, rules, payments or ((PaymentMethod.CARD, 2224),), **more)
        await self._store(order, now)
        await Dispatcher(self.sessions, self.client, self.task_queue, continue_after=continue_after).start_order(
            self.order_id
        )

    def _order(self, now: datetime, rules: Rules, payments: Sequence[tuple[PaymentMethod, int]], **more: Any) -> Order:
        lines = tuple(
            Line(
                line_id=line_id,
                sku=self.sku(sku),
                quantity=quantity,
                unit_price_minor=worth // quantity,
                total_minor=worth,
            )
            for line_id, sku, quantity, worth in LINES
        )
        order = Order(
            order_id=self.order_id,
            channel=Channel.WEB,
            source="default",
            currency="GBP",
            country="GB",
            received_at=now,
            lines=lines,
            payments=tuple(
                Payment(payment_id=part_names.payment_id(self.order_id, place), method=method, amount_minor=amount)
                for place, (method, amount) in enumerate(payments, start=1)
            ),
            policy=Policy(version=1, rules=rules),
            ship_by=now + rules.standard_ship_within,
            deliver_by=now + rules.standard_deliver_within,
            shipping_minor=495,
            portions=tuple(Portion(line_id=line.line_id, stage=Stage.OPEN, quantity=line.quantity) for line in lines),
        )
        return replace(order, **more)

    async def _store(self, order: Order, now: datetime) -> None:
        figures = order_figures(order, now)
        row = {
            "order_id": order.order_id,
            "channel": "web",
            "source": "default",
            "order_ref": order.order_id,
            "customer_ref": "c-1",
            "kind": "sale",
            "state": figures.state,
            "priority": figures.priority,
            "skus": [line.sku for line in order.lines],
            "currency": order.currency,
            "total_minor": order.ordered_total_minor,
            "policy_version": 1,
            "request": {},
            "request_hash": b"",
            "snapshot": ORDER.dump_python(order, mode="json", exclude_defaults=True),
            "last_sequence": 1,
            "received_at": now,
            "changed_at": now,
        }
        address = {"lines": [CANARY], "city": "Leeds", "postal_code": "LS1 4DY", "country": "GB"}
        async with self.sessions.begin() as session:
            await session.execute(insert(OrderRow).values(row))
            session.add(
                OrderEvent(
                    order_id=order.order_id,
                    sequence=1,
                    cause_id="intake",
                    ordinal=0,
                    kind="order.received",
                    at=now,
                    actor_kind="customer",
                    data={},
                )
            )
            session.add(OrderContact(order_id=order.order_id, revision=1, name=CANARY, shipping_address=address))
            for payment in order.payments:
                session.add(
                    PaymentToken(
                        payment_id=payment.payment_id,
                        order_id=order.order_id,
                        method=payment.method.value,
                        token="pm_card_visa",
                    )
                )
            session.add(
                OutboxRow(workflow_id=names.order_workflow_id(order.order_id), order_id=order.order_id, kind="start")
            )

    def worker(self, *, max_cached_workflows: int = 100) -> Worker:
        """A worker of this shop's queue, as wiring makes it."""
        providers = Providers(payments=self.payments, carriers={"swift": self.carrier})
        return create_worker(
            self.client,
            self.sessions,
            providers,
            task_queue=self.task_queue,
            max_cached_workflows=max_cached_workflows,
        )

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        """The order's workflow."""
        return self.client.get_workflow_handle(names.order_workflow_id(self.order_id))

    async def order(self) -> Order:
        """The order's value, as the projection has it."""
        async with self.sessions() as session:
            row = await session.execute(select(OrderRow.snapshot).where(OrderRow.order_id == self.order_id))
            return ORDER.validate_python(row.scalar_one())

    async def until(self, true: Callable[[Order], object], what: str) -> Order:
        """The order, once *true* is so of it."""

        async def look() -> Order | None:
            order = await self.order()
            return order if true(order) else None

        found = await until(look, what)
        assert found is not None  # what was waited for
        return found

    async def columns(self) -> Mapping[str, Any]:
        """The order's row."""
        async with self.sessions() as session:
            rows = await session.execute(text("SELECT * FROM orders WHERE order_id = :id"), {"id": self.order_id})
            return dict(rows.mappings().one())

    async def kinds(self) -> list[str]:
        """The kinds of the order's events, in order."""
        async with self.sessions() as session:
            rows = await session.execute(
                select(OrderEvent.kind).where(OrderEvent.order_id == self.order_id).order_by(OrderEvent.sequence)
            )
            return list(rows.scalars())

    async def warehouse(self, kind: str, *, fulfillment: int = 1, **fact: Any) -> None:
        """Signal a warehouse's fact."""
        await self.signal(
            names.WAREHOUSE_FACT,
            kind=kind,
            fulfillment_id=part_names.fulfillment_id(self.order_id, fulfillment),
            **fact,
        )

    async def carrier_says(self, status: str, *, parcel: int = 1, number: str | None = None, **fact: Any) -> None:
        """Signal a carrier's fact."""
        tracking_number = number or f"TN-{part_names.parcel_id(self.order_id, parcel)}"
        await self.signal(names.CARRIER_FACT, carrier="swift", tracking_number=tracking_number, status=status, **fact)

    async def signal(self, name: str, **fact: Any) -> None:
        """Signal a fact, straight to the engine."""
        self.said += 1
        at = datetime.now(UTC) + timedelta(milliseconds=self.said)
        await self.handle.signal(name, {"id": f"said/{self.said}", "occurred_at": at.isoformat(), **fact})

    async def pack_all(self) -> Order:
        """Accept, pick and pack everything into one parcel; answers when it has its label."""
        await self.until(lambda order: order.fulfillments and order.fulfillments[0].released_at, "released")
        await self.warehouse("accepted")
        await self.warehouse("picked", lines=[{"line_id": "1", "quantity": 6}, {"line_id": "2", "quantity": 2}])
        await self.warehouse("packed")
        return await self.until(lambda order: order.parcels and order.parcels[0].tracking_number, "labelled")

    async def deliver(self) -> None:
        """Hand over and bring it to the door."""
        await self.warehouse("handed_over", parcel_refs=["A"])
        for status in ("picked_up", "in_transit", "out_for_delivery", "delivered"):
            await self.carrier_says(status)


@asynccontextmanager
async def relaying(shop: Shop) -> AsyncIterator[OutboxRelay]:
    """A relay that sends what the outbox holds, while the block lasts."""
    relay = OutboxRelay(shop.sessions, Dispatcher(shop.sessions, shop.client, shop.task_queue))
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
