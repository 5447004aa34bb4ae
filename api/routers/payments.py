"""What the payment provider tells us, signed, in any order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.answers import json_response
from api.body import parse, read_raw, require_json
from api.context import Context
from api.openapi import SIGNED, takes
from api.schemas.outward_views import AcceptedView
from api.signatures import require_stripe
from contracts import names
from db import inbox, payments
from db.inbox import Incoming
from db.payments import Standing
from domain.messages import PaymentFact

router = APIRouter(tags=["payments"])

# Stripe keeps most card authorizations for seven days when the charge does not say until when.
USUAL_LIFE = timedelta(days=7)
LATEST = 7_258_118_400
_FACT = TypeAdapter(PaymentFact)
_OUTCOMES = {
    "payment_intent.amount_capturable_updated": "authorized",
    "payment_intent.payment_failed": "failed",
    "checkout.session.expired": "expired",
}

Text = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00]+$")]


class _Lenient(BaseModel):
    """The provider adds fields as it likes; we read those that we need."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class StripeObject(_Lenient):
    """What an event is about: an intent or a checkout session."""

    id: Text | None = None
    metadata: dict[str, Any] | None = None
    latest_charge: Any = None
    last_payment_error: Any = None


class StripeData(_Lenient):
    """The event's wrapping of its object."""

    object: StripeObject


class StripeEvent(_Lenient):
    """One event of Stripe's; the rest of it is not read."""

    id: Text
    type: Text
    created: Annotated[int, Field(ge=0, le=LATEST)]
    data: StripeData


_SIGNATURE = {"name": "Stripe-Signature", "in": "header", "required": True, "schema": {"type": "string"}}


@router.post(
    "/v1/payments/stripe/events",
    status_code=202,
    response_model=AcceptedView,
    responses=SIGNED,
    openapi_extra=takes(StripeEvent, idempotent=False) | {"parameters": [_SIGNATURE]},
)
async def report_payment(request: Request) -> Response:
    """Take Stripe's signed event. Idempotent on its id; one that says nothing to an order is kept all the same."""
    context: Context = request.app.state.context
    raw = await read_raw(request)
    require_stripe(raw, request.headers.get("stripe-signature"), context.settings.stripe_webhook_secret)
    require_json(request)
    event = parse(StripeEvent, raw)
    fact = _fact(event)
    order_id = _text((event.data.object.metadata or {}).get("order_id"))
    async with context.sessions.begin() as session:
        new = await inbox.keep(session, await _incoming(session, event, fact, order_id, context.now()))
    return json_response({"duplicate": not new}, status=202)


async def _incoming(
    session: AsyncSession, event: StripeEvent, fact: PaymentFact | None, order_id: str | None, now: datetime
) -> Incoming:
    """What is kept of the event: it is told to the order only when that waits for the customer's act.

    While our own question is still on the wire its answer says the same, so the fact is kept and matched if that answer is
    that the customer must act.
    """
    kept = Incoming(
        source=names.PAYMENT_SOURCE,
        event_id=event.id,
        signal=None,
        fact={"id": event.id, "type": event.type},
        received_at=now,
    )
    if fact is None or order_id is None:
        return kept
    kept = replace(kept, fact=_FACT.dump_python(fact, mode="json", exclude_defaults=True))
    match await payments.standing(session, order_id, fact.authorization_id):
        case Standing.AWAITS_CUSTOMER:
            return replace(kept, signal=names.PAYMENT_FACT, order_id=order_id)
        case Standing.ASKED:
            return replace(kept, signal=names.PAYMENT_FACT, matches=fact.authorization_id)
        case Standing.SETTLED:
            return kept


def _fact(event: StripeEvent) -> PaymentFact | None:
    """What the event tells an order; None when it is of another kind or names no authorization of ours."""
    about = event.data.object
    outcome = _OUTCOMES.get(event.type)
    authorization_id = _text((about.metadata or {}).get("authorization_id"))
    if outcome is None or authorization_id is None:
        return None
    if outcome == "failed" and "by_link" in (about.metadata or {}):
        return None  # The customer may try another card on the same page until it expires.
    at = datetime.fromtimestamp(event.created, UTC)
    authorized = outcome == "authorized"
    return PaymentFact(
        id=names.fact_id(names.PAYMENT_SOURCE, event.id),
        authorization_id=authorization_id,
        outcome=outcome,
        occurred_at=at,
        reference=about.id if authorized else None,
        expires_at=(_capture_before(about.latest_charge) or at + USUAL_LIFE) if authorized else None,
        code=_decline_code(about.last_payment_error) if outcome == "failed" else None,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 255 and "\0" not in value else None


def _capture_before(charge: Any) -> datetime | None:
    """Until when the charge can be captured, where the event carries the charge itself and not only its id."""
    for name in ("payment_method_details", "card", "capture_before"):
        charge = charge.get(name) if isinstance(charge, dict) else None
    if not isinstance(charge, int) or isinstance(charge, bool) or not 0 <= charge <= LATEST:
        return None
    return datetime.fromtimestamp(charge, UTC)


def _decline_code(error: Any) -> str | None:
    if not isinstance(error, dict):
        return None
    return _text(error.get("decline_code")) or _text(error.get("code"))
