"""Cancelling units, whole or in part, at any instant: at once before the release, by asking the warehouse after it; no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from domain import names, units
from domain.attention import CASES, AttentionCode, close_case, close_cases, open_case
from domain.change import Change
from domain.commands import CancelOrder, LineUnits
from domain.ending import GIVE_BACK
from domain.errors import Refused
from domain.orders import Attention, Cancellation, Order, Request, order_state, parcel_state
from domain.payments import capture_amount, with_fulfillment
from domain.requests import WORKED_ON, ask, counted, line_units, with_state
from domain.steps import AuthorizePayment, next_steps, reserve_key
from domain.units import Place, Stage
from domain.vocabulary import (
    ActorKind,
    CancellationState,
    CancelReason,
    EventKind,
    Fix,
    MovementKind,
    OrderState,
    ParcelState,
    RequestKind,
    RequestState,
)

# The least advanced units first.
AT_ONCE = (Stage.OPEN, Stage.BACKORDERED, Stage.RESERVED)
BY_REQUEST = (Stage.RELEASED, Stage.PICKED, Stage.PACKED)
QUARANTINE = ((MovementKind.UNRESERVED, 1), (MovementKind.QUARANTINED, 1))
_UNDECIDED = frozenset({RequestState.OPEN, RequestState.TIMED_OUT})


@dataclass
class _Plan:
    """Which units can be cancelled at once, which a warehouse must be asked for, and how many are beyond reach."""

    at_once: list[tuple[Place, dict[str, int]]] = field(default_factory=list)
    by_request: dict[str, dict[str, int]] = field(default_factory=dict)
    short: dict[str, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self.at_once and not self.by_request


def _plan(order: Order, lines: tuple[LineUnits, ...]) -> _Plan:
    wanted = counted(lines) or {line.line_id: line.quantity for line in order.lines}
    plan = _Plan()
    for stage in AT_ONCE:
        for portion in order.portions:
            take = min(portion.quantity, wanted.get(portion.line_id, 0)) if portion.stage is stage else 0
            if take:
                wanted[portion.line_id] -= take
                plan.at_once.append(
                    (Place(stage=stage, fulfillment_id=portion.fulfillment_id), {portion.line_id: take})
                )
    for fulfillment in order.fulfillments:
        for line_id, there in _unasked(order, fulfillment.fulfillment_id).items():
            take = min(there, wanted.get(line_id, 0))
            if take:
                wanted[line_id] -= take
                plan.by_request.setdefault(fulfillment.fulfillment_id, {})[line_id] = take
    plan.short = {line_id: count for line_id, count in wanted.items() if count}
    return plan


def _unasked(order: Order, fulfillment_id: str) -> dict[str, int]:
    """Line id -> units at the warehouse whose cancellation nobody has asked for yet."""
    there = units.by_line(order.portions, WORKED_ON, fulfillment_id=fulfillment_id)
    for request in order.requests:
        open_cancel = request.kind is RequestKind.CANCEL and request.state is RequestState.OPEN
        if open_cancel and request.fulfillment_id == fulfillment_id:
            for line_id, count in counted(request.lines).items():
                there[line_id] = max(0, there.get(line_id, 0) - count)
    return {line_id: count for line_id, count in there.items() if count}


def refuse_cancel(order: Order, command: CancelOrder) -> Refused | None:
    """Why *command* is illegal now: ``already_shipped``, ``cancel_pending``, ``already_cancelled``; None when it is not."""
    plan = _plan(order, command.lines)
    if not plan.is_empty and not (command.lines and plan.short):
        return None
    concerned = set(counted(command.lines)) or {line.line_id for line in order.lines}
    stages = {portion.stage for portion in order.portions if portion.line_id in concerned}
    if stages & units.LEFT:
        back = f"what has left can only come back: POST /v1/returns with order_id {order.order_id}"
        return Refused(back, code="already_shipped")
    if stages & WORKED_ON:
        return Refused("the warehouse has been asked and has not answered yet", code="cancel_pending")
    return Refused("so many units are not there to be cancelled", code="already_cancelled")


def cancel(change: Change, command: CancelOrder) -> tuple[str, bool]:
    """Cancel what can be at once and ask for the rest; the cancellation's id, and whether a warehouse must still answer."""
    order = change.order
    plan = _plan(order, command.lines)
    cancellation = Cancellation(
        cancellation_id=names.cancellation_id(order.order_id, len(order.cancellations) + 1),
        state=CancellationState.REQUESTED,
        reason=command.reason,
        actor=command.actor,
        actor_id=command.actor_id,
        requested_at=change.now,
        lines=line_units(_sum([*(lines for _, lines in plan.at_once), *plan.by_request.values()])),
        restock=command.restock,
        refund=command.refund,
        note_id=command.note_id,
    )
    change.order = replace(order, cancellations=(*order.cancellations, cancellation))
    change.tell(
        EventKind.CANCELLATION_REQUESTED,
        cancellation_id=cancellation.cancellation_id,
        reason=command.reason.value,
        lines=_shown(cancellation.lines),
        restock=command.restock,
        refund=command.refund,
        note_id=command.note_id,
    )
    _cancel_at_once(change, plan)
    _count_done(change, cancellation.cancellation_id, _sum([lines for _, lines in plan.at_once]))
    for fulfillment_id, lines in plan.by_request.items():
        ask(change, RequestKind.CANCEL, fulfillment_id, subject=cancellation.cancellation_id, lines=lines)
    _decide(change, cancellation.cancellation_id)
    return cancellation.cancellation_id, bool(plan.by_request)


def _cancel_at_once(change: Change, plan: _Plan) -> None:
    for looked_for in {place.fulfillment_id: None for place, _ in plan.at_once if place.stage is Stage.OPEN}:
        reserve_anew(change, looked_for)
    for place, lines in plan.at_once:
        change.order = replace(
            change.order,
            portions=units.move(change.order.portions, lines, place, replace(place, stage=Stage.CANCELLED)),
        )
        if place.stage is Stage.BACKORDERED:
            change.leave_queue(lines)
        if place.stage is Stage.RESERVED and place.fulfillment_id is not None:
            change.move_stock(place.fulfillment_id, GIVE_BACK, lines)
            change.tell(
                EventKind.STOCK_UNRESERVED, fulfillment_id=place.fulfillment_id, lines=_shown(line_units(lines))
            )


def cancel_units(
    change: Change,
    fulfillment_id: str,
    wanted: Mapping[str, int],
    movements: tuple[tuple[MovementKind, int], ...],
    *,
    stages: tuple[Stage, ...],
    elsewhere: bool = False,
) -> dict[str, int]:
    """Cancel at most *wanted*, the least advanced units first, and book *movements* for them; answers what was there.

    Those that shall be served *elsewhere* are open again.
    """
    left = dict(wanted)
    gone: dict[str, int] = {}
    for place in _places(change.order, fulfillment_id, stages):
        there = {
            portion.line_id: portion.quantity
            for portion in change.order.portions
            if (portion.stage, portion.fulfillment_id, portion.parcel_id)
            == (place.stage, place.fulfillment_id, place.parcel_id)
        }
        moved = {line_id: min(quantity, there.get(line_id, 0)) for line_id, quantity in left.items()}
        target = (
            Place(stage=Stage.OPEN, fulfillment_id=fulfillment_id)
            if elsewhere
            else replace(place, stage=Stage.CANCELLED)
        )
        change.order = replace(change.order, portions=units.move(change.order.portions, moved, place, target))
        for line_id, quantity in moved.items():
            left[line_id] -= quantity
            gone[line_id] = gone.get(line_id, 0) + quantity
    change.move_stock(fulfillment_id, movements, gone)
    return gone


def reserve_anew(change: Change, instead_of: str | None) -> None:
    """The attempt to reserve may be under way, or done and on its way to us: it must not take effect, the next one may."""
    change.undo_step(reserve_key(change.order, instead_of))
    if instead_of is None:
        change.order = replace(change.order, reserve_generation=change.order.reserve_generation + 1)
    else:
        fulfillment = change.order.fulfillment(instead_of)
        change.order = with_fulfillment(change.order, replace(fulfillment, sourced_again=fulfillment.sourced_again + 1))


def _places(order: Order, fulfillment_id: str, stages: tuple[Stage, ...]) -> list[Place]:
    found = {
        Place(stage=portion.stage, fulfillment_id=portion.fulfillment_id, parcel_id=portion.parcel_id): None
        for portion in order.portions
        if portion.fulfillment_id == fulfillment_id and portion.stage in stages
    }
    return sorted(found, key=lambda place: stages.index(place.stage))


def cancel_answered(
    change: Change, request: Request, *, accepted: bool, lines: Mapping[str, int] | None = None
) -> None:
    """A warehouse, or a person in its place, said yes or no; the units that are still there are cancelled on a yes."""
    gone: dict[str, int] = {}
    if accepted:
        cancellation = _cancellation(change.order, request.subject)
        movements = GIVE_BACK if cancellation.restock else QUARANTINE
        wanted = {
            line_id: min(count, (lines or counted(request.lines)).get(line_id, 0))
            for line_id, count in counted(request.lines).items()
        }
        gone = cancel_units(change, request.fulfillment_id, wanted, movements, stages=BY_REQUEST)
        _count_done(change, request.subject, gone)
    with_state(change, request, RequestState.ACCEPTED if any(gone.values()) else RequestState.REFUSED)
    answered = frozenset({AttentionCode.CANCEL_UNANSWERED})
    close_cases(change, request.request_id, answered, "the request was answered")
    _decide(change, request.subject)


def cancel_unanswered(change: Change, request: Request) -> None:
    """A time-out is not a yes: it counts as refused, and a person must look."""
    with_state(change, request, RequestState.TIMED_OUT)
    open_case(
        change, AttentionCode.CANCEL_UNANSWERED, request.request_id, "the warehouse did not answer the cancellation"
    )
    _decide(change, request.subject)


def tell_cancelled(change: Change, reason: CancelReason, gone: Mapping[str, int]) -> None:
    """Units were cancelled that nobody asked to be: no location has them, or their money was refused."""
    cancellation = Cancellation(
        cancellation_id=names.cancellation_id(change.order.order_id, len(change.order.cancellations) + 1),
        state=CancellationState.DONE,
        reason=reason,
        actor=ActorKind.SYSTEM,
        actor_id=None,
        requested_at=change.now,
        lines=line_units(gone),
        done=line_units(gone),
    )
    change.order = replace(change.order, cancellations=(*change.order.cancellations, cancellation))
    change.tell(
        EventKind.CANCELLATION_DECIDED,
        cancellation_id=cancellation.cancellation_id,
        state=cancellation.state.value,
        reason=reason.value,
        lines=_shown(cancellation.done),
    )


def _decide(change: Change, cancellation_id: str) -> None:
    """Where the cancellation stands once nobody is asked any more."""
    states = {r.state for r in change.order.requests if r.subject == cancellation_id}
    cancellation = _cancellation(change.order, cancellation_id)
    if RequestState.OPEN in states:
        state = CancellationState.ACCEPTED if RequestState.ACCEPTED in states else CancellationState.REQUESTED
    elif cancellation.done:
        state = CancellationState.DONE
    else:
        state = CancellationState.TIMED_OUT if RequestState.TIMED_OUT in states else CancellationState.REFUSED
    if state is cancellation.state:
        return
    _replace(change, replace(cancellation, state=state))
    if RequestState.OPEN not in states:
        change.tell(
            EventKind.CANCELLATION_DECIDED,
            cancellation_id=cancellation_id,
            state=state.value,
            lines=_shown(cancellation.done),
        )


def _count_done(change: Change, cancellation_id: str, gone: Mapping[str, int]) -> None:
    cancellation = _cancellation(change.order, cancellation_id)
    _replace(change, replace(cancellation, done=line_units(_sum([counted(cancellation.done), gone]))))


def _cancellation(order: Order, cancellation_id: str) -> Cancellation:
    return next(c for c in order.cancellations if c.cancellation_id == cancellation_id)


def _replace(change: Change, changed: Cancellation) -> None:
    change.order = replace(
        change.order,
        cancellations=tuple(
            changed if c.cancellation_id == changed.cancellation_id else c for c in change.order.cancellations
        ),
    )


def _sum(parts: list[dict[str, int]] | list[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts:
        for line_id, count in part.items():
            found[line_id] = found.get(line_id, 0) + count
    return found


def _shown(lines: tuple[LineUnits, ...]) -> list[dict[str, object]]:
    return [{"line_id": line.line_id, "quantity": line.quantity} for line in lines]


def drop_moot_requests(change: Change) -> None:
    """Goods that have left beat every request about them: it counts as refused, and nobody waits for it any more.

    The cases that stand in nobody's way any more are closed with them.
    """
    for request in change.order.requests:
        if request.state not in _UNDECIDED or request.fulfillment_id in _with_goods(change.order):
            continue
        if request.kind is RequestKind.CANCEL:
            cancel_answered(change, request, accepted=False)
        else:
            with_state(change, request, RequestState.WITHDRAWN)
    for case in change.order.attention:
        if _is_moot(change.order, case):
            close_case(change, case, "nothing waits for it any more")


def _is_moot(order: Order, case: Attention) -> bool:
    if case.wait is not None:
        return False  # Closed when the wait is over.
    if case.code == AttentionCode.UNEXPECTED_ERROR:
        return case.subject in order.failed_steps and not _is_wanted(order, case.subject)
    if case.code == AttentionCode.LABEL_FAILED:
        return parcel_state(order, order.parcel(case.subject)) is ParcelState.CANCELLED
    if case.code == AttentionCode.WAREHOUSE_SILENT:
        request = order.request(case.subject)
        return request is None or request.state is not RequestState.TIMED_OUT
    over = order_state(order) in {OrderState.CANCELLED, OrderState.REJECTED}
    return over and Fix.CANCEL in CASES[AttentionCode(case.code)].fixes


def _is_wanted(order: Order, step_key: str) -> bool:
    """Whether that step would run if it had not failed; money that nothing will be taken from is not asked for."""
    step = next_steps(replace(order, failed_steps=())).get(step_key)
    if isinstance(step, AuthorizePayment):
        return capture_amount(order, order.authorization(step.authorization_id)) != 0
    return step is not None


def _with_goods(order: Order) -> frozenset[str]:
    return frozenset(p.fulfillment_id for p in order.portions if p.stage in WORKED_ON and p.fulfillment_id is not None)
