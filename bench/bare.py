"""B1, the engine alone: a workflow with the commands, signals and payload sizes of an order, and activities that do nothing."""

import asyncio
from collections import deque
from collections.abc import Callable

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from bench.shape import CALLS, CARD, DUE_IN, FACT, RESERVED_BYTES, WORKFLOW, Text, text_of
    from workflows import cards
    from workflows.options import DB_WRITE, LOCAL_WRITE


class BareActivities:
    """Activities that do nothing; *wrote* hears which workflow's which write would be done now."""

    def __init__(self, wrote: Callable[[str, int], None]) -> None:
        self._wrote = wrote

    @activity.defn
    async def bare_reserve(self) -> Text:
        """A reservation's worth of bytes."""
        return text_of(RESERVED_BYTES)

    @activity.defn
    async def bare_write(self, version: int) -> None:
        """Nothing is written."""
        self._wrote(activity.info().workflow_id or "", version)

    @activity.defn
    async def bare_call(self, request: Text, answer_bytes: int) -> Text:
        """A provider's answer's worth of bytes."""
        return text_of(answer_bytes)


@workflow.defn(name=WORKFLOW)
class BareOrder:
    """The story of an order without the order."""

    @workflow.init
    def __init__(self, start: Text) -> None:
        self._mailbox: deque[Text] = deque()
        self._version = 0

    @workflow.run
    async def run(self, start: Text) -> str:
        """Eight facts, three calls, a write after each, three upserts of search attributes, one timer."""
        workflow.set_current_details(CARD)
        self._timer = asyncio.create_task(workflow.sleep(DUE_IN, summary="look what is due at 2026-11-22 18:07:55 UTC"))
        await workflow.execute_local_activity_method(
            BareActivities.bare_reserve, summary="reserve 2 lines, all or nothing", **LOCAL_WRITE
        )
        await self._write("stock.reserved")
        await self._call("authorize", "payment.authorized, order.confirmed, fulfillment.released")
        self._upsert("fulfilling", "warehouse")
        for summary in ("fulfillment.accepted", "fulfillment.picked", "fulfillment.packed"):
            await self._fact(summary)
        await self._call("label", "parcel.labelled")
        await self._fact("fulfillment.handed_over, order.shipped")
        self._upsert("shipped", "payments")
        await self._call("capture", "payment.captured")
        for summary in ("parcel.tracked", "parcel.tracked", "parcel.tracked", "parcel.delivered, order.delivered"):
            await self._fact(summary)
        self._upsert("delivered", "nobody")
        return "delivered"

    @workflow.signal(name=FACT)
    def fact(self, fact: Text) -> None:
        """One of the eight."""
        self._mailbox.append(fact)

    async def _fact(self, summary: str) -> None:
        await workflow.wait_condition(lambda: bool(self._mailbox))
        self._mailbox.popleft()
        await self._write(summary)

    async def _call(self, name: str, summary: str) -> None:
        request_bytes, answer_bytes = CALLS[name]
        await workflow.execute_activity_method(
            BareActivities.bare_call,
            args=[text_of(request_bytes), answer_bytes],
            summary=f"{name} for what left and must be paid",
            **DB_WRITE,
        )
        await self._write(summary)

    async def _write(self, summary: str) -> None:
        self._version += 1
        await workflow.execute_local_activity_method(
            BareActivities.bare_write, self._version, summary=summary, **LOCAL_WRITE
        )
        workflow.set_current_details(CARD)

    def _upsert(self, state: str, owner: str) -> None:
        workflow.upsert_search_attributes(
            [
                cards.STATE.value_set(state),
                cards.OWNER.value_set(owner),
                cards.NEXT_STEP.value_set("accept"),
                cards.DUE_AT.value_set(workflow.now()),
                cards.LOCATION.value_set(["LEEDS"]),
            ]
        )
