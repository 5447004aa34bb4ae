"""Writes ``docs/commands.md`` from the code's tables: run ``python docs/generate_commands.py`` after changing one."""

# ruff: noqa: E501 - a row of a table is one line
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from domain.attention import CASES  # noqa: E402 - found by way of the line above
from domain.holding import OWNERS, REJECTED_AS  # noqa: E402
from domain.resolving import PARAMETERS  # noqa: E402
from domain.vocabulary import Fix, HoldReason, RejectReason  # noqa: E402

HEAD = """\
# What people may ask of a running order

Written by `python docs/generate_commands.py`; a test keeps the tables true. Each command is a Temporal update with a validator:
refused with a rule's code before anything is written, or applied once and written by a regular activity, so that what is
committed is also durable in the engine. The command's id comes from the caller's key, route and `Idempotency-Key`; the same
again gets the same answer, also in a later run of the workflow. Answers: 200 done; 202 the warehouse is asked; 409 with the code
below; 404 `unknown_hold`, `unknown_case`; 422 with the field; 503 `engine_away` (nothing was done) or `command_pending` (the
outcome is not known yet: ask again with the same key).

## Cancel
`POST /v1/orders/{id}/cancel` `{reason, lines?, restock?, refund?, note?}` (storefront, support). The least advanced units go first.

| the units are | what happens | stock | money |
|---|---|---|---|
| open: being reserved | at once | the attempt gets a tombstone; what it had promised is given back | nothing is held yet, or it is given back |
| backordered | at once | off the queue; what was served meanwhile is given back | nothing was held for them |
| reserved, not released | at once | unreserved; whoever waits is served in the same transaction | less is taken; a hold for nothing is voided |
| at the warehouse, or packed | asked: a request `cancel` with a due time. Yes: cancelled. No: refused. Silence counts as no and opens `cancel_unanswered`; a late yes still counts | unreserved on a yes; with `restock: false` set aside as unavailable | as above; a label is given back |
| on their way, delivered, lost | 409 `already_shipped`, which names the way back | | |

What leaves while a request is open beats it: the request counts as refused. What leaves after a yes opens
`contradicting_fact`, and nothing is charged by itself. 409 `cancel_pending`: the warehouse has been asked for all that is left;
`already_cancelled`: nothing of it is left. The outcome's reason is the cancellation's.

## Hold, release, reject
`POST /v1/orders/{id}/holds` `{reason, note?, fulfillment_id?}`, `POST .../holds/{hold_id}/release` `{decision?, note?}` (support).
Several stand at once; nothing is released to a warehouse while one stands on the order or on that fulfillment. A warehouse that
has goods already gets a request `hold`, which is withdrawn with the hold. `decision: reject` ends the order as rejected: stock
and money are given back; 409 `already_released` once a warehouse has goods. 409 `already_shipped`, `order_closed`,
`awaits_payment` (the hold of an order that waits to be paid goes with its payment), 422 `unknown_fulfillment`.
"""

MIDDLE = """\
## Another address
`PATCH /v1/orders/{id}/shipping-address`, the body is the whole new address (storefront, support). Until a parcel is packed; a
warehouse that has goods gets a request `change_address`, and sees the new address at once. 409 `already_packed`,
`other_country`, `order_closed`; 422 names the part of the address that its country needs. Stock and money stay as they are.

## Another means of payment
`POST /v1/orders/{id}/payments` `{method, token?}` (storefront, support), while the order waits for its customer to pay. It takes
over what the old one was to cover; the old one is given up. Without a token there is a new link. 409 `not_awaiting_payment`,
`method_not_possible`.

## A note
`POST /v1/orders/{id}/notes` `{text}` (support, operations), at any time, also after the end and while the engine is away. The
text stands on the order's view; its timeline, streams and webhooks only name it.

## Settle an attention case
`POST /v1/orders/{id}/attention/{attention_id}/resolve` `{fix, parameters?, note?}` (support, operations). The view shows the fixes
that are legal now; another is 409 `fix_not_allowed` with the list. Every case can be assigned to a person.
"""

FIXES = {
    Fix.RETRY: "the step is tried again, under a key of the next generation",
    Fix.CANCEL: "the order is cancelled as above; legal while something can be",
    Fix.MARK_DELIVERED: "a person says that the parcel arrived; a carrier's later word still counts",
    Fix.MARK_LOST: "a person gives the parcel up; nothing is refunded by itself",
    Fix.WAIT_LONGER: "the case is due later",
    Fix.RELEASE: "the hold that is overdue is released",
    Fix.APPROVE: "a person says yes in the warehouse's place: the units are cancelled",
    Fix.DECLINE: "the cancellation stays refused",
    Fix.WRITE_OFF: "money that was not taken is given up: the order can end, and its view says so",
    Fix.ASSIGN: "a person takes the case",
    Fix.CLOSE: "nothing is to be done; legal when no money is owed",
}

TAIL = """\
A case on an order that has ended, a customer's question, and `engine_lost` stand on the order's row beside its value; they can be
assigned, given more time and, but for `engine_lost`, closed in the same way.
"""


def render() -> str:
    """The whole page."""
    holds = [
        f"| `{reason.value}` | {OWNERS[reason].value} | `{REJECTED_AS.get(reason, RejectReason.INVALID).value}` |"
        for reason in HoldReason
    ]
    fixes = [f"| `{fix.value}` | {_parameters(fix)} | {FIXES[fix]} |" for fix in Fix]
    cases = [
        f"| `{code.value}` | {rule.owner.value} | {int(rule.allowed.total_seconds() // 3600)} h |"
        f" {' '.join(f'`{fix.value}`' for fix in rule.fixes)} |"
        for code, rule in CASES.items()
    ]
    return "\n".join(
        [
            HEAD,
            *("| reason | owner | rejected as |", "|---|---|---|", *holds, ""),
            MIDDLE,
            *("| fix | parameters | what it does |", "|---|---|---|", *fixes, ""),
            *("| case | owner | time | fixes, and `assign` |", "|---|---|---|---|", *cases, ""),
            TAIL,
        ]
    )


def _parameters(fix: Fix) -> str:
    return ", ".join(f"`{name}` {kind}" for name, kind in PARAMETERS.get(fix, {}).items())


if __name__ == "__main__":
    (HERE / "commands.md").write_text(render())
