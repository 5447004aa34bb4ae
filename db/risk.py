"""What came before an order, counted for the rules of risk: by customer, by address, by card; writes nothing."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import DateTime, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import names
from domain.policy import Rules
from domain.risk import Past

# Of a customer with more orders than this only the newest count: what is read has a bound.
NEWEST = 100

# Order ids begin with their time, so that one index finds the orders of an address or a card within the window, each once.
_PAST = text(
    """
    WITH mine AS (
        SELECT source, state, received_at FROM orders WHERE customer_ref = :customer_ref
        ORDER BY received_at DESC LIMIT :newest
    )
    SELECT
        NOT EXISTS (SELECT 1 FROM mine WHERE source = :source AND state <> 'rejected') AS first_order,
        (SELECT count(*) FROM mine WHERE source = :source AND received_at > :since) AS customer_orders,
        (SELECT count(*) FROM (
            SELECT DISTINCT order_id FROM order_contacts
            WHERE address_fingerprint = :address AND order_id > :since_id ORDER BY order_id LIMIT :most_of_address
        ) AS a) AS address_orders,
        (SELECT coalesce(max(n), 0) FROM unnest(CAST(:cards AS bytea[])) AS c(fingerprint), LATERAL (
            SELECT count(*) AS n FROM (
                SELECT DISTINCT order_id FROM payment_tokens
                WHERE token_fingerprint = c.fingerprint AND order_id > :since_id ORDER BY order_id LIMIT :most_of_card
            ) AS p
        ) AS counted) AS card_orders
    """
).bindparams(bindparam("since", type_=DateTime(timezone=True)))


async def find_past(
    session: AsyncSession,
    *,
    source: str,
    customer_ref: str,
    address: bytes | None,
    cards: Sequence[bytes],
    rules: Rules,
    now: datetime,
) -> Past:
    """What came before an order of that customer of *source*, to that address, by those cards (fingerprints).

    Orders that are being taken at the same moment do not see each other.
    """
    since = now - rules.risk_window
    row = (
        await session.execute(
            _PAST,
            {
                "source": source,
                "customer_ref": customer_ref,
                "newest": max(NEWEST, rules.risk_customer_velocity_orders),
                "since": since,
                "since_id": names.order_id(names.new_tail(since, bytes(7))),
                "address": address,
                "most_of_address": rules.risk_address_velocity_orders,
                "cards": list(cards),
                "most_of_card": rules.risk_card_velocity_orders,
            },
        )
    ).one()
    return Past(
        first_order=row.first_order,
        customer_orders=row.customer_orders,
        address_orders=row.address_orders,
        card_orders=row.card_orders,
    )
