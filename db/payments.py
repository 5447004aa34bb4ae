"""What the payment provider needs to know of a payment: token, customer, saved method; no rules."""

from dataclasses import dataclass, field

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import PaymentToken


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
