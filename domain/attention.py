"""Attention cases: what each code means to people, and how a case is opened and closed on an order."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from domain import names
from domain.change import Change
from domain.orders import Attention
from domain.vocabulary import EventKind, Fix, Role


class AttentionCode(StrEnum):
    """What kind of problem stands open."""

    PAYMENT_UNREACHABLE = "payment_unreachable"
    PAYMENT_ACTION_REQUIRED = "payment_action_required"
    CAPTURE_FAILED = "capture_failed"
    STOCK_SHORT = "stock_short"
    BACKORDER_LATE = "backorder_late"
    WAREHOUSE_SILENT = "warehouse_silent"
    WAREHOUSE_REFUSED = "warehouse_refused"
    CANCEL_UNANSWERED = "cancel_unanswered"
    QUANTITY_MISMATCH = "quantity_mismatch"
    LABEL_FAILED = "label_failed"
    CARRIER_UNREACHABLE = "carrier_unreachable"
    CUSTOMER_QUESTION = "customer_question"
    PARCEL_SILENT = "parcel_silent"
    PARCEL_DELAYED = "parcel_delayed"
    PARCEL_LOST = "parcel_lost"
    DELIVERY_FAILED = "delivery_failed"
    CUSTOMS_HELD = "customs_held"
    ADDRESS_UNUSABLE = "address_unusable"
    PROMISE_AT_RISK = "promise_at_risk"
    HOLD_OVERDUE = "hold_overdue"
    ENGINE_LOST = "engine_lost"
    CONTRADICTING_FACT = "contradicting_fact"
    UNEXPECTED_ERROR = "unexpected_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRule:
    """Who owns a case, how long they have, and how they can settle it; any case can be assigned to a person."""

    owner: Role
    allowed: timedelta
    fixes: tuple[Fix, ...]


def _rule(owner: Role, hours: int, *fixes: Fix) -> CaseRule:
    return CaseRule(owner=owner, allowed=timedelta(hours=hours), fixes=fixes)


CASES: Mapping[AttentionCode, CaseRule] = {
    AttentionCode.PAYMENT_UNREACHABLE: _rule(Role.PAYMENTS, 2, Fix.WAIT_LONGER, Fix.CANCEL),
    AttentionCode.PAYMENT_ACTION_REQUIRED: _rule(Role.CUSTOMER, 24, Fix.WAIT_LONGER, Fix.CANCEL),
    AttentionCode.CAPTURE_FAILED: _rule(Role.PAYMENTS, 24, Fix.RETRY, Fix.WRITE_OFF, Fix.WAIT_LONGER, Fix.CLOSE),
    AttentionCode.STOCK_SHORT: _rule(Role.INVENTORY, 8, Fix.WAIT_LONGER, Fix.CANCEL),
    AttentionCode.BACKORDER_LATE: _rule(Role.INVENTORY, 24, Fix.WAIT_LONGER, Fix.CANCEL),
    AttentionCode.WAREHOUSE_SILENT: _rule(Role.WAREHOUSE, 2, Fix.WAIT_LONGER, Fix.CANCEL),
    AttentionCode.WAREHOUSE_REFUSED: _rule(Role.INVENTORY, 8, Fix.WAIT_LONGER, Fix.CANCEL, Fix.CLOSE),
    AttentionCode.CANCEL_UNANSWERED: _rule(Role.WAREHOUSE, 2, Fix.APPROVE, Fix.DECLINE, Fix.WAIT_LONGER),
    AttentionCode.QUANTITY_MISMATCH: _rule(Role.WAREHOUSE, 8, Fix.WAIT_LONGER, Fix.CLOSE),
    AttentionCode.LABEL_FAILED: _rule(Role.DISPATCH, 4, Fix.RETRY, Fix.WAIT_LONGER, Fix.CANCEL),
    AttentionCode.CARRIER_UNREACHABLE: _rule(Role.DISPATCH, 2, Fix.WAIT_LONGER, Fix.CANCEL),
    AttentionCode.CUSTOMER_QUESTION: _rule(Role.SUPPORT, 24, Fix.WAIT_LONGER, Fix.CLOSE),
    AttentionCode.PARCEL_SILENT: _rule(Role.CARRIER_DESK, 24, Fix.WAIT_LONGER, Fix.MARK_DELIVERED, Fix.MARK_LOST),
    AttentionCode.PARCEL_DELAYED: _rule(
        Role.CARRIER_DESK, 48, Fix.WAIT_LONGER, Fix.MARK_DELIVERED, Fix.MARK_LOST, Fix.CLOSE
    ),
    AttentionCode.PARCEL_LOST: _rule(Role.CARRIER_DESK, 24, Fix.WAIT_LONGER, Fix.MARK_DELIVERED),
    AttentionCode.DELIVERY_FAILED: _rule(Role.CARRIER_DESK, 24, Fix.WAIT_LONGER, Fix.MARK_DELIVERED, Fix.MARK_LOST),
    AttentionCode.CUSTOMS_HELD: _rule(
        Role.CARRIER_DESK, 48, Fix.WAIT_LONGER, Fix.MARK_DELIVERED, Fix.MARK_LOST, Fix.CLOSE
    ),
    AttentionCode.ADDRESS_UNUSABLE: _rule(Role.SUPPORT, 8, Fix.WAIT_LONGER, Fix.CANCEL, Fix.CLOSE),
    AttentionCode.PROMISE_AT_RISK: _rule(Role.DISPATCH, 8, Fix.WAIT_LONGER, Fix.CANCEL, Fix.CLOSE),
    AttentionCode.HOLD_OVERDUE: _rule(Role.SUPPORT, 8, Fix.RELEASE, Fix.WAIT_LONGER, Fix.CANCEL),
    AttentionCode.ENGINE_LOST: _rule(Role.ENGINEERING, 1),
    AttentionCode.CONTRADICTING_FACT: _rule(Role.OPERATIONS, 24, Fix.WAIT_LONGER, Fix.CLOSE),
    AttentionCode.UNEXPECTED_ERROR: _rule(Role.ENGINEERING, 4, Fix.RETRY, Fix.WAIT_LONGER, Fix.CANCEL),
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
            close_case(change, case, because)


def close_case(change: Change, case: Attention, because: str, *, fix: Fix | None = None) -> None:
    """*case* is settled, by *fix* if a person chose one."""
    remaining = tuple(other for other in change.order.attention if other.attention_id != case.attention_id)
    change.order = replace(change.order, attention=remaining)
    change.tell(
        EventKind.ATTENTION_RESOLVED,
        attention_id=case.attention_id,
        code=case.code,
        subject=case.subject,
        because=because,
        fix=fix.value if fix else None,
    )


def close_ended_waits(change: Change, waiting: frozenset[str]) -> None:
    """Close each case that an overdue wait opened, once that wait is over."""
    for case in change.order.attention:
        if case.wait is not None and case.wait not in waiting:
            close_case(change, case, "the wait is over")
