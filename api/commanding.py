"""Asking a running order: the note is kept, the engine's update decides, the answer is stored under the caller's key."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from api.answers import Answer, answer
from api.once import Claim, Done, claim_of
from api.routers.orders import see_order
from api.security import Call
from api.views import order_view
from contracts import names
from db import idempotency, notes
from db.reading import orders
from domain.commands import Command, CommandOutcome
from domain.errors import NotFound, Refused
from domain.obeying import refusal
from domain.orders import closed
from runtime.dispatch import Dispatcher

log = structlog.get_logger(__name__)

ANSWER_WITHIN = 10.0
_TRIES = 3
_BUSY = frozenset({RPCStatusCode.RESOURCE_EXHAUSTED})

Make = Callable[[AsyncSession, str], Awaitable[Command]]


async def carry_out(call: Call, raw: bytes, order_id: str, make: Make) -> Done:
    """The order after the command that *make* makes of a session and the command's id; 202 while others must still agree.

    *make* runs in a transaction of its own before the engine is asked, to check the request and to keep what must not go
    there. The command's id comes from the caller's key, so a repeated request is the same command.

    Raises:
        Refused: a rule's code; ``engine_away``; ``command_pending`` when the outcome is not known in time: the same key
            asks again for the same command.
    """
    claim = claim_of(call, raw)
    command_id = claim.request_id.hex() if claim is not None else call.context.random_id()
    async with call.context.sessions.begin() as session:
        if (before := await _before(session, claim)) is not None:
            return Done(answer=before, replayed=True)
        await see_order(session, call, order_id)
        command = await make(session, command_id)
    outcome = await _settle(call, order_id, command)
    if outcome.refused is not None:
        raise Refused(outcome.detail or outcome.refused, code=outcome.refused)
    return await _answered(call, claim, order_id, outcome)


def note_id_of(command_id: str) -> str:
    """The note that came with a command."""
    return f"note_{hashlib.sha256(command_id.encode()).hexdigest()[:20]}"


async def keep_note(session: AsyncSession, call: Call, order_id: str, command_id: str, text: str | None) -> str | None:
    """The id of the command's note, kept; None without one."""
    if text is None:
        return None
    note = notes.Note(
        note_id=note_id_of(command_id),
        order_id=order_id,
        text=text,
        actor_kind=call.actor_kind.value,
        actor_id=call.actor_id,
        at=call.context.now(),
    )
    await notes.keep_note(session, note)
    return note.note_id


async def _before(session: AsyncSession, claim: Claim | None) -> Answer | None:
    """The answer that this key got before; a key whose command was begun and not answered goes on with it."""
    if claim is None:
        return None
    before = await idempotency.claim(session, claim.request_id, claim.body_hash)
    if before is None:
        return None
    if before.body_hash != claim.body_hash:
        raise Refused("this key was used with another body", code="idempotency_mismatch")
    return Answer(body=before.answer, status=before.status, headers=before.headers) if before.status else None


async def _answered(call: Call, claim: Claim | None, order_id: str, outcome: CommandOutcome) -> Done:
    async with call.context.sessions.begin() as session:
        stored = await orders.find_order(session, order_id)
        if stored is None:
            raise AssertionError("an order is never deleted")
        found = answer(order_view(stored, call.context.settings), status=202 if outcome.is_pending else 200)
        if claim is not None:
            if (before := await _before(session, claim)) is not None:
                return Done(answer=before, replayed=True)
            await idempotency.store(
                session, claim.request_id, status=found.status, headers=found.headers, answer=found.body
            )
    return Done(answer=found)


async def _settle(call: Call, order_id: str, command: Command) -> CommandOutcome:
    """What became of *command*; an order that the engine does not have is started, or has ended."""
    client = await call.context.client()
    for attempt in range(1, _TRIES + 1):
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                return await _update(client, order_id, command)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            raise Refused("not known yet; ask again with the same key", code="command_pending") from error
        except WorkflowUpdateFailedError as error:
            raise _refused(error) from error
        except RuntimeError as error:  # a lazy client that cannot connect
            raise Refused("the engine cannot be reached; try again", code="engine_away") from error
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                if (known := await _without_workflow(call, client, order_id, command)) is not None:
                    return known
            elif error.status not in _BUSY or attempt == _TRIES:
                log.warning("command_not_sent", order_id=order_id, status=error.status.name)
                raise Refused("the engine cannot be reached; try again", code="engine_away") from error
            await asyncio.sleep(0.1 * attempt)
    raise Refused("not known yet; ask again with the same key", code="command_pending")


async def _update(client: Client, order_id: str, command: Command) -> CommandOutcome:
    handle = client.get_workflow_handle(names.order_workflow_id(order_id))
    found: CommandOutcome = await handle.execute_update(
        names.UPDATES[type(command).__name__],
        command,
        id=command.id,
        result_type=CommandOutcome,
        rpc_timeout=timedelta(seconds=ANSWER_WITHIN),
    )
    return found


def _refused(error: WorkflowUpdateFailedError) -> Refused:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type:
        return Refused(cause.message, code=cause.type)
    log.error("command_failed", error=type(cause).__name__)
    return Refused("not known yet; ask again with the same key", code="command_pending")


async def _without_workflow(call: Call, client: Client, order_id: str, command: Command) -> CommandOutcome | None:
    """The outcome that an ended order remembers, or the rule that it breaks; None once the order was started."""
    async with call.context.sessions() as session:
        stored = await orders.find_order(session, order_id)
    if stored is None:
        raise NotFound("there is no such order")
    if (outcome := stored.order.outcome_of(command.id)) is not None:
        return outcome
    if closed(stored.order):
        refused = refusal(stored.order, command)
        raise refused or Refused("the order has ended", code="order_closed")
    await Dispatcher(call.context.sessions, client, call.context.settings.task_queue).start_order(order_id)
    return None
