"""Holding an answer until an order's first decision, for callers that prefer to wait."""

import asyncio
import re

from api.answers import Answer, answer
from api.context import Context
from api.views import order_view
from db.reading import orders
from domain.orders import Order, order_state
from domain.vocabulary import OrderState, PaymentState

LONGEST_WAIT = 10.0
# Should the listening connection be lost, waiters look by themselves this often.
LOOK_EVERY = 2.0
_PREFER_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?\s*(?:$|[,;])")


def preferred_wait(prefer: str | None) -> float:
    """The seconds that a ``Prefer: wait=N`` header asks for, at most 10; 0 without one (RFC 7240: else ignored)."""
    found = _PREFER_WAIT.search(prefer or "")
    return 0.0 if found is None else min(float(found[1]), LONGEST_WAIT)


def decided(order: Order) -> bool:
    """Whether the first decision fell: confirmed or beyond, rejected, held, or the customer must act to pay."""
    return (
        order_state(order) is not OrderState.RECEIVED
        or bool(order.holds)
        or any(authorization.state is PaymentState.ACTION_REQUIRED for authorization in order.authorizations)
    )


async def first_decision(context: Context, given: Answer, *, order_id: str, seconds: float) -> Answer:
    """*given* with the order as it is at its first decision, or *given* itself when none falls within *seconds*."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    async with context.decisions.watch(order_id) as changed:
        while True:
            async with context.sessions() as session:
                stored = await orders.find_order(session, order_id)
            if stored is not None and decided(stored.order):
                view = order_view(stored, context.settings)
                return answer(view, status=given.status, headers=given.headers)
            left = until - loop.time()
            if left <= 0:
                return given
            try:
                async with asyncio.timeout(min(left, LOOK_EVERY)):
                    await changed.wait()
            except TimeoutError:
                continue
            changed.clear()
