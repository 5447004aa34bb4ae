"""Attention cases: what each code means to people, and how a case is opened and closed on an order."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from domain import names
from domain.change import Change
from domain.orders import Attention
from domain.vocabulary import EventKind, Role


class AttentionCode(StrEnum):
    """What kind of problem stands open."""

    PAYMENT_UNREACHABLE = "payment_unreachable"
    PAYMENT_ACTION_REQUIRED = "payment_action_required"
    CAPTURE_FAILED = "capture_failed"
    STOCK_SHORT = "stock_short"
    WAREHOUSE_SILENT = "warehouse_silent"
    WAREHOUSE_REFUSED = "warehouse_refused"
    QUANTITY_MISMATCH = "quantity_mismatch"
    LABEL_FAILED = "label_failed"
    CARRIER_UNREACHABLE = "carrier_unreachable"
    PARCEL_SILENT = "parcel_silent"
    PARCEL_DELAYED = "parcel_delayed"
    PARCEL_LOST = "parcel_lost"
    DELIVERY_FAILED = "delivery_failed"
    CUSTOMS_HELD = "customs_held"
    PROMISE_AT_RISK = "promise_at_risk"
    HOLD_OVERDUE = "hold_overdue"
    ENGINE_LOST = "engine_lost"
    CONTRADICTING_FACT = "contradicting_fact"
    UNEXPECTED_ERROR = "unexpected_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRule:
    """Who owns a case, and how long they have."""

    owner: Role
    allowed: timedelta


CASES: Mapping[AttentionCode, CaseRule] = {
    AttentionCode.PAYMENT_UNREACHABLE: CaseRule(owner=Role.PAYMENTS, allowed=timedelta(hours=2)),
    AttentionCode.PAYMENT_ACTION_REQUIRED: CaseRule(owner=Role.CUSTOMER, allowed=timedelta(hours=24)),
    AttentionCode.CAPTURE_FAILED: CaseRule(owner=Role.PAYMENTS, allowed=timedelta(hours=24)),
    AttentionCode.STOCK_SHORT: CaseRule(owner=Role.INVENTORY, allowed=timedelta(hours=8)),
    AttentionCode.WAREHOUSE_SILENT: CaseRule(owner=Role.WAREHOUSE, allowed=timedelta(hours=2)),
    AttentionCode.WAREHOUSE_REFUSED: CaseRule(owner=Role.INVENTORY, allowed=timedelta(hours=8)),
    AttentionCode.QUANTITY_MISMATCH: CaseRule(owner=Role.WAREHOUSE, allowed=timedelta(hours=8)),
    AttentionCode.LABEL_FAILED: CaseRule(owner=Role.DISPATCH, allowed=timedelta(hours=4)),
    AttentionCode.CARRIER_UNREACHABLE: CaseRule(owner=Role.DISPATCH, allowed=timedelta(hours=2)),
    AttentionCode.PARCEL_SILENT: CaseRule(owner=Role.CARRIER_DESK, allowed=timedelta(hours=24)),
    AttentionCode.PARCEL_DELAYED: CaseRule(owner=Role.CARRIER_DESK, allowed=timedelta(hours=48)),
    AttentionCode.PARCEL_LOST: CaseRule(owner=Role.CARRIER_DESK, allowed=timedelta(hours=24)),
    AttentionCode.DELIVERY_FAILED: CaseRule(owner=Role.CARRIER_DESK, allowed=timedelta(hours=24)),
    AttentionCode.CUSTOMS_HELD: CaseRule(owner=Role.CARRIER_DESK, allowed=timedelta(hours=48)),
    AttentionCode.PROMISE_AT_RISK: CaseRule(owner=Role.DISPATCH, allowed=timedelta(hours=8)),
    AttentionCode.HOLD_OVERDUE: CaseRule(owner=Role.SUPPORT, allowed=timedelta(hours=8)),
    AttentionCode.ENGINE_LOST: CaseRule(owner=Role.ENGINEERING, allowed=timedelta(hours=1)),
    AttentionCode.CONTRADICTING_FACT: CaseRule(owner=Role.OPERATIONS, allowed=timedelta(hours=24)),
    AttentionCode.UNEXPECTED_ERROR: CaseRule(owner=Role.ENGINEERING, allowed=timedelta(hours=4)),
}


def open_case(change: Change, code: AttentionCode, subject: str, cause: str, *, wait: str | None = None) -> None:
    """Open a case unless one of that code and subject is open; *wait* names the wait whose end closes it."""
    order = change.order
    if any(case.code == code and case.subject == subject for case in order.attention):
        return
    rule = CASES[code]
    number = order.attention_count + 1
    case = Attention(
        attention_id=names.attention_id(order.order_id, number),
        code=code,
        subject=subject,
        owner=rule.owner,
        since=change.now,
        due_at=change.now + rule.allowed,
        cause=cause,
        wait=wait,
    )
    change.order = replace(order, attention=(*order.attention, case), attention_count=number)
    change.tell(
        EventKind.ATTENTION_OPENED,
        attention_id=case.attention_id,
        code=code.value,
        subject=subject,
        owner=rule.owner.value,
        cause=cause,
    )


def close_cases(change: Change, subject: str, codes: frozenset[AttentionCode], because: str) -> None:
    """Close the open cases of *subject* with one of *codes*: the facts have settled them."""
    for case in change.order.attention:
        if case.subject == subject and case.code in codes:
            _close(change, case, because)


def close_ended_waits(change: Change, waiting: frozenset[str]) -> None:
    """Close each case that an overdue wait opened, once that wait is over."""
    for case in change.order.attention:
        if case.wait is not None and case.wait not in waiting:
            _close(change, case, "the wait is over")


def _close(change: Change, case: Attention, because: str) -> None:
    remaining = tuple(other for other in change.order.attention if other != case)
    change.order = replace(change.order, attention=remaining)
    change.tell(
        EventKind.ATTENTION_RESOLVED,
        attention_id=case.attention_id,
        code=case.code,
        subject=case.subject,
        because=because,
    )
