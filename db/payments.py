"""What the payment provider needs to know of a payment: token, customer, saved method; no rules."""

from dataclasses import dataclass, field
from enum import Enum, auto

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Operation, PaymentToken
from domain.steps import authorize_key
from domain.vocabulary import OperationState


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentMeans:
    """How one payment can be taken; never logged."""

    payment_id: str
    token: str | None = field(repr=False)
    customer_id: str | None
    saved_method_id: str | None


async def means(session: AsyncSession, payment_id: str) -> PaymentMeans:
    """How the payment can be taken; raises NoResultFound when there is no such payment."""
    found = await session.execute(
        select(
            PaymentToken.payment_id, PaymentToken.token, PaymentToken.customer_id, PaymentToken.saved_method_id
        ).where(PaymentToken.payment_id == payment_id)
    )
    return PaymentMeans(**found.mappings().one())


async def keep_customer(session: AsyncSession, payment_id: str, customer_id: str) -> None:
    """Remember the provider's customer for this payment."""
    await session.execute(
        update(PaymentToken).where(PaymentToken.payment_id == payment_id).values(customer_id=customer_id)
    )


async def keep_saved_method(session: AsyncSession, payment_id: str, saved_method_id: str) -> None:
    """Remember the method that the provider keeps for later authorizations of this payment."""
    await session.execute(
        update(PaymentToken).where(PaymentToken.payment_id == payment_id).values(saved_method_id=saved_method_id)
    )


class Standing(Enum):
    """How far our asking the provider to hold money has got."""

    ASKED = auto()
    AWAITS_CUSTOMER = auto()
    SETTLED = auto()


async def standing(session: AsyncSession, order_id: str, authorization_id: str) -> Standing:
    """How far this authorization has got; holds its lock, under which early facts are matched too."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:match, 0))"), {"match": authorization_id}
    )
    found = await session.execute(
        select(Operation.state, Operation.result).where(Operation.key == authorize_key(order_id, authorization_id))
    )
    row = found.first()
    if row is None or row.state == OperationState.SENDING:
        return Standing.ASKED
    asked_customer = (row.result or {}).get("kind") == "PaymentActionRequired"
    return Standing.AWAITS_CUSTOMER if asked_customer else Standing.SETTLED
