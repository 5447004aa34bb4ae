"""The two sides of B2/B1 as the driver knows them: the bare workflow, and our order with its facts through inbox and outbox."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

from bench import shape
from bench.child import Child
from bench.database import Rows
from bench.providers import CARRIER, tracking_number
from contracts import names
from db import catalogue, inbox, intake, inventory, policies
from db.inbox import Incoming
from db.intake import Contact, Intake, Token
from db.session import Sessions
from domain import names as parts
from domain.intake import NewLine, NewOrder, NewShipping, new_order
from domain.inventory import StockChange
from domain.orders import Order
from domain.policy import DEFAULT_RULES, Policy
from domain.vocabulary import ActorKind, Channel, MovementKind, PaymentMethod, ServiceLevel
from runtime.dispatch import Dispatcher
from workflows import cards

LOCATION = "LEEDS"
SKUS = tuple(f"SKU-{number:03}" for number in range(200))
_UNITS = 1_000_000
_PRODUCT = {"weight_g": 100, "length_mm": 10, "width_mm": 10, "height_mm": 10}
_LEEDS = {"name": "Leeds", "country": "GB", "postal_code": "LS1 1AA", "latitude": 53.8, "longitude": -1.5}
_KINDS = ("accepted", "picked", "packed", "handed_over", "picked_up", "in_transit", "out_for_delivery", "delivered")
_WAREHOUSE_FACTS = 4


class BareSide:
    """B1: started and signalled directly, as far as its worker says it is."""

    def __init__(self, client: Client, child: Child, task_queue: str) -> None:
        self._client = client
        self._child = child
        self._task_queue = task_queue

    async def begin(self) -> str:
        """Start one, with the search attributes and policies of an order's start."""
        name = f"order-{names.order_id(names.new_tail(datetime.now(UTC), os.urandom(7)))}"
        await self._client.start_workflow(
            shape.WORKFLOW,
            shape.text_of(shape.START_BYTES),
            id=name,
            task_queue=self._task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=_attributes(),
            static_summary="order web/default, 2 lines",
        )
        return name

    async def tell(self, order: str, place: int) -> None:
        """Signal it."""
        handle = self._client.get_workflow_handle(order)
        await handle.signal(shape.FACT, shape.text_of(shape.FACT_BYTES[place]))

    async def versions(self, orders: Sequence[str]) -> Mapping[str, int]:
        """What its worker said."""
        return self._child.versions


def _attributes() -> TypedSearchAttributes:
    now = datetime.now(UTC)
    return TypedSearchAttributes(
        [
            SearchAttributePair(cards.CHANNEL, "web"),
            SearchAttributePair(cards.PLACED_AT, now),
            SearchAttributePair(cards.TOTAL_MINOR, 2224),
            SearchAttributePair(cards.STATE, "received"),
            SearchAttributePair(cards.OWNER, "inventory"),
            SearchAttributePair(cards.NEXT_STEP, "reserve_stock"),
            SearchAttributePair(cards.DUE_AT, now),
        ]
    )


class OrderSide:
    """B2: taken by our intake, started by our dispatcher, told through inbox, outbox and relay; judged by its row."""

    def __init__(self, sessions: Sessions, dispatcher: Dispatcher, rows: Rows) -> None:
        self._sessions = sessions
        self._rows = rows
        self._dispatcher = dispatcher
        self._numbers = count()

    async def prepare(self) -> None:
        """A catalogue, one location, and stock that no round uses up."""
        now = datetime.now(UTC)
        async with self._sessions.begin() as session:
            await policies.current(session, now=now)
            for sku in SKUS:
                await catalogue.put_product(session, sku, _PRODUCT | {"name": sku})
            await catalogue.put_location(session, LOCATION, _LEEDS)
            changes = [
                StockChange(kind=MovementKind.RECEIVED, location_id=LOCATION, sku=sku, quantity=_UNITS) for sku in SKUS
            ]
            await inventory.book(session, changes, cause="bench", actor="bench", at=now)

    async def begin(self) -> str:
        """Take one, as the API does: commit it, then start it from its outbox row."""
        taken = _intake(next(self._numbers))
        async with self._sessions.begin() as session:
            await intake.insert_order(session, taken)
        await self._dispatcher.start_order(taken.order.order_id)
        return taken.order.order_id

    async def tell(self, order: str, place: int) -> None:
        """Keep the fact in the inbox, and its signal in the outbox, as the API does."""
        fact = _warehouse_fact(order, place) if place < _WAREHOUSE_FACTS else _carrier_fact(order, place)
        source, _, event_id = str(fact["id"]).rpartition("/")
        async with self._sessions.begin() as session:
            await inbox.keep(
                session,
                Incoming(
                    source=source,
                    event_id=event_id,
                    signal=names.WAREHOUSE_FACT if place < _WAREHOUSE_FACTS else names.CARRIER_FACT,
                    fact=fact,
                    received_at=datetime.now(UTC),
                    order_id=order,
                ),
            )

    async def versions(self, orders: Sequence[str]) -> Mapping[str, int]:
        """What its rows say."""
        return await self._rows.versions(orders)


def _fact_id(source: str, order: str, place: int) -> str:
    return names.fact_id(source, f"{order.removeprefix('ord_')}-{place}")


def _warehouse_fact(order: str, place: int) -> dict[str, Any]:
    fact: dict[str, Any] = {
        "id": _fact_id(names.warehouse_source(LOCATION), order, place),
        "kind": _KINDS[place],
        "fulfillment_id": parts.fulfillment_id(order, 1),
        "occurred_at": datetime.now(UTC).isoformat(),
    }
    if _KINDS[place] == "picked":
        fact["lines"] = [{"line_id": "1", "quantity": 6}, {"line_id": "2", "quantity": 2}]
    if _KINDS[place] == "handed_over":
        fact["parcel_refs"] = ["A"]
    return fact


def _carrier_fact(order: str, place: int) -> dict[str, Any]:
    return {
        "id": _fact_id(names.carrier_source(CARRIER), order, place),
        "carrier": CARRIER,
        "tracking_number": tracking_number(parts.parcel_id(order, 1)),
        "status": _KINDS[place],
        "occurred_at": datetime.now(UTC).isoformat(),
    }


def _intake(number: int) -> Intake:
    order = _order(number)
    return Intake(
        order=order,
        order_ref=order.order_id,
        customer_ref="bench",
        placed_at=None,
        replaces=None,
        request={"order_ref": order.order_id, "lines": len(order.lines)},
        request_hash=os.urandom(32),
        body=b"x" * 900,
        key_id="bench",
        actor_kind=ActorKind.CUSTOMER,
        actor_id="bench",
        event={"channel": order.channel, "source": order.source, "order_ref": order.order_id},
        contact=Contact(
            name="-",
            email=None,
            phone=None,
            locale=None,
            notify=None,
            optional_notices=False,
            shipping_address={"lines": ["1 Street"], "city": "Leeds", "country": "GB", "postal_code": "LS1 1AA"},
            billing_address=None,
            gift=None,
            note=None,
        ),
        tokens=[Token(payment_id=order.payments[0].payment_id, method="card", token="pm_card_visa", reference=None)],
    )


def _order(number: int) -> Order:
    now = datetime.now(UTC)
    order_id = names.order_id(names.new_tail(now, os.urandom(7)))
    first, second = SKUS[(2 * number) % len(SKUS)], SKUS[(2 * number + 1) % len(SKUS)]
    lines = (
        NewLine(line_id="1", sku=first, quantity=6, unit_price_minor=255),
        NewLine(line_id="2", sku=second, quantity=2, unit_price_minor=100),
    )
    new = NewOrder(
        channel=Channel.WEB,
        source="default",
        currency="GBP",
        country="GB",
        service_level=ServiceLevel.STANDARD,
        lines=lines,
        payments=((PaymentMethod.CARD, 2225),),
        shipping=NewShipping(shipping_minor=495),
        prices_include_tax=True,
        allow_split=True,
    )
    policy = Policy(version=1, rules=DEFAULT_RULES)
    return new_order(order_id, new, policy=policy, fast_moving=frozenset(), received_at=now)
