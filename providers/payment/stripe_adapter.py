"""The payment provider as Stripe: one call of the official library per method, always with our own key."""

import stripe

from providers.errors import ProviderRejected, ProviderUnavailable
from providers.payment.contract import (
    ActionRequired,
    Authorize,
    Authorized,
    Captured,
    CaptureRefused,
    Declined,
    Refunded,
    RefundRefused,
    Voided,
)
from providers.payment.mapping import (
    as_attempt,
    card_code,
    id_of,
    intent_id,
    intent_outcome,
    intent_params,
    intent_status,
    names,
    refusing,
    rejected,
    session_action,
    session_attempt,
    session_params,
    translated,
)
from providers.payment.stripe_http import StripeHttp

SESSION_PREFIX = "cs_"


class StripePayments:
    """`PaymentProvider` over Stripe, or over anything that speaks its dialect at *url*."""

    def __init__(self, *, key: str, url: str | None = None, return_url: str = "http://localhost:8700/") -> None:
        self._http = StripeHttp()
        self._client = stripe.StripeClient(
            key,
            base_addresses={"api": url.rstrip("/")} if url else {},
            http_client=self._http,
            max_network_retries=0,
        )
        self._return_url = return_url

    async def close(self) -> None:
        """Every connection is closed."""
        await self._http.close_async()

    async def create_customer(self, *, key: str, order_id: str) -> str:
        """See `PaymentProvider.create_customer`; no personal data leaves us."""
        with translated():
            customer = await self._client.v1.customers.create_async(
                {"metadata": {"order_id": order_id}}, {"idempotency_key": key}
            )
        return customer.id

    async def authorize(self, request: Authorize) -> Authorized | Declined | ActionRequired:
        """See `PaymentProvider.authorize`. A means of payment that Stripe will not use at all is a decline."""
        if request.token is None and request.saved_method_id is None:
            return await self._send_link(request)
        try:
            with translated():
                intent = await self._client.v1.payment_intents.create_async(
                    intent_params(request, self._return_url), {"idempotency_key": request.key}
                )
        except stripe.CardError as error:
            return Declined(code=card_code(error), reference=intent_id(error))
        except stripe.InvalidRequestError as error:
            if error.param == "payment_method":
                return Declined(code=error.code or "payment_method_unusable", reference=None)
            raise rejected(error) from error
        outcome = intent_outcome(intent)
        if isinstance(outcome, Captured | Voided):
            raise ProviderUnavailable(f"a new authorization is already {intent.status}")
        return outcome

    async def _send_link(self, request: Authorize) -> ActionRequired:
        with translated(), refusing():
            session = await self._client.v1.checkout.sessions.create_async(
                session_params(request, self._return_url), {"idempotency_key": request.key}
            )
        return session_action(session)

    async def capture(self, *, key: str, reference: str, amount_minor: int) -> Captured | CaptureRefused:
        """See `PaymentProvider.capture`; one that was taken under another key is refused as `already_captured`."""
        try:
            with translated():
                intent = await self._client.v1.payment_intents.capture_async(
                    reference, {"amount_to_capture": amount_minor}, {"idempotency_key": key}
                )
        except stripe.CardError as error:
            return CaptureRefused(code=card_code(error))
        except stripe.InvalidRequestError as error:
            if error.code == "resource_missing":
                raise rejected(error) from error
            captured = intent_status(error) == "succeeded"
            return CaptureRefused(code="already_captured" if captured else error.code or "invalid_request")
        return Captured(reference=intent.id, amount_minor=intent.amount_received)

    async def void(self, *, key: str, reference: str) -> Voided:
        """See `PaymentProvider.void`; a link that was paid meanwhile has its hold given back."""
        if not reference.startswith(SESSION_PREFIX):
            return await self._cancel(key=key, reference=reference)
        session = await self._read_session(reference)
        if session.status == "open":
            try:
                with translated():
                    await self._client.v1.checkout.sessions.expire_async(reference, {}, {"idempotency_key": key})
                return Voided(reference=reference)
            except (stripe.InvalidRequestError, ProviderRejected):
                session = await self._read_session(reference)
        if session.status != "complete" or session.payment_intent is None:
            return Voided(reference=reference)
        intent_id = id_of(session.payment_intent)
        try:
            return await self._cancel(key=key, reference=intent_id)
        except ProviderRejected as error:
            if error.code != "idempotency_mismatch":
                raise
            # The key was spent on expiring the session just before the customer paid.
            return await self._cancel(key=f"{key}:intent", reference=intent_id)

    async def _cancel(self, *, key: str, reference: str) -> Voided:
        try:
            with translated():
                await self._client.v1.payment_intents.cancel_async(reference, {}, {"idempotency_key": key})
        except stripe.InvalidRequestError as error:
            status = intent_status(error)
            if status == "succeeded":
                raise ProviderRejected("already_captured", f"{reference} was captured") from error
            if status != "canceled":
                raise rejected(error) from error
        return Voided(reference=reference)

    async def refund(self, *, key: str, reference: str, amount_minor: int) -> Refunded | RefundRefused:
        """See `PaymentProvider.refund`; a refund the bank still works on counts as given back."""
        try:
            with translated():
                refund = await self._client.v1.refunds.create_async(
                    {"payment_intent": reference, "amount": amount_minor}, {"idempotency_key": key}
                )
        except stripe.CardError as error:
            return RefundRefused(code=card_code(error))
        except stripe.InvalidRequestError as error:
            if error.code == "resource_missing":
                raise rejected(error) from error
            return RefundRefused(code=error.code or "invalid_request")
        if refund.status in ("failed", "canceled"):
            return RefundRefused(code=refund.failure_reason or refund.status)
        return Refunded(reference=refund.id)

    async def find_authorization(
        self, *, customer_id: str, authorization_id: str
    ) -> Authorized | Declined | ActionRequired | None:
        """See `PaymentProvider.find_authorization`; lists by customer, because Stripe's search lags behind."""
        attempt: Authorized | Declined | ActionRequired | None = None
        with translated(), refusing():
            intents = await self._client.v1.payment_intents.list_async(
                {"customer": customer_id, "limit": 100, "expand": ["data.latest_charge"]}
            )
            async for intent in intents.auto_paging_iter():
                if names(intent.metadata, authorization_id):
                    attempt = as_attempt(intent)
                    break
            if attempt is not None and not isinstance(attempt, Declined):
                return attempt
            # A link stays open after a failed attempt to pay it.
            sessions = await self._client.v1.checkout.sessions.list_async({"customer": customer_id, "limit": 100})
            async for session in sessions.auto_paging_iter():
                if names(session.metadata, authorization_id):
                    return session_attempt(session, attempt)
        return attempt

    async def read_authorization(self, *, reference: str) -> Authorized | Declined | ActionRequired | Voided | Captured:
        """See `PaymentProvider.read_authorization`; for a paid link the answer names its payment intent."""
        intent_id = reference
        if reference.startswith(SESSION_PREFIX):
            session = await self._read_session(reference)
            if session.status == "open":
                return session_action(session)
            if session.status != "complete" or session.payment_intent is None:
                return Voided(reference=reference)
            intent_id = id_of(session.payment_intent)
        with translated(), refusing():
            intent = await self._client.v1.payment_intents.retrieve_async(intent_id, {"expand": ["latest_charge"]})
        return intent_outcome(intent)

    async def _read_session(self, reference: str) -> stripe.checkout.Session:
        with translated(), refusing():
            return await self._client.v1.checkout.sessions.retrieve_async(reference)
