"""How a person settles an attention case: which fixes are legal now, and what each does; no I/O."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from domain.attention import CASES, AttentionCode, close_case
from domain.cancelling import cancel, cancel_answered, refuse_cancel
from domain.change import Change
from domain.commands import CancelOrder, ResolveCase
from domain.errors import Refused
from domain.holding import let_go, refuse_closed
from domain.orders import Attention, Order, Parcel, collection_owed, parcel_state
from domain.payments import with_authorization, with_parcel
from domain.shipping import declare
from domain.vocabulary import ActorKind, CancelReason, EventKind, Fix, ParcelState, RequestState, TrackingStatus

MOST_HOURS = 720
PARAMETERS: Mapping[Fix, dict[str, str]] = {Fix.WAIT_LONGER: {"hours": "integer"}, Fix.ASSIGN: {"person": "string"}}


def legal_fixes(order: Order, case: Attention) -> tuple[Fix, ...]:
    """The fixes of *case* that are legal now; assigning it to a person always is."""
    return (*(fix for fix in CASES[AttentionCode(case.code)].fixes if _is_legal(order, case, fix)), Fix.ASSIGN)


def row_fixes(code: str) -> tuple[Fix, ...]:
    """The fixes of a case that stands beside the order's value, which no workflow settles."""
    settled = tuple(fix for fix in CASES[AttentionCode(code)].fixes if fix in {Fix.WAIT_LONGER, Fix.CLOSE})
    return (*settled, Fix.ASSIGN)


def _is_legal(order: Order, case: Attention, fix: Fix) -> bool:
    legal = _LEGAL.get(fix)
    return legal is None or legal(order, case)


def refuse_fix(order: Order, command: ResolveCase) -> Refused | None:
    """Why *command* is illegal now: ``unknown_case``, ``fix_not_allowed`` with the list; None when it is not."""
    case = _case(order, command)
    if case is None:
        return Refused("the order has no such open case", code="unknown_case")
    legal = legal_fixes(order, case)
    if command.fix in legal:
        return None
    return Refused(f"legal now: {', '.join(fix.value for fix in legal)}", code="fix_not_allowed")


def resolve(change: Change, command: ResolveCase) -> str:
    """Apply the fix; the case's id."""
    case = _case(change.order, command)
    assert case is not None  # refused before
    _FIXES[command.fix](change, case, command)
    return case.attention_id


def _case(order: Order, command: ResolveCase) -> Attention | None:
    return next((case for case in order.attention if case.attention_id == command.attention_id), None)


def _wait_longer(change: Change, case: Attention, command: ResolveCase) -> None:
    due_at = change.now + timedelta(hours=command.hours or 24)
    _replace(change, replace(case, due_at=due_at))
    change.tell(
        EventKind.ATTENTION_REMINDED,
        attention_id=case.attention_id,
        code=case.code,
        subject=case.subject,
        fix=Fix.WAIT_LONGER.value,
        due_at=due_at.isoformat(),
    )


def _assign(change: Change, case: Attention, command: ResolveCase) -> None:
    _replace(change, replace(case, person=command.person))
    change.tell(
        EventKind.ATTENTION_REMINDED,
        attention_id=case.attention_id,
        code=case.code,
        subject=case.subject,
        fix=Fix.ASSIGN.value,
        person=command.person,
    )


def _replace(change: Change, changed: Attention) -> None:
    change.order = replace(
        change.order,
        attention=tuple(changed if c.attention_id == changed.attention_id else c for c in change.order.attention),
    )


def _close(change: Change, case: Attention, command: ResolveCase) -> None:
    close_case(change, case, "a person closed it", fix=command.fix)


def _retry(change: Change, case: Attention, command: ResolveCase) -> None:
    """Try what failed again, under a key of the next generation."""
    close_case(change, case, "it is tried again", fix=command.fix)
    order = change.order
    if case.code == AttentionCode.LABEL_FAILED:
        parcel = order.parcel(case.subject)
        anew = replace(parcel, label_refused=None, label_generation=parcel.label_generation + 1)
        change.order = with_parcel(order, anew)
    elif case.code == AttentionCode.CAPTURE_FAILED:
        authorization = order.authorization(case.subject)
        generation = authorization.capture_generation + 1
        change.order = with_authorization(
            order, replace(authorization, capture_refused=None, capture_generation=generation)
        )
    else:
        failed = tuple(key for key in order.failed_steps if key != case.subject)
        change.order = replace(order, failed_steps=failed, retried_steps=(*order.retried_steps, case.subject))


def _can_retry(order: Order, case: Attention) -> bool:
    if case.code == AttentionCode.LABEL_FAILED:
        return any(p.parcel_id == case.subject and p.label_refused is not None for p in order.parcels)
    if case.code == AttentionCode.CAPTURE_FAILED:
        return _has_refused_capture(order, case)
    return case.subject in order.failed_steps


def _write_off(change: Change, case: Attention, command: ResolveCase) -> None:
    """Nobody will take this money: what is still held is given back."""
    close_case(change, case, "written off", fix=command.fix)
    parcel = _owing(change.order, case)
    if parcel is not None:
        change.order = with_parcel(change.order, replace(parcel, collection_written_off=True))
        return
    authorization = change.order.authorization(case.subject)
    change.order = with_authorization(
        change.order, replace(authorization, written_off=True, void_since=authorization.void_since or change.now)
    )


def _can_close(order: Order, case: Attention) -> bool:
    owed = _has_refused_capture(order, case) or _owing(order, case) is not None
    return case.code != AttentionCode.CAPTURE_FAILED or not owed


def _owing(order: Order, case: Attention) -> Parcel | None:
    """The parcel that the case is about, when its carrier still owes what it was to collect."""
    return next((p for p in order.parcels if p.parcel_id == case.subject and collection_owed(order, p)), None)


def _has_refused_capture(order: Order, case: Attention) -> bool:
    return any(
        a.authorization_id == case.subject and a.capture_refused is not None and not a.written_off
        for a in order.authorizations
    )


def _cancel(change: Change, case: Attention, command: ResolveCase) -> None:
    """Cancel what can be; the case stays open while a warehouse may refuse, and while what failed is wanted for the rest."""
    _, is_pending = cancel(change, _as_cancel(command))
    if not is_pending and not _can_retry(change.order, case):
        close_case(change, case, "the order is cancelled", fix=command.fix)


def _as_cancel(command: ResolveCase) -> CancelOrder:
    return CancelOrder(
        id=command.id,
        actor=command.actor,
        actor_id=command.actor_id,
        reason=CancelReason.SUPPORT,
        note_id=command.note_id,
    )


def _can_cancel(order: Order, case: Attention) -> bool:
    command = CancelOrder(id=case.attention_id, actor=ActorKind.SYSTEM)
    return refuse_closed(order) is None and refuse_cancel(order, command) is None


def _mark(status: TrackingStatus) -> Callable[[Change, Attention, ResolveCase], None]:
    def mark(change: Change, case: Attention, command: ResolveCase) -> None:
        close_case(change, case, f"a person says: {status.value}", fix=command.fix)
        declare(change, change.order.parcel(case.subject), status)

    return mark


def _is_on_its_way(order: Order, case: Attention) -> bool:
    return any(
        parcel.parcel_id == case.subject and parcel_state(order, parcel) in {ParcelState.HANDED_OVER, ParcelState.LOST}
        for parcel in order.parcels
    )


def _can_be_lost(order: Order, case: Attention) -> bool:
    return any(
        parcel.parcel_id == case.subject and parcel_state(order, parcel) is ParcelState.HANDED_OVER
        for parcel in order.parcels
    )


def _release(change: Change, case: Attention, command: ResolveCase) -> None:
    hold = next(hold for hold in change.order.holds if hold.hold_id == case.subject)
    close_case(change, case, "the hold was released", fix=command.fix)
    let_go(change, hold, note_id=command.note_id)


def _can_release(order: Order, case: Attention) -> bool:
    return any(hold.hold_id == case.subject and hold.placed_by != "system" for hold in order.holds)


def _answer(*, accepted: bool) -> Callable[[Change, Attention, ResolveCase], None]:
    def answer(change: Change, case: Attention, command: ResolveCase) -> None:
        request = change.order.request(case.subject)
        assert request is not None  # the case's subject, and legal only while it is unanswered
        close_case(change, case, "a person answered for the warehouse", fix=command.fix)
        cancel_answered(change, request, accepted=accepted)

    return answer


def _is_unanswered(order: Order, case: Attention) -> bool:
    request = order.request(case.subject)
    return request is not None and request.state is RequestState.TIMED_OUT


_FIXES: Mapping[Fix, Callable[[Change, Attention, ResolveCase], None]] = {
    Fix.RETRY: _retry,
    Fix.CANCEL: _cancel,
    Fix.MARK_DELIVERED: _mark(TrackingStatus.DELIVERED),
    Fix.MARK_LOST: _mark(TrackingStatus.LOST),
    Fix.WAIT_LONGER: _wait_longer,
    Fix.RELEASE: _release,
    Fix.APPROVE: _answer(accepted=True),
    Fix.DECLINE: _answer(accepted=False),
    Fix.WRITE_OFF: _write_off,
    Fix.ASSIGN: _assign,
    Fix.CLOSE: _close,
}
_LEGAL: Mapping[Fix, Callable[[Order, Attention], bool]] = {
    Fix.RETRY: _can_retry,
    Fix.WRITE_OFF: lambda order, case: _has_refused_capture(order, case) or _owing(order, case) is not None,
    Fix.CLOSE: _can_close,
    Fix.CANCEL: _can_cancel,
    Fix.MARK_DELIVERED: _is_on_its_way,
    Fix.MARK_LOST: _can_be_lost,
    Fix.RELEASE: _can_release,
    Fix.APPROVE: _is_unanswered,
    Fix.DECLINE: _is_unanswered,
}
