"""What a warehouse is asked once it works on goods: sent, withdrawn, answered, or left unanswered; no I/O."""

from collections.abc import Mapping
from dataclasses import replace

from domain import names, units
from domain.change import Change
from domain.commands import LineUnits
from domain.orders import Order, Request
from domain.units import Stage
from domain.vocabulary import EventKind, RequestKind, RequestState

WORKED_ON = frozenset({Stage.RELEASED, Stage.PICKED, Stage.PACKED})


def line_units(quantities: Mapping[str, int]) -> tuple[LineUnits, ...]:
    """*quantities* (line id -> units) as messages carry them; lines with none are left out."""
    return tuple(LineUnits(line_id=line_id, quantity=count) for line_id, count in quantities.items() if count)


def counted(lines: tuple[LineUnits, ...]) -> dict[str, int]:
    """Line id -> units."""
    found: dict[str, int] = {}
    for line in lines:
        found[line.line_id] = found.get(line.line_id, 0) + line.quantity
    return found


def worked_on(order: Order) -> tuple[str, ...]:
    """The fulfillments that a warehouse has, with goods that have not left, in the order they were planned."""
    return tuple(
        fulfillment.fulfillment_id
        for fulfillment in order.fulfillments
        if units.count(order.portions, WORKED_ON, fulfillment_id=fulfillment.fulfillment_id)
    )


def ask(
    change: Change, kind: RequestKind, fulfillment_id: str, *, subject: str, lines: Mapping[str, int] | None = None
) -> None:
    """Ask the fulfillment's warehouse; it is told with the event, and has the policy's time to answer."""
    order = change.order
    request = Request(
        request_id=names.request_id(order.order_id, len(order.requests) + 1),
        kind=kind,
        fulfillment_id=fulfillment_id,
        subject=subject,
        sent_at=change.now,
        due_at=change.now + order.policy.rules.request_answer_within,
        lines=line_units(lines or {}),
    )
    change.order = replace(order, requests=(*order.requests, request))
    _tell_sent(change, request)


def withdraw(change: Change, subject: str) -> None:
    """What was asked for *subject*'s sake is not wanted any more; the warehouses are told."""
    for request in change.order.requests:
        wanted = request.state in {RequestState.OPEN, RequestState.ACCEPTED, RequestState.TIMED_OUT}
        if request.subject == subject and wanted:
            changed = with_state(change, request, RequestState.WITHDRAWN)
            if request.fulfillment_id in worked_on(change.order):
                _tell_sent(change, changed)


def with_state(change: Change, request: Request, state: RequestState) -> Request:
    """The request, standing so from now on."""
    changed = replace(request, state=state)
    change.order = replace(
        change.order,
        requests=tuple(changed if r.request_id == request.request_id else r for r in change.order.requests),
    )
    return changed


def _tell_sent(change: Change, request: Request) -> None:
    change.tell(
        EventKind.REQUEST_SENT,
        request_id=request.request_id,
        kind=request.kind.value,
        fulfillment_id=request.fulfillment_id,
        lines=[{"line_id": line.line_id, "quantity": line.quantity} for line in request.lines],
        due_at=request.due_at.isoformat(),
        withdrawn=request.state is RequestState.WITHDRAWN,
    )
