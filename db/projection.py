"""One move of an order, written whole: row, events, stock, fulfillments, parcels; strictly in the order of versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import DateTime, bindparam, cast, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import names
from contracts.orders import Move
from db import backorders, inventory
from db.models import OrderEvent, OrderRow, Reservation, StepMark
from domain.change import Event, LeaveQueue, StockEffect, UndoStep
from domain.inventory import StockChange
from domain.vocabulary import ActorKind, EventKind, MovementKind


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an order's row has got."""

    version: int
    last_sequence: int


async def lock_order(session: AsyncSession, order_id: str) -> Standing | None:
    """The row's version and last sequence, locked until the transaction ends; None when there is no such order."""
    found = await session.execute(
        select(OrderRow.version, OrderRow.last_sequence).where(OrderRow.order_id == order_id).with_for_update()
    )
    row = found.first()
    return None if row is None else Standing(version=row.version, last_sequence=row.last_sequence)


async def add_events(session: AsyncSession, order_id: str, events: Sequence[Event], *, after: int) -> int:
    """Append *events* behind sequence *after*, leaving out those told before; answers the last sequence.

    The caller holds the order row's lock.
    """
    if events:
        told = await session.execute(
            select(OrderEvent.cause_id, OrderEvent.ordinal).where(
                OrderEvent.order_id == order_id, OrderEvent.cause_id.in_({event.cause_id for event in events})
            )
        )
        known = {(row.cause_id, row.ordinal) for row in told}
        events = [event for event in events if (event.cause_id, event.ordinal) not in known]
    if not events:
        return after
    await session.execute(
        insert(OrderEvent).values(
            [
                {
                    "order_id": order_id,
                    "sequence": sequence,
                    "cause_id": event.cause_id,
                    "ordinal": event.ordinal,
                    "kind": event.kind.value,
                    "at": event.at,
                    "actor_kind": event.actor.value,
                    "actor_id": event.actor_id,
                    "data": event.data,
                }
                for sequence, event in enumerate(events, start=after + 1)
            ]
        )
    )
    return after + len(events)


# One statement for the whole move: each one more costs the worker a third of a millisecond, twelve times an order.
_WRITE = text(
    """
    WITH o AS (
        SELECT order_id, last_sequence, version > :version AS overtaken
        FROM orders WHERE order_id = :order_id FOR UPDATE
    ), fresh AS (
        SELECT e.*, o.last_sequence + row_number() OVER (ORDER BY e.place) AS sequence
        FROM o, ROWS FROM (jsonb_to_recordset(CAST(:events AS jsonb)) AS (cause_id text, ordinal int, kind text,
            at timestamptz, actor text, actor_id text, data jsonb)) WITH ORDINALITY
            AS e(cause_id, ordinal, kind, at, actor, actor_id, data, place)
        WHERE NOT o.overtaken AND NOT EXISTS (SELECT 1 FROM order_events t
            WHERE t.order_id = :order_id AND t.cause_id = e.cause_id AND t.ordinal = e.ordinal)
    ), told AS (
        INSERT INTO order_events (order_id, sequence, cause_id, ordinal, kind, at, actor_kind, actor_id, data)
        SELECT :order_id, sequence, cause_id, ordinal, kind, at, actor, actor_id, data FROM fresh ORDER BY sequence
    ), fulfilled AS (
        INSERT INTO fulfillments (fulfillment_id, order_id, location_id, state, priority, ship_by, released_at)
        SELECT f.fulfillment_id, :order_id, f.location_id, f.state, f.priority, f.ship_by, f.released_at
        FROM o, jsonb_to_recordset(CAST(:fulfillments AS jsonb)) AS f(fulfillment_id text, location_id text,
            state text, priority smallint, ship_by timestamptz, released_at timestamptz)
        WHERE NOT o.overtaken
        ON CONFLICT (fulfillment_id) DO UPDATE SET state = excluded.state, priority = excluded.priority,
            ship_by = excluded.ship_by, released_at = excluded.released_at
    ), boxed AS (
        INSERT INTO parcels (parcel_id, order_id, fulfillment_id, carrier, tracking_number, state, tracking_status)
        SELECT p.parcel_id, :order_id, p.fulfillment_id, p.carrier, p.tracking_number, p.state, p.tracking_status
        FROM o, jsonb_to_recordset(CAST(:parcels AS jsonb)) AS p(parcel_id text, fulfillment_id text, carrier text,
            tracking_number text, state text, tracking_status text)
        WHERE NOT o.overtaken
        ON CONFLICT (parcel_id) DO UPDATE SET carrier = excluded.carrier, tracking_number = excluded.tracking_number,
            state = excluded.state, tracking_status = excluded.tracking_status
    ), stored AS (
        UPDATE orders SET state = :state, priority = :priority, owner = :owner, next_step = :next_step,
            due_at = :due_at, attention = CAST(:attention AS text[])
                || ARRAY(SELECT DISTINCT c->>'code' FROM jsonb_array_elements(orders.row_attention) c),
            location_ids = CAST(:location_ids AS text[]),
            version = :version, changed_at = :at, closed_at = :closed_at, snapshot = CAST(:snapshot AS jsonb),
            last_sequence = o.last_sequence + (SELECT count(*) FROM fresh)
        FROM o WHERE orders.order_id = o.order_id AND NOT o.overtaken
        RETURNING CASE WHEN :notable THEN pg_notify(:decided, orders.order_id) END AS woken
    )
    SELECT overtaken, (SELECT count(woken) FROM stored) FROM o
    """
).bindparams(*(bindparam(name, type_=DateTime(timezone=True)) for name in ("due_at", "at", "closed_at")))


async def write(session: AsyncSession, move: Move, *, snapshot: bytes) -> None:
    """Write *move*, with *snapshot*, the order's value as it travelled; nothing when a later move was written before.

    Events told before are left out. Versions cannot tell which were: a workflow task that was lost after its write is done
    again with whatever signals have come meanwhile, and those come first. Whoever waits for the order hears of a notable
    move once it is committed.

    Raises:
        LookupError: the order has no row.
        IntegrityError: another write of the same move was committed while this one waited for it; it will find that done.
    """
    figures = move.figures
    found = await session.execute(
        _WRITE,
        {
            "order_id": move.order_id,
            "version": move.version,
            "at": move.at,
            "events": orjson.dumps(move.events).decode(),
            "fulfillments": orjson.dumps(move.fulfillments).decode(),
            "parcels": orjson.dumps(move.parcels).decode(),
            "state": figures.state.value,
            "priority": figures.priority,
            "owner": figures.owner.value if figures.owner else None,
            "next_step": figures.next_step,
            "due_at": figures.due_at,
            "attention": list(figures.attention),
            "location_ids": list(figures.location_ids),
            "closed_at": move.at if figures.is_closed else None,
            "snapshot": snapshot.decode(),
            "notable": move.notable,
            "decided": names.DECIDED_CHANNEL,
        },
    )
    if found.first() is None:
        raise LookupError(f"no row for {move.order_id}")


async def match_early_facts(session: AsyncSession, order_id: str, matches: Sequence[str]) -> None:
    """Send on the carrier facts that came before we knew their parcel.

    Holds the lock that the carriers' route takes for the same number, so that a fact is seen by one of the two.
    """
    for match in sorted(matches):
        await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:match, 0))"), {"match": match})
    await session.execute(
        text(
            "WITH matched AS (UPDATE inbox SET order_id = :order_id"
            " WHERE order_id IS NULL AND matches = ANY(:matches) RETURNING signal, fact, received_at)"
            " INSERT INTO outbox (workflow_id, order_id, kind, name, payload)"
            " SELECT :workflow_id, :order_id, 'signal', signal, fact FROM matched ORDER BY received_at"
        ),
        {"order_id": order_id, "matches": list(matches), "workflow_id": names.order_workflow_id(order_id)},
    )


async def apply_stock(session: AsyncSession, order_id: str, effects: Sequence[StockEffect], *, at: datetime) -> None:
    """Book what *effects* mean for stock, and take the units off their reservations; once per cause and place."""
    for effect in effects:
        cause = f"{order_id}/{effect.cause_id}/{effect.ordinal}"
        booked = await inventory.book(
            session,
            [
                StockChange(kind=kind, location_id=effect.location_id, sku=line.sku, quantity=sign * line.quantity)
                for kind, sign in effect.movements
                for line in effect.lines
            ],
            cause=cause,
            actor="order",
            at=at,
            rows_exist=True,
        )
        if booked:
            await _take_reserved(session, order_id, effect)


async def _take_reserved(session: AsyncSession, order_id: str, effect: StockEffect) -> None:
    await session.execute(
        text(
            "UPDATE reservations SET quantity = reservations.quantity - taken.quantity"
            " FROM unnest(CAST(:lines AS text[]), CAST(:quantities AS int[])) AS taken(line_id, quantity)"
            " WHERE reservations.order_id = :order_id AND reservations.fulfillment_id = :fulfillment_id"
            " AND reservations.line_id = taken.line_id"
        ),
        {
            "order_id": order_id,
            "fulfillment_id": effect.fulfillment_id,
            "lines": [line.line_id for line in effect.lines],
            "quantities": [line.quantity for line in effect.lines],
        },
    )


async def leave_queue(session: AsyncSession, order_id: str, effects: Sequence[LeaveQueue], *, at: datetime) -> None:
    """Take given-up units off the queue, and give back what was served meanwhile; once per cause and place."""
    for effect in effects:
        cause = f"{order_id}/{effect.cause_id}/{effect.ordinal}"
        if not await _first_time(session, cause):
            continue
        lines = [
            backorders.Waiting(line_id=line.line_id, sku=line.sku, quantity=line.quantity) for line in effect.lines
        ]
        back = await backorders.leave(session, order_id, lines, known=effect.known)
        await inventory.book(session, back, cause=cause, actor="order", at=at, rows_exist=True)


async def _first_time(session: AsyncSession, key: str) -> bool:
    """Whether nothing was done under *key* before."""
    marked = await session.execute(
        insert(StepMark).values(step_key=key, undone=False).on_conflict_do_nothing().returning(StepMark.step_key)
    )
    return marked.first() is not None


async def undo_steps(session: AsyncSession, order_id: str, undone: Sequence[UndoStep], *, at: datetime) -> None:
    """Leave a tombstone under each reservation's key; what it had promised before is given back."""
    for undo in undone:
        marked = await session.execute(
            insert(StepMark)
            .values(step_key=undo.step_key, undone=True)
            .on_conflict_do_update(index_elements=["step_key"], set_={"undone": True}, where=~StepMark.undone)
            .returning(StepMark.result)
        )
        mark = marked.first()
        if mark is not None and mark.result is not None:
            planned = mark.result["result"].get("fulfillments", [])
            fulfillment_ids = [fulfillment["fulfillment_id"] for fulfillment in planned]
            cause = f"{order_id}/{undo.cause_id}/undo"
            await _give_back(session, order_id, fulfillment_ids, cause=cause, at=at)
            waiting = [
                backorders.Waiting(line_id=line["line_id"], sku="", quantity=line["quantity"])
                for line in mark.result["result"].get("backordered", [])
            ]
            known = [*undo.known, *fulfillment_ids]
            back = await backorders.leave(session, order_id, waiting, known=known)
            await inventory.book(session, back, cause=f"{cause}/queue", actor="order", at=at, rows_exist=True)


async def _give_back(
    session: AsyncSession, order_id: str, fulfillment_ids: Sequence[str], *, cause: str, at: datetime
) -> None:
    """Take back what was promised for fulfillments that will never be: the next attempt may use their ids again."""
    rows = await session.execute(
        delete(Reservation)
        .where(Reservation.order_id == order_id, Reservation.fulfillment_id.in_(fulfillment_ids))
        .returning(Reservation.location_id, Reservation.sku, Reservation.quantity)
    )
    changes = [
        StockChange(kind=MovementKind.UNRESERVED, location_id=row.location_id, sku=row.sku, quantity=row.quantity)
        for row in rows
        if row.quantity
    ]
    await inventory.book(session, changes, cause=cause, actor="order", at=at, rows_exist=True)


async def record_fact_after_end(
    session: AsyncSession, order_id: str, event: Event, *, attention: Mapping[str, Any] | None = None
) -> bool:
    """Append *event* to an order that has closed, and the case it opens; False when it was told before. Locks the row."""
    standing = await lock_order(session, order_id)
    if standing is None:
        return False
    told = [event] if attention is None else [event, _opened(event, attention)]
    last = await add_events(session, order_id, told, after=standing.last_sequence)
    if last == standing.last_sequence:
        return False
    values: dict[str, Any] = {"last_sequence": last, "changed_at": event.at}
    if attention is not None:
        values["row_attention"] = OrderRow.row_attention + func.jsonb_build_array(cast(attention, JSONB))
        values["attention"] = func.array_append(OrderRow.attention, attention["code"])
    await session.execute(update(OrderRow).where(OrderRow.order_id == order_id).values(**values))
    return True


def _opened(event: Event, case: Mapping[str, Any]) -> Event:
    """The event that the case which *event* brought stands open."""
    data = {name: case[name] for name in ("attention_id", "code", "subject", "owner", "cause")}
    return replace(event, ordinal=1, kind=EventKind.ATTENTION_OPENED, actor=ActorKind.SYSTEM, actor_id=None, data=data)


async def append_note_event(
    session: AsyncSession, order_id: str, note_id: str, *, actor_kind: ActorKind, actor_id: str, at: datetime
) -> None:
    """Tell in the order's timeline that a note was written, once; the workflow need not know. Locks the row."""
    standing = await lock_order(session, order_id)
    if standing is None:
        raise LookupError(f"no row for {order_id}")
    event = Event(
        cause_id=note_id,
        ordinal=0,
        kind=EventKind.ORDER_NOTE_ADDED,
        at=at,
        actor=actor_kind,
        actor_id=actor_id,
        data={"note_id": note_id},
    )
    last = await add_events(session, order_id, [event], after=standing.last_sequence)
    await session.execute(
        update(OrderRow).where(OrderRow.order_id == order_id).values(last_sequence=last, changed_at=at)
    )
