"""Webhook endpoints in SQL: each belongs to one key, which alone sees it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, func, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import ApiKey, WebhookDelivery, WebhookEndpoint
from domain.webhooks import OVERLAP, Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An endpoint, without its secrets."""

    endpoint_id: str
    url: str
    events: Sequence[str]
    description: str | None
    failures: int
    previous_until: datetime | None
    created_at: datetime
    disabled_at: datetime | None
    disabled_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEndpoint:
    """An endpoint to be made."""

    endpoint_id: str
    key_id: str
    url: str
    events: Sequence[str]
    description: str | None
    secret: str = field(repr=False)


_COLUMNS = tuple(getattr(WebhookEndpoint, name) for name in Endpoint.__dataclass_fields__)


async def ensure_endpoint(
    session: AsyncSession, *, key_name: str, url: str, secret: str, events: list[str], quick: bool = False
) -> None:
    """The endpoint that the key of that name owns has this address, secret and events; made when there is none.

    A *quick* one is tried again within seconds and for ever: it comes and goes with a development stack.

    Raises:
        NoResultFound: there is no key of that name.
    """
    found = await session.execute(select(ApiKey.key_id).where(ApiKey.name == key_name, ApiKey.revoked_at.is_(None)))
    key_id = found.scalar_one()
    endpoint = await session.get(WebhookEndpoint, f"whk_{key_id}")
    if endpoint is None:
        endpoint = WebhookEndpoint(endpoint_id=f"whk_{key_id}", key_id=key_id)
        session.add(endpoint)
    endpoint.url, endpoint.secret, endpoint.events = url, secret, events
    endpoint.profile = (Profile.QUICK if quick else Profile.STANDARD).value
    endpoint.disabled_at = endpoint.disabled_reason = None


async def count(session: AsyncSession, key_id: str) -> int:
    """How many endpoints the key has; nobody adds one to it until the transaction ends."""
    await session.execute(select(ApiKey.key_id).where(ApiKey.key_id == key_id).with_for_update())
    found = await session.execute(select(func.count()).where(WebhookEndpoint.key_id == key_id))
    return found.scalar_one()


async def add(session: AsyncSession, new: NewEndpoint) -> None:
    """Make the endpoint."""
    names = ("endpoint_id", "key_id", "url", "secret", "description")
    session.add(WebhookEndpoint(events=list(new.events), **{name: getattr(new, name) for name in names}))
    await session.flush()


async def find(session: AsyncSession, key_id: str, endpoint_id: str) -> Endpoint | None:
    """The key's endpoint with that id."""
    row = (
        await session.execute(
            select(*_COLUMNS).where(WebhookEndpoint.endpoint_id == endpoint_id, WebhookEndpoint.key_id == key_id)
        )
    ).one_or_none()
    return None if row is None else Endpoint(**row._mapping)


async def list_endpoints(
    session: AsyncSession, key_id: str, *, limit: int, after: tuple[datetime, str] | None
) -> list[Endpoint]:
    """At most *limit* of the key's endpoints, the oldest first, behind *after* (created_at, endpoint_id)."""
    place = (WebhookEndpoint.created_at, WebhookEndpoint.endpoint_id)
    query = select(*_COLUMNS).where(WebhookEndpoint.key_id == key_id).order_by(*place).limit(limit)
    if after is not None:
        query = query.where(tuple_(*place) > tuple_(*after))
    return [Endpoint(**row._mapping) for row in await session.execute(query)]


async def remove(session: AsyncSession, key_id: str, endpoint_id: str) -> bool:
    """Whether the key had this endpoint; it is gone now, with its deliveries."""
    found = await session.execute(
        delete(WebhookEndpoint)
        .where(WebhookEndpoint.endpoint_id == endpoint_id, WebhookEndpoint.key_id == key_id)
        .returning(WebhookEndpoint.endpoint_id)
    )
    return found.first() is not None


async def rotate(session: AsyncSession, endpoint_id: str, *, secret: str) -> None:
    """Sign with *secret* from now on; with the one that it replaces too, for the time of the overlap."""
    await session.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.endpoint_id == endpoint_id)
        .values(previous_secret=WebhookEndpoint.secret, previous_until=func.now() + OVERLAP, secret=secret)
    )


async def enable(session: AsyncSession, endpoint_id: str) -> None:
    """Tell the endpoint again, beginning with what is left from before."""
    await session.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.endpoint_id == endpoint_id)
        .values(disabled_at=None, disabled_reason=None, failures=0, failing_since=None)
    )
    await session.execute(
        update(WebhookDelivery)
        .where(
            WebhookDelivery.endpoint_id == endpoint_id,
            WebhookDelivery.delivered_at.is_(None),
            WebhookDelivery.given_up_at.is_(None),
            WebhookDelivery.due_at.is_(None),
        )
        .values(due_at=func.now())
    )


async def disable(session: AsyncSession, endpoint_id: str, *, reason: str) -> None:
    """Tell the endpoint nothing more; what is left waits until somebody enables it."""
    await session.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.endpoint_id == endpoint_id)
        .values(disabled_at=func.now(), disabled_reason=reason)
    )
    await session.execute(
        text("UPDATE webhook_deliveries SET due_at = NULL WHERE endpoint_id = :id AND due_at IS NOT NULL"),
        {"id": endpoint_id},
    )
