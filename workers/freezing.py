"""What webhooks say: the body of each delivery, built once from how things stand when its event is published."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import views
from db import publishing
from db.publishing import Wanted
from db.reading import fulfillments, orders
from db.webhooks import deliveries
from db.webhooks.deliveries import Delivery, NewDelivery
from runtime import tracking_links
from runtime.settings import Settings

log = structlog.get_logger(__name__)

T = TypeVar("T")
View = dict[str, Any]


class Freezer:
    """Queues deliveries with their bodies; *settings* say where an order's links lead."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def queue(self, session: AsyncSession, positions: range) -> None:
        """Queue the events at *positions* for every endpoint that asked for them and may see them."""
        wanted = await publishing.wanted(session, positions)
        if wanted:
            bodies = await self._bodies(session, wanted)
            await deliveries.queue(
                session,
                [
                    NewDelivery(
                        endpoint_id=one.endpoint_id,
                        order_id=one.order_id,
                        sequence=one.sequence,
                        position=one.position,
                        kind=one.kind,
                        body=bodies[one.position, one.fulfillment_id],
                    )
                    for one in wanted
                ],
            )

    async def body_of(self, session: AsyncSession, delivery: Delivery) -> str | None:
        """The body of a delivery that has none, as it is now and stays; None when nobody may see it any more."""
        position = delivery.position
        for one in await publishing.wanted(session, range(position, position + 1)):
            if one.endpoint_id == delivery.endpoint_id:
                body = (await self._bodies(session, [one]))[position, one.fulfillment_id]
                await deliveries.freeze(session, delivery.delivery_id, body=body)
                return body
        return None

    async def _bodies(self, session: AsyncSession, wanted: Sequence[Wanted]) -> dict[tuple[int, str | None], str]:
        """(position, fulfillment id) -> body; each view is built once, whatever the number of endpoints and events."""
        order_views = await _each({one.order_id for one in wanted if one.fulfillment_id is None}, session, self._order)
        work = await _each(
            {one.fulfillment_id for one in wanted if one.fulfillment_id is not None}, session, _fulfillment
        )
        bodies: dict[tuple[int, str | None], str] = {}
        for one in wanted:
            key = one.position, one.fulfillment_id
            if key in bodies:
                continue
            view = (
                {"order": order_views.get(one.order_id)}
                if one.fulfillment_id is None
                else {"fulfillment": work.get(one.fulfillment_id)}
            )
            bodies[key] = _body(one, view)
        return bodies

    async def _order(self, session: AsyncSession, order_id: str) -> View | None:
        stored = await orders.find_order(session, order_id)
        if stored is None:
            return None
        links = views.order_links(
            order_id,
            temporal_ui_url=self._settings.temporal_ui_url,
            temporal_namespace=self._settings.temporal_namespace,
        ) | {"tracking_page": tracking_links.path_of(order_id, self._settings)}
        return views.order_view(stored, links=links)


async def _fulfillment(session: AsyncSession, fulfillment_id: str) -> View | None:
    stored = await fulfillments.find_fulfillment(session, fulfillment_id)
    if stored is None:
        return None
    return views.fulfillment_view(
        stored.order,
        stored.order.fulfillment(fulfillment_id),
        order_ref=stored.order_ref,
        priority=stored.priority,
        ship_to=views.ship_to_view(name=stored.recipient, phone=stored.phone, address=stored.address),
        gift=stored.gift,
        products=stored.products,
    )


async def _each(
    ids: Iterable[str], session: AsyncSession, build: Callable[[AsyncSession, str], Awaitable[View | None]]
) -> dict[str, View | None]:
    """Id -> view; None for one that cannot be built: its event is told without, and the feed goes on."""
    found: dict[str, View | None] = {}
    for one in sorted(ids):
        try:
            found[one] = await build(session, one)
        except (LookupError, ValueError) as error:
            log.error("webhook_view_failed", subject=one, error=type(error).__name__)
            found[one] = None
        await asyncio.sleep(0)  # A full batch takes long enough for others to wait.
    return found


def _body(one: Wanted, view: View) -> str:
    event = views.event_view(
        sequence=one.sequence,
        kind=one.kind,
        at=one.at,
        actor_kind=one.actor_kind,
        actor_id=one.actor_id,
        data=one.data,
    )
    payload = {"type": one.kind, "timestamp": one.at, "data": {"event": event, **view}}
    return orjson.dumps(payload, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS).decode()
