"""Orders and stock put where a test needs them, with canaries in everything personal."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import text

from contracts import names
from contracts.orders import Move
from db import intake, inventory
from db.intake import Contact, Intake, Token
from db.session import Sessions
from domain import projection
from domain.change import StockEffect, UndoStep
from domain.inventory import StockChange, StockLevel
from domain.life import Applied, apply
from domain.messages import Message
from domain.orders import Order
from domain.vocabulary import ActorKind, MovementKind
from tests.domain import making

# None of these words may ever be found in a history, an id or a log.
CANARY = "canary"
CANARIES = {
    "name": "Canary Nightingale",
    "email": "canary.nightingale@example.org",
    "phone": "+441632960001",
    "street": "17 Canary Wharf Lane",
    "city": "Canarytown",
    "note": "canary sings at the back door",
    "token": "pm_canary_visa",
}
LOCATIONS: Mapping[str, tuple[float, float]] = {
    "LEEDS": (53.8, -1.55),
    "DERBY": (52.92, -1.47),
    "YORK": (53.96, -1.08),
}


def fresh_sku(letter: str = "A") -> str:
    """A sku of this test alone."""
    return f"{letter}-{uuid4().hex[:8]}"


def fresh_order_id() -> str:
    """An order id as the API makes them."""
    return names.order_id(names.new_tail(datetime.now(UTC), os.urandom(7)))


async def stock_up(sessions: Sessions, stock: Mapping[tuple[str, str], int]) -> None:
    """Units of each (location, sku) on the shelf, products and locations made where they are missing."""
    places = sorted({location for location, _ in stock})
    async with sessions.begin() as session:
        for location in places:
            latitude, longitude = LOCATIONS[location]
            await session.execute(
                text(
                    "INSERT INTO locations (location_id, name, country, postal_code, latitude, longitude)"
                    " VALUES (:id, :id, 'GB', 'LS1 4DY', :latitude, :longitude) ON CONFLICT DO NOTHING"
                ),
                {"id": location, "latitude": latitude, "longitude": longitude},
            )
        for sku in sorted({sku for _, sku in stock}):
            await session.execute(
                text(
                    "INSERT INTO products (sku, name, weight_g, length_mm, width_mm, height_mm)"
                    " VALUES (:sku, :sku, 150, 10, 10, 10) ON CONFLICT DO NOTHING"
                ),
                {"sku": sku},
            )
        changes = [
            StockChange(kind=MovementKind.RECEIVED, location_id=location, sku=sku, quantity=units)
            for (location, sku), units in stock.items()
        ]
        await inventory.book(session, changes, cause=f"receipt/{uuid4().hex}", actor="test", at=datetime.now(UTC))


async def level(sessions: Sessions, location_id: str, sku: str) -> StockLevel:
    """The stock row."""
    async with sessions() as session:
        (found,) = await inventory.levels(session, sku=sku, location_id=location_id)
    return found


async def place(sessions: Sessions, order: Order, *, token: str | Sequence[str] | None = CANARIES["token"]) -> Order:
    """*order* taken as the API takes it, with *token* for each payment, or one each; nothing is started."""
    tokens = [token] * len(order.payments) if token is None or isinstance(token, str) else list(token)
    contact = Contact(
        name=CANARIES["name"],
        email=CANARIES["email"],
        phone=CANARIES["phone"],
        locale="en-GB",
        notify="email",
        optional_notices=True,
        shipping_address={
            "lines": [CANARIES["street"]],
            "city": CANARIES["city"],
            "region": None,
            "postal_code": "LS1 4DY",
            "country": "GB",
        },
        billing_address=None,
        gift=None,
        note=CANARIES["note"],
        latitude=53.8,
        longitude=-1.5,
    )
    taken = Intake(
        order=order,
        order_ref=order.order_id,
        customer_ref="c-1",
        placed_at=None,
        replaces=None,
        request={},
        request_hash=b"hash",
        body=b"{}",
        key_id="key_test",
        actor_kind=ActorKind.CUSTOMER,
        actor_id="c-1",
        event={},
        contact=contact,
        tokens=[
            Token(payment_id=payment.payment_id, method=payment.method.value, token=found, reference=None)
            for payment, found in zip(order.payments, tokens, strict=True)
        ],
    )
    async with sessions.begin() as session:
        assert await intake.insert_order(session, taken)
    return order


def any_order(skus: Sequence[str], *, quantity: int = 1, now: datetime | None = None, **more: Any) -> Order:
    """An order of *quantity* of each sku, under a fresh id."""
    lines = [(str(number), sku, quantity, 100 * quantity) for number, sku in enumerate(skus, start=1)]
    return making.make_order(lines=lines, order_id=fresh_order_id(), now=now or datetime.now(UTC), **more)


def tell(order: Order, *messages: Message, now: datetime) -> tuple[Order, Move]:
    """*order* after *messages*, and the move that writes them."""
    applied: list[Applied] = []
    after = order
    for message in messages:
        applied.append(apply(after, message, now))
        after = applied[-1].order
    effects = [effect for step in applied for effect in step.effects]
    return after, Move(
        order_id=after.order_id,
        version=after.version,
        at=now,
        figures=projection.order_figures(after, now),
        fulfillments=projection.changed_fulfillments(order, after, now),
        parcels=projection.changed_parcels(order, after),
        numbered=projection.newly_numbered(order, after),
        events=tuple(event for step in applied for event in step.events),
        stock=tuple(effect for effect in effects if isinstance(effect, StockEffect)),
        undone=tuple(effect for effect in effects if isinstance(effect, UndoStep)),
        notable=projection.is_notable(order, after),
    )


async def rows(sessions: Sessions, query: str, **values: Any) -> list[dict[str, Any]]:
    """What *query* finds."""
    async with sessions() as session:
        return [dict(row) for row in (await session.execute(text(query), values)).mappings()]
