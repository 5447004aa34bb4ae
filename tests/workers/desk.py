"""One order that is written as the worker writes it and published as the publisher does; no engine takes part."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import httpx
from pydantic import TypeAdapter
from sqlalchemy import text

from contracts import names
from db import projection, publishing
from db.session import Sessions, autocommit
from domain.commands import LineUnits
from domain.messages import Decision, Message, StockReserved, StockShort
from domain.orders import Order
from domain.steps import ReserveStock, Step, next_steps
from tests.db.placing import place, rows, tell
from tests.domain import making
from tests.domain.making import Carrier, Warehouse
from tests.world.stage import World

ORDER: TypeAdapter[Order] = TypeAdapter(Order)


class Desk:
    """An order, and the customer behind it."""

    def __init__(self, sessions: Sessions, order: Order) -> None:
        self._sessions = sessions
        self.order = order
        tail = order.order_id.removeprefix("ord_")
        self.email = f"{tail}@example.org"
        self.phone = f"+44163296{abs(hash(tail)) % 10000:04d}"
        self.warehouse = Warehouse(f"ful_{tail}_1")

    @classmethod
    async def open(cls, sessions: Sessions, **contact: Any) -> Self:
        """A new order whose contact has mail and telephone of its own, unless *contact* says otherwise."""
        now = datetime.now(UTC)
        order_id = names.order_id(names.new_tail(now, os.urandom(7)))
        desk = cls(sessions, await place(sessions, making.make_order(order_id=order_id, now=now)))
        said: dict[str, Any] = {"email": desk.email, "phone": desk.phone, "notify": None} | contact
        columns = ", ".join(f"{name} = :{name}" for name in said)
        async with sessions.begin() as session:
            await session.execute(
                text(f"UPDATE order_contacts SET {columns} WHERE order_id = :order_id"), said | {"order_id": order_id}
            )
        return desk

    @classmethod
    async def take_over(cls, sessions: Sessions, order_id: str) -> Self:
        """An order that the API has taken, as it stands."""
        [row] = await rows(sessions, "SELECT snapshot FROM orders WHERE order_id = :id", id=order_id)
        return cls(sessions, ORDER.validate_python(row["snapshot"]))

    async def send(self, *messages: Message) -> None:
        """Apply and write *messages*, one move each, and publish their events."""
        for message in messages:
            self.order, move = tell(self.order, message, now=datetime.now(UTC))
            snapshot = ORDER.dump_json(self.order, exclude_defaults=True)
            async with self._sessions.begin() as session:
                await projection.write(session, move, snapshot=snapshot)
        await self.publish()

    async def publish(self) -> None:
        """Stamp every event that is committed."""
        async with autocommit(self._sessions)() as session:
            while await publishing.stamp(session, limit=1000):
                continue

    def step(self) -> Step:
        """The first open step."""
        return next(iter(next_steps(self.order).values()))

    async def finish_steps(self) -> None:
        """Answer every open step well until none is left."""
        while next_steps(self.order):
            expires_at = datetime.now(UTC) + timedelta(days=7)
            await self.send(making.done(self.order, self.step(), expires_at=expires_at))

    async def confirm(self) -> None:
        """Reserved, authorized, released to the warehouse."""
        await self.finish_steps()

    async def ship(self) -> Carrier:
        """Picked, packed, labelled, handed over; the carrier of the parcel."""
        lines = {line.line_id: line.quantity for line in self.order.lines}
        await self.send(self.warehouse.accepts(), self.warehouse.picks(lines), self.warehouse.packs({"A": lines}))
        await self.finish_steps()
        await self.send(self.warehouse.hands_over("A"))
        return Carrier(making.tracking_number(self.order.parcels[0].parcel_id), "swift")

    async def miss(self, lines: Mapping[str, int]) -> None:
        """Units are not found, and no other location has them either."""
        await self.send(self.warehouse.accepts(), self.warehouse.misses(lines))
        for step in next_steps(self.order).values():
            if isinstance(step, ReserveStock):
                short = tuple(LineUnits(line_id=line_id, quantity=quantity) for line_id, quantity in lines.items())
                await self.send(
                    StockReserved(step_key=step.key, fulfillments=(), short=short, decision=self._decision())
                )

    async def find_nothing(self) -> None:
        """There is no stock for what is to be reserved."""
        missing = tuple((line.sku, line.quantity) for line in self.order.lines)
        await self.send(StockShort(step_key=self.step().key, missing=missing, decision=self._decision()))

    def _decision(self) -> Decision:
        return making.decision("sourcing", self.order.order_id)

    async def notices(self) -> list[tuple[str, str, str]]:
        """(kind, channel, state) of every notice, in order."""
        found = await rows(
            self._sessions,
            "SELECT kind, channel, state FROM notices WHERE order_id = :order_id ORDER BY sequence",
            order_id=self.order.order_id,
        )
        return [(row["kind"], row["channel"], row["state"]) for row in found]

    async def events(self, kind: str) -> list[dict[str, Any]]:
        """The order's events of that kind."""
        return await rows(
            self._sessions,
            "SELECT sequence, data, actor_kind FROM order_events WHERE order_id = :order_id AND kind = :kind"
            " ORDER BY sequence",
            order_id=self.order.order_id,
            kind=kind,
        )

    def mails(self, world: World) -> list[dict[str, Any]]:
        """What arrived in the customer's mailbox."""
        return arrived(world, "mailbox", self.email)

    def texts(self, world: World) -> list[dict[str, Any]]:
        """What arrived on the customer's telephone."""
        return arrived(world, "phone", self.phone)


def arrived(world: World, place: str, to: str) -> list[dict[str, Any]]:
    """What the world keeps for *to*."""
    found: list[dict[str, Any]] = httpx.get(f"{world.url}/{place}", params={"to": to}, trust_env=False).json()
    return found
