"""Holding, taking and giving back money: each written ahead, called once in effect, and settled; no rules."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.faults import provider_call
from activities.results import keep, kept
from db import operations, payments, projection
from db.models import Operation
from db.payments import PaymentMeans
from db.session import Sessions, autocommit
from domain.messages import (
    CaptureRefused,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentVoided,
)
from domain.steps import AuthorizePayment, CapturePayment, VoidAuthorization
from domain.vocabulary import OperationKind, OperationState
from providers.payment import (
    ActionRequired,
    Authorize,
    Authorized,
    Captured,
    Declined,
    PaymentProvider,
    Voided,
)
from providers.payment import CaptureRefused as Refused

LEASE = timedelta(seconds=25)
KEY_LIFE = timedelta(hours=20)

Attempt = PaymentAuthorized | PaymentDeclined | PaymentActionRequired


class PaymentActivities:
    """Talks to the payment provider, once in effect per key."""

    def __init__(self, sessions: Sessions, provider: PaymentProvider) -> None:
        self._sessions = sessions
        self._single = autocommit(sessions)
        self._provider = provider

    @activity.defn
    async def authorize_payment(self, request: AuthorizePayment) -> Attempt:
        """Hold the money; a decline, or the customer having to act, is a result. Idempotent on ``request.key``."""
        async with self._single() as session:
            before = await operations.find(session, request.key)
            means = await payments.means(session, request.payment_id)
        if before is not None and _is_over(before):
            return _settled_attempt(request, before)
        operation = await self._begin_attempt(request, await self._with_customer(request, means))
        if _is_over(operation):
            return _settled_attempt(request, operation)
        with provider_call():
            answer = await self._ask(request, means.token, operation)
        return await self._settle_attempt(request, answer)

    async def _with_customer(self, request: AuthorizePayment, means: PaymentMeans) -> PaymentMeans:
        """The payment with its provider customer and, once an earlier hold saved it, its method."""
        customer_id, saved_method_id = means.customer_id, means.saved_method_id
        if customer_id is None:
            with provider_call():
                customer_id = await self._provider.create_customer(
                    key=f"{request.order_id}:customer:{request.payment_id}:1", order_id=request.order_id
                )
            async with self._single() as session:
                await payments.keep_customer(session, request.payment_id, customer_id)
        if saved_method_id is None and request.saved_by is not None:
            with provider_call():
                first = await self._provider.read_authorization(reference=request.saved_by)
            if isinstance(first, Authorized):
                saved_method_id = first.saved_method_id
        return replace(means, customer_id=customer_id, saved_method_id=saved_method_id)

    async def _begin_attempt(self, request: AuthorizePayment, means: PaymentMeans) -> Operation:
        """The operation with the body that is sent: the first one, however often this is repeated."""
        async with self._single() as session:
            return await operations.begin(
                session,
                key=request.key,
                order_id=request.order_id,
                kind=OperationKind.AUTHORIZATION,
                subject=request.authorization_id,
                amount_minor=request.amount_minor,
                currency=request.currency,
                request={
                    "payment_id": request.payment_id,
                    "amount_minor": request.amount_minor,
                    "customer_id": means.customer_id,
                    "saved_method_id": means.saved_method_id if request.saved_by else None,
                },
                now=datetime.now(UTC),
                lease=LEASE,
            )

    async def _ask(
        self, request: AuthorizePayment, token: str | None, operation: Operation
    ) -> Authorized | Declined | ActionRequired:
        """Ask under our key while the provider keeps keys; after that look for what was asked before, and never send."""
        body = operation.request
        if datetime.now(UTC) - operation.started_at > KEY_LIFE:
            found = await self._provider.find_authorization(
                customer_id=body["customer_id"], authorization_id=request.authorization_id
            )
            if found is None:
                raise ApplicationError("asked long ago and not found", type="outcome_unknown", non_retryable=True)
            return found
        saved_method_id = body["saved_method_id"]
        return await self._provider.authorize(
            Authorize(
                key=request.key,
                order_id=request.order_id,
                payment_id=request.payment_id,
                authorization_id=request.authorization_id,
                amount_minor=request.amount_minor,
                currency=request.currency,
                token=None if saved_method_id else token,
                customer_id=body["customer_id"],
                saved_method_id=saved_method_id,
                save_method=saved_method_id is None,
            )
        )

    async def _settle_attempt(
        self, request: AuthorizePayment, answer: Authorized | Declined | ActionRequired
    ) -> Attempt:
        result = _attempt(request.key, request.authorization_id, answer)
        failed = isinstance(result, PaymentDeclined)
        async with self._sessions.begin() as session:
            await operations.settle(
                session,
                request.key,
                state=OperationState.FAILED if failed else OperationState.DONE,
                result=keep(result),
                reference=answer.reference,
                now=datetime.now(UTC),
            )
            if isinstance(result, PaymentActionRequired):
                await projection.match_early_facts(session, request.order_id, [request.authorization_id])
            if isinstance(answer, Authorized) and answer.saved_method_id:
                await payments.keep_saved_method(session, request.payment_id, answer.saved_method_id)
        return result

    @activity.defn
    async def capture_payment(self, request: CapturePayment) -> PaymentCaptured | CaptureRefused:
        """Take the money for what left; a refusal is a result. Idempotent on ``request.key``."""
        async with self._single() as session:
            operation = await operations.begin(
                session,
                key=request.key,
                order_id=request.order_id,
                kind=OperationKind.CAPTURE,
                subject=request.authorization_id,
                amount_minor=request.amount_minor,
                currency=request.currency,
                request={"reference": request.reference, "amount_minor": request.amount_minor},
                now=datetime.now(UTC),
                lease=LEASE,
            )
        if operation.state != OperationState.SENDING and operation.result is not None:
            before: PaymentCaptured | CaptureRefused = kept(operation.result)
            return before
        with provider_call():
            answer = await self._take(request, operation)
        result: PaymentCaptured | CaptureRefused
        if isinstance(answer, Captured):
            result = PaymentCaptured(
                step_key=request.key,
                authorization_id=request.authorization_id,
                amount_minor=answer.amount_minor,
            )
        else:
            result = CaptureRefused(step_key=request.key, authorization_id=request.authorization_id, code=answer.code)
        async with self._single() as session:
            await operations.settle(
                session,
                request.key,
                state=OperationState.DONE if isinstance(result, PaymentCaptured) else OperationState.FAILED,
                result=keep(result),
                reference=request.reference,
                now=datetime.now(UTC),
            )
        return result

    async def _take(self, request: CapturePayment, operation: Operation) -> Captured | Refused:
        """Capture; when the provider has forgotten our key, look first (an intent can be captured once only)."""
        if datetime.now(UTC) - operation.started_at > KEY_LIFE:
            stands = await self._provider.read_authorization(reference=request.reference)
            if isinstance(stands, Captured):
                return stands
        return await self._provider.capture(
            key=request.key, reference=request.reference, amount_minor=request.amount_minor
        )

    @activity.defn
    async def void_authorization(self, request: VoidAuthorization) -> PaymentVoided:
        """Give the hold back, whatever became of asking for it. Idempotent on ``request.key``.

        Leaves a tombstone first, waits until a call still on the wire must have ended, and only then learns its outcome:
        a void that asked at once would find nothing and leave the money held.
        """
        now = datetime.now(UTC)
        async with self._sessions.begin() as session:
            asked = await operations.bury(
                session,
                key=request.authorize_key,
                order_id=request.order_id,
                kind=OperationKind.AUTHORIZATION,
                subject=request.authorization_id,
                now=now,
            )
        voided = PaymentVoided(step_key=request.key, authorization_id=request.authorization_id)
        if asked.state == OperationState.FAILED:
            return voided
        reference = asked.reference
        if asked.state == OperationState.SENDING:
            reference = await self._learn(request, asked, now)
        if reference is not None:
            await self._void(request, reference)
        return voided

    async def _learn(self, request: VoidAuthorization, asked: Operation, now: datetime) -> str | None:
        """The reference of a hold whose answer was lost; None when the provider never made one."""
        if asked.leased_until is not None and asked.leased_until > now:
            wait = asked.leased_until - now + timedelta(milliseconds=500)
            raise ApplicationError("the call may still be on the wire", type="still_sending", next_retry_delay=wait)
        async with self._single() as session:
            means = await payments.means(session, asked.request["payment_id"])
        if means.customer_id is None:
            found = None
        else:
            with provider_call():
                found = await self._provider.find_authorization(
                    customer_id=means.customer_id, authorization_id=request.authorization_id
                )
        made = found is not None and not isinstance(found, Declined)
        async with self._sessions.begin() as session:
            await operations.settle(
                session,
                request.authorize_key,
                state=OperationState.DONE if made else OperationState.FAILED,
                result=(
                    keep(_attempt(request.authorize_key, request.authorization_id, found))
                    if found is not None
                    else {"given_up": True}
                ),
                reference=found.reference if found is not None else None,
                now=now,
            )
        return found.reference if found is not None and made else None

    async def _void(self, request: VoidAuthorization, reference: str) -> None:
        now = datetime.now(UTC)
        async with self._sessions.begin() as session:
            operation = await operations.begin(
                session,
                key=request.key,
                order_id=request.order_id,
                kind=OperationKind.VOID,
                subject=request.authorization_id,
                amount_minor=request.amount_minor,
                currency=request.currency,
                request={"reference": reference},
                now=now,
                lease=LEASE,
            )
        if operation.state != OperationState.SENDING:
            return
        with provider_call():
            answer: Voided = await self._provider.void(key=request.key, reference=reference)
        async with self._sessions.begin() as session:
            await operations.settle(
                session,
                request.key,
                state=OperationState.DONE,
                result=keep(PaymentVoided(step_key=request.key, authorization_id=request.authorization_id)),
                reference=answer.reference,
                now=datetime.now(UTC),
            )


def _is_over(operation: Operation) -> bool:
    return operation.state != OperationState.SENDING or operation.tombstoned_at is not None


def _settled_attempt(request: AuthorizePayment, operation: Operation) -> Attempt:
    if operation.result is not None and "kind" in operation.result:
        before: Attempt = kept(operation.result)
        return before
    return PaymentDeclined(step_key=request.key, authorization_id=request.authorization_id, code="given_up")


def _attempt(key: str, authorization_id: str, answer: Authorized | Declined | ActionRequired) -> Attempt:
    if isinstance(answer, Authorized):
        return PaymentAuthorized(
            step_key=key,
            authorization_id=authorization_id,
            reference=answer.reference,
            expires_at=answer.expires_at,
        )
    if isinstance(answer, Declined):
        return PaymentDeclined(step_key=key, authorization_id=authorization_id, code=answer.code)
    return PaymentActionRequired(
        step_key=key,
        authorization_id=authorization_id,
        reference=answer.reference,
        url=answer.url,
        expires_at=answer.expires_at,
    )
