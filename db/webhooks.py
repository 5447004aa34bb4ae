"""Webhook endpoints and deliveries in SQL: what is due, leased; what became of a try. Nothing is sent from here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import ApiKey, FulfillmentRow, OrderContact, OrderEvent, OrderRow, Product, WebhookEndpoint


async def ensure_endpoint(session: AsyncSession, *, key_name: str, url: str, secret: str, events: list[str]) -> None:
    """The endpoint that the key of that name owns has this address, secret and events; made when there is none.

    Raises:
        NoResultFound: there is no key of that name.
    """
    found = await session.execute(select(ApiKey.key_id).where(ApiKey.name == key_name, ApiKey.revoked_at.is_(None)))
    key_id = found.scalar_one()
    endpoint = await session.get(WebhookEndpoint, f"whk_{key_id}")
    if endpoint is None:
        session.add(WebhookEndpoint(endpoint_id=f"whk_{key_id}", key_id=key_id, url=url, secret=secret, events=events))
    else:
        endpoint.url, endpoint.secret, endpoint.events, endpoint.disabled_at = url, secret, events, None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one endpoint, to be sent now."""

    delivery_id: str
    order_id: str
    sequence: int
    kind: str
    attempts: int
    url: str
    secret: str = field(repr=False)


async def claim(session: AsyncSession, *, limit: int, lease: timedelta) -> list[Delivery]:
    """Up to *limit* deliveries that are due, oldest first, leased."""
    rows = await session.execute(
        text(
            "UPDATE webhook_deliveries d SET due_at = now() + :lease, attempts = attempts + 1"
            " FROM webhook_endpoints e WHERE e.endpoint_id = d.endpoint_id AND d.delivery_id IN ("
            "  SELECT delivery_id FROM webhook_deliveries WHERE delivered_at IS NULL AND due_at <= now()"
            "  ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED)"
            " RETURNING d.delivery_id, d.order_id, d.sequence, d.kind, d.attempts, e.url, e.secret"
        ),
        {"lease": lease, "limit": limit},
    )
    return [Delivery(**row) for row in rows.mappings()]


async def delivered(session: AsyncSession, delivery_ids: Sequence[str]) -> None:
    """Note that deliveries were taken."""
    if delivery_ids:
        await session.execute(
            text("UPDATE webhook_deliveries SET delivered_at = now() WHERE delivery_id = ANY(:ids)"),
            {"ids": list(delivery_ids)},
        )


async def failed(
    session: AsyncSession, delivery_id: str, *, wait: timedelta, status: int | None, error: str | None
) -> None:
    """Try the delivery again after *wait*."""
    await session.execute(
        text(
            "UPDATE webhook_deliveries SET due_at = now() + :wait, last_status = :status, last_error = :error"
            " WHERE delivery_id = :id"
        ),
        {"id": delivery_id, "wait": wait, "status": status, "error": error[:500] if error else None},
    )


async def next_due_in(session: AsyncSession) -> float | None:
    """Seconds until the earliest delivery is due, 0 when one is; None when there is none."""
    found = await session.execute(
        text("SELECT extract(epoch FROM min(due_at) - now()) FROM webhook_deliveries WHERE delivered_at IS NULL")
    )
    seconds = found.scalar()
    return None if seconds is None else max(0.0, float(seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class FulfillmentSource:
    """Everything a fulfillment's view is made from; personal data stays in memory and in the message."""

    snapshot: dict[str, Any] = field(repr=False)
    order_ref: str
    priority: int
    contact: OrderContact = field(repr=False)
    products: dict[str, tuple[str, str | None]]
    event: OrderEvent


async def fulfillment_source(session: AsyncSession, order_id: str, sequence: int) -> FulfillmentSource:
    """What the webhook for event *sequence* of the order, which names a fulfillment, is made from."""
    event = await session.get_one(OrderEvent, (order_id, sequence))
    order = await session.get_one(OrderRow, order_id)
    fulfillment = await session.get_one(FulfillmentRow, event.data["fulfillment_id"])
    contact = await session.get_one(OrderContact, (order_id, order.snapshot.get("contact_revision", 1)))
    rows = await session.execute(select(Product.sku, Product.name, Product.gtin).where(Product.sku.in_(order.skus)))
    return FulfillmentSource(
        snapshot=order.snapshot,
        order_ref=order.order_ref,
        priority=fulfillment.priority,
        contact=contact,
        products={row.sku: (row.name, row.gtin) for row in rows},
        event=event,
    )
