"""Effects in the outside world, written ahead of the call and settled after it; tombstones stop one that was given up."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Operation
from domain.vocabulary import OperationKind, OperationState


async def begin(
    session: AsyncSession,
    *,
    key: str,
    order_id: str,
    kind: OperationKind,
    subject: str,
    request: Mapping[str, Any],
    now: datetime,
    lease: timedelta,
    amount_minor: int | None = None,
    currency: str | None = None,
) -> Operation:
    """The operation under *key*: written now as ``sending``, or as it stands, with its first request.

    The lease is renewed for one that is still sending, unless it has a tombstone.
    """
    statement = insert(Operation).values(
        key=key,
        order_id=order_id,
        kind=kind.value,
        subject=subject,
        state=OperationState.SENDING.value,
        amount_minor=amount_minor,
        currency=currency,
        request=dict(request),
        started_at=now,
        leased_until=now + lease,
    )
    still_sending = and_(Operation.state == OperationState.SENDING.value, Operation.tombstoned_at.is_(None))
    leased_until = case((still_sending, statement.excluded.leased_until), else_=Operation.leased_until)
    begun = await session.execute(
        statement.on_conflict_do_update(index_elements=["key"], set_={"leased_until": leased_until}).returning(
            Operation
        ),
        execution_options={"populate_existing": True},
    )
    return begun.scalar_one()


async def lock(session: AsyncSession, key: str) -> Operation | None:
    """The operation under *key*, locked; None when there is none."""
    found = await session.execute(select(Operation).where(Operation.key == key).with_for_update())
    return found.scalar_one_or_none()


async def find(session: AsyncSession, key: str) -> Operation | None:
    """The operation under *key*, not locked; None when there is none."""
    return await session.get(Operation, key)


async def settle(
    session: AsyncSession,
    key: str,
    *,
    state: OperationState,
    result: Mapping[str, Any],
    now: datetime,
    reference: str | None = None,
) -> None:
    """Write what became of the operation; one that is settled stays as it is."""
    await session.execute(
        update(Operation)
        .where(Operation.key == key, Operation.state == OperationState.SENDING.value)
        .values(
            state=state.value,
            result=dict(result),
            reference=reference,
            settled_at=now,
            leased_until=None,
        )
        .execution_options(synchronize_session=False)
    )


async def bury(
    session: AsyncSession,
    *,
    key: str,
    order_id: str,
    kind: OperationKind,
    subject: str,
    now: datetime,
) -> Operation:
    """Leave a tombstone under *key*: one that never began is failed now and for ever; answers it as it stands, locked."""
    await session.execute(
        insert(Operation)
        .values(
            key=key,
            order_id=order_id,
            kind=kind.value,
            subject=subject,
            state=OperationState.FAILED.value,
            request={},
            result={"given_up": True},
            tombstoned_at=now,
            started_at=now,
            settled_at=now,
        )
        .on_conflict_do_nothing()
    )
    operation = await lock(session, key)
    assert operation is not None  # inserted above, and operations are never deleted
    operation.tombstoned_at = operation.tombstoned_at or now
    return operation
