"""Our words as Stripe's parameters, and Stripe's objects and errors as our words."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import stripe

from providers.errors import ProviderRejected, ProviderUnavailable, retry_after_seconds
from providers.payment.contract import ActionRequired, Authorize, Authorized, Captured, Declined, Voided

if TYPE_CHECKING:
    from stripe._stripe_object import UntypedStripeObject
    from stripe.params import PaymentIntentCreateParams
    from stripe.params.checkout import SessionCreateParams

# Stripe holds a card authorization for seven days unless the charge names another moment.
AUTHORIZATION_LIFE = timedelta(days=7)
# A payer who was sent away to authenticate is expected back within a day.
ACTION_LIFE = timedelta(days=1)


def _labels(request: Authorize) -> dict[str, str]:
    return {
        "order_id": request.order_id,
        "payment_id": request.payment_id,
        "authorization_id": request.authorization_id,
    }


def names(metadata: "UntypedStripeObject[str] | None", authorization_id: str) -> bool:
    """Whether *metadata* is that of *authorization_id*."""
    return metadata is not None and "authorization_id" in metadata and metadata["authorization_id"] == authorization_id


def intent_params(request: Authorize, return_url: str) -> "PaymentIntentCreateParams":
    """A card attempt that holds money and takes none."""
    params: PaymentIntentCreateParams = {
        "amount": request.amount_minor,
        "currency": request.currency.lower(),
        "customer": request.customer_id,
        "capture_method": "manual",
        "confirm": True,
        "allowed_payment_method_types": ["card"],
        "metadata": _labels(request),
        "expand": ["latest_charge"],
    }
    if request.saved_method_id is not None:
        params["payment_method"] = request.saved_method_id
        params["off_session"] = True
        return params
    params["payment_method"] = request.token or ""
    params["return_url"] = return_url
    if request.save_method:
        params["setup_future_usage"] = "off_session"
    return params


def session_params(request: Authorize, return_url: str) -> "SessionCreateParams":
    """A page where the customer pays; the money is only held."""
    params: SessionCreateParams = {
        "mode": "payment",
        "customer": request.customer_id,
        "client_reference_id": request.payment_id,
        "success_url": return_url,
        "allowed_payment_method_types": ["card"],
        "metadata": _labels(request),
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": request.currency.lower(),
                    "unit_amount": request.amount_minor,
                    "product_data": {"name": f"Order {request.order_id}"},
                },
            }
        ],
        # A refused card leaves the page open: its event must not be taken for the end of the attempt.
        "payment_intent_data": {"capture_method": "manual", "metadata": {**_labels(request), "by_link": "yes"}},
    }
    if request.save_method:
        params["payment_intent_data"]["setup_future_usage"] = "off_session"
    return params


def intent_outcome(intent: stripe.PaymentIntent) -> Authorized | Declined | ActionRequired | Voided | Captured:
    """Where a payment intent stands."""
    if intent.status == "requires_capture":
        return _authorized(intent)
    if intent.status == "succeeded":
        return Captured(reference=intent.id, amount_minor=intent.amount_received)
    if intent.status == "canceled":
        return Voided(reference=intent.id)
    if intent.status == "requires_action":
        redirect = intent.next_action.redirect_to_url if intent.next_action else None
        expires_at = _moment(intent.created) + ACTION_LIFE
        return ActionRequired(reference=intent.id, url=(redirect and redirect.url) or "", expires_at=expires_at)
    if intent.status == "processing":
        raise ProviderUnavailable(f"{intent.id} is still processing")
    error = intent.last_payment_error
    return Declined(code=(error and (error.decline_code or error.code)) or "not_completed", reference=intent.id)


def as_attempt(intent: stripe.PaymentIntent) -> Authorized | Declined | ActionRequired:
    """What became of the attempt to hold money, whatever happened to the money later."""
    outcome = intent_outcome(intent)
    if isinstance(outcome, Captured):
        return _authorized(intent)
    if isinstance(outcome, Voided):
        return Declined(code="canceled", reference=intent.id)
    return outcome


def session_attempt(
    session: stripe.checkout.Session, attempt: Authorized | Declined | ActionRequired | None
) -> Authorized | Declined | ActionRequired:
    """What became of a link to pay, given the intent that was found for it."""
    if session.status == "open":
        return session_action(session)
    return attempt or Declined(code="canceled", reference=session.id)


def session_action(session: stripe.checkout.Session) -> ActionRequired:
    """The open page as something the customer must do."""
    return ActionRequired(reference=session.id, url=session.url or "", expires_at=_moment(session.expires_at))


def _authorized(intent: stripe.PaymentIntent) -> Authorized:
    method = id_of(intent.payment_method) if intent.payment_method is not None else None
    return Authorized(
        reference=intent.id,
        saved_method_id=method if intent.setup_future_usage else None,
        expires_at=_held_until(intent),
    )


def _held_until(intent: stripe.PaymentIntent) -> datetime:
    charge = intent.latest_charge
    if not isinstance(charge, stripe.Charge):
        return _moment(intent.created) + AUTHORIZATION_LIFE
    card = charge.payment_method_details.card if charge.payment_method_details else None
    if card is not None and card.capture_before:
        return _moment(card.capture_before)
    return _moment(charge.created) + AUTHORIZATION_LIFE


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def id_of(thing: "str | stripe.PaymentIntent | stripe.PaymentMethod") -> str:
    """The id of an object that Stripe may give expanded."""
    return thing if isinstance(thing, str) else thing.id


@contextmanager
def translated() -> Iterator[None]:
    """Stripe's errors as ours, except a card's refusal and an invalid request, which mean something to each call."""
    try:
        yield
    except (stripe.CardError, stripe.InvalidRequestError):
        raise
    except stripe.IdempotencyError as error:
        raise ProviderRejected("idempotency_mismatch", "the key was used with other parameters") from error
    except stripe.StripeError as error:
        # A wrong or revoked key (401, 403) is ours to mend, and must not end an order as a refusal would.
        raise _unavailable(error) from error


@contextmanager
def refusing() -> Iterator[None]:
    """An invalid request as a definite refusal."""
    try:
        yield
    except stripe.InvalidRequestError as error:
        raise rejected(error) from error


def _unavailable(error: stripe.StripeError) -> ProviderUnavailable:
    headers: Mapping[str, str] = error.headers or {}
    reason = f"{type(error).__name__} (HTTP {error.http_status or 'no answer'})"
    return ProviderUnavailable(reason, retry_after=retry_after_seconds(headers.get("retry-after")))


def rejected(error: stripe.InvalidRequestError) -> ProviderRejected:
    """An invalid request as our definite refusal."""
    return ProviderRejected(error.code or "invalid_request", error.user_message or "")


def card_code(error: stripe.CardError) -> str:
    """The issuer's reason, else Stripe's."""
    decline_code = error.error.decline_code if error.error else None
    return decline_code or error.code or "card_declined"


def intent_id(error: stripe.CardError) -> str | None:
    """The intent a refused card left behind."""
    intent = error.error.payment_intent if error.error else None
    return intent.id if intent else None


def intent_status(error: stripe.InvalidRequestError) -> str | None:
    """The state that made a request illegal."""
    intent = error.error.payment_intent if error.error else None
    return intent.status if intent else None
