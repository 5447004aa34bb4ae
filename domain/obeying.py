"""What commands do to an order: refused by a rule's code, or applied with an outcome that is kept; no I/O."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from domain.cancelling import cancel, refuse_cancel
from domain.change import Change
from domain.commands import (
    AddPayment,
    CancelOrder,
    ChangeAddress,
    Command,
    CommandOutcome,
    PlaceHold,
    ReleaseHold,
    ResolveCase,
)
from domain.errors import Refused
from domain.holding import (
    change_address,
    place_hold,
    refuse_address,
    refuse_hold,
    refuse_release,
    release_hold,
)
from domain.orders import Order
from domain.paying import add_payment, refuse_payment
from domain.resolving import refuse_fix, resolve

MOST_OUTCOMES = 100

Subject = str
IsPending = bool


def refusal(order: Order, command: Command) -> Refused | None:
    """Why *command* is illegal now, with a stable code; None when it is legal, or was applied before."""
    if order.has_obeyed(command.id):
        return None
    found: Refused | None = _REFUSALS[type(command)](order, command)
    return found


def obey(change: Change, command: Command) -> None:
    """Apply *command*, and keep what became of it; one that another made illegal changes nothing else."""
    refused = _REFUSALS[type(command)](change.order, command)
    subject, is_pending = (None, False) if refused else _COMMANDS[type(command)](change, command)
    outcome = CommandOutcome(
        command_id=command.id,
        version=change.order.version + 1,
        subject=subject,
        is_pending=is_pending,
        refused=refused.code if refused else None,
        detail=refused.detail if refused else None,
    )
    change.order = replace(change.order, outcomes=(*change.order.outcomes, outcome)[-MOST_OUTCOMES:])


def _done(act: Callable[[Change, Any], str]) -> Callable[[Change, Any], tuple[Subject, IsPending]]:
    return lambda change, command: (act(change, command), False)


_REFUSALS: Mapping[type, Callable[[Order, Any], Refused | None]] = {
    CancelOrder: refuse_cancel,
    PlaceHold: refuse_hold,
    ReleaseHold: refuse_release,
    ChangeAddress: refuse_address,
    AddPayment: refuse_payment,
    ResolveCase: refuse_fix,
}
_COMMANDS: Mapping[type, Callable[[Change, Any], tuple[Subject, IsPending]]] = {
    CancelOrder: cancel,
    PlaceHold: _done(place_hold),
    ReleaseHold: _done(release_hold),
    ChangeAddress: _done(change_address),
    AddPayment: _done(add_payment),
    ResolveCase: _done(resolve),
}
