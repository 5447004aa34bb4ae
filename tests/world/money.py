"""Authorizations that tests start from."""

from typing import Any

from providers.payment import Authorize, Authorized, StripePayments

from .stage import World


async def wanted(payments: StripePayments, **changes: Any) -> Authorize:
    """An authorization of 20.25 pounds for a new provider customer."""
    fields: dict[str, Any] = {
        "key": "ord_1:authorize:ful_1:1",
        "order_id": "ord_1",
        "payment_id": "pay_1",
        "authorization_id": "aut_1",
        "amount_minor": 2025,
        "currency": "GBP",
        "token": "pm_card_visa",
    } | changes
    if "customer_id" not in fields:
        fields["customer_id"] = await payments.create_customer(key=f"customer:{fields['key']}", order_id="ord_1")
    return Authorize(**fields)


async def held(payments: StripePayments, **changes: Any) -> Authorized:
    """A successful authorization."""
    outcome = await payments.authorize(await wanted(payments, **changes))
    assert isinstance(outcome, Authorized)
    return outcome


def keys(world: World, kind: str) -> list[str]:
    """The keys of one kind of effect."""
    return [entry["key"] for entry in world.ledger(kind=kind)]
