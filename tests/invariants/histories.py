"""What must be true of the engine's side: every history replays, no task fails in a loop, nothing personal is in it."""

from collections.abc import Iterator

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause

from tests.invariants.books import Books, Finding

# A command was overtaken by a signal: the engine tries the task again, by design.
HARMLESS = frozenset({WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND})
MOST_ATTEMPTS = 3


def every_history_replays(books: Books) -> Iterator[Finding]:
    """Invariant 11."""
    yield from books.unreplayable
    for order_id, execution in books.executions.items():
        if execution.task_attempt > MOST_ATTEMPTS:
            yield f"{order_id}: its workflow task is tried for the {execution.task_attempt}th time"
        for history in execution.histories:
            for event in history.events:
                failed = event.workflow_task_failed_event_attributes
                if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED and failed.cause not in HARMLESS:
                    cause = WorkflowTaskFailedCause.Name(failed.cause)
                    yield f"{order_id}: a workflow task failed ({cause}): {failed.failure.message}"


def nothing_personal_is_told(books: Books) -> Iterator[Finding]:
    """Invariant 12: no canary in histories, search attributes, ids, logs, outbox, events, snapshots, metric labels."""
    needles = {canary: canary.encode() for canary in books.canaries}
    for where, text in books.texts.items():
        for canary, needle in needles.items():
            if needle in text:
                at = text.index(needle)
                around = text[max(0, at - 60) : at + 60].decode(errors="replace")
                yield f"{where} tells {canary!r}: ...{around!r}..."
    for order in books.orders:
        named = f"{order['order_id']} {sorted(order['snapshot'])}"
        yield from (f"an id tells {canary!r}: {named}" for canary in books.canaries if canary in named)
