"""Doing a changing request once: one transaction that claims the caller's key, works and keeps the answer."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.answers import Answer
from api.errors import is_lock_timeout, sqlstate
from api.security import Call
from db import idempotency
from domain.errors import Invalid, Refused

LONGEST_KEY = 255
TRIES = 4
_DEADLOCK = "40P01"

Work = Callable[[AsyncSession], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A caller's Idempotency-Key on one route, and the body it came with."""

    request_id: bytes
    body_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The answer, and whether it had been given before."""

    answer: Answer
    replayed: bool = False

    def response(self) -> Response:
        """The HTTP response."""
        return self.answer.response(Idempotent_Replayed="true") if self.replayed else self.answer.response()


def claim_of(call: Call, raw: bytes) -> Claim | None:
    """What the request claims; None when it names no key.

    Raises:
        Invalid: the key is empty or too long.
    """
    key = call.request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST_KEY:
        raise Invalid([("Idempotency-Key", f"length: 1 to {LONGEST_KEY} characters")])
    parts = (call.key.key_id, call.request.method, call.request.url.path, key)
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4) + encoded)
    return Claim(request_id=digest.digest(), body_hash=hashlib.sha256(raw).digest())


async def once(call: Call, raw: bytes, work: Work) -> Done:
    """The answer of *work*, done in one transaction; what was answered before when the caller's key was used already.

    Only answers are kept: a refusal or an outage rolls the claim back with everything else. A deadlock is tried again.

    Raises:
        Refused: (idempotency_in_flight) the first request with this key still runs; (idempotency_mismatch) it had
            another body; whatever *work* refuses.
    """
    claim = claim_of(call, raw)
    for attempt in range(1, TRIES + 1):
        try:
            return await _attempt(call, claim, work)
        except DBAPIError as error:
            if sqlstate(error) != _DEADLOCK or attempt == TRIES:
                raise
            await asyncio.sleep(0.02 * attempt)
    raise AssertionError("the last attempt returns or raises")


async def _attempt(call: Call, claim: Claim | None, work: Work) -> Done:
    async with call.context.sessions.begin() as session:
        if claim is None:
            return Done(answer=await work(session))
        if (before := await _claim(session, claim)) is not None:
            return Done(answer=before, replayed=True)
        answer = await work(session)
        await idempotency.store(
            session, claim.request_id, status=answer.status, headers=answer.headers, answer=answer.body
        )
        return Done(answer=answer)


async def _claim(session: AsyncSession, claim: Claim) -> Answer | None:
    try:
        before = await idempotency.claim(session, claim.request_id, claim.body_hash)
    except DBAPIError as error:
        if not is_lock_timeout(error):
            raise
        raise Refused("the first request with this key is still running", code="idempotency_in_flight") from error
    if before is None:
        return None
    if before.body_hash != claim.body_hash:
        raise Refused("this key was used with another body", code="idempotency_mismatch")
    return Answer(body=before.answer, status=before.status, headers=before.headers)
