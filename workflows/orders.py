"""OrderWorkflow: one order from received to its end; the loop applies, ``domain.life`` decides, activities touch the world."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.inventory import InventoryActivities
    from activities.orders import OrderActivities
    from activities.payments import PaymentActivities
    from activities.shipping import ShippingActivities
    from contracts import names
    from contracts.orders import Move, OrderInput
    from domain import projection
    from domain.change import LeaveQueue, StockEffect, UndoStep
    from domain.commands import (
        COMMANDS,
        AddPayment,
        CancelOrder,
        ChangeAddress,
        Command,
        CommandOutcome,
        PlaceHold,
        ReleaseHold,
        ResolveCase,
    )
    from domain.life import Applied, apply
    from domain.messages import (
        CarrierFact,
        DueReached,
        Message,
        PaymentFact,
        StepFailed,
        StockServed,
        WarehouseFact,
    )
    from domain.obeying import refusal
    from domain.orders import Order, closed
    from domain.steps import (
        AuthorizePayment,
        BookLabel,
        CapturePayment,
        ReserveStock,
        VoidAuthorization,
        VoidLabel,
        next_steps,
    )
    from domain.waits import next_due
    from workflows import cards
    from workflows.loop import Applier, Life
    from workflows.options import DB_WRITE, LOCAL_WRITE, PAYMENT, PROVIDER_CALL


def _step_key(message: Message) -> str | None:
    return None if isinstance(message, _WITHOUT_STEP) else message.step_key


def _command_id(message: Message) -> str | None:
    return message.id if isinstance(message, COMMANDS) else None


_WITHOUT_STEP = (WarehouseFact, CarrierFact, PaymentFact, StockServed, DueReached, *COMMANDS)
LIFE: Life[Order, Message, Applied, CommandOutcome] = Life(
    apply=apply,
    after=lambda applied: applied.order,
    next_steps=next_steps,
    next_due=next_due,
    closed=closed,
    step_key=_step_key,
    failed=lambda key, error: StepFailed(step_key=key, error=error),
    due=lambda at: DueReached(at=at),
    command_id=_command_id,
    outcome=lambda order, command_id: order.outcome_of(command_id),
    knows=lambda order, command_id: order.has_obeyed(command_id),
)


@workflow.defn(name=names.ORDER_WORKFLOW)
class OrderWorkflow:
    """One order. Facts arrive as signals; every change is one write; it ends when nothing of the order is open."""

    @workflow.init
    def __init__(self, start: OrderInput) -> None:
        self._continue_after = start.continue_after
        self._applier = Applier(start.order, life=LIFE, hands=OrderHands(start.order), crowded=self._is_crowded)

    @workflow.run
    async def run(self, start: OrderInput) -> str:
        """The state the order ended in."""
        workflow.set_current_details(cards.card(self._applier.state))
        order = await self._applier.run()
        if not closed(order):
            workflow.continue_as_new(
                OrderInput(order=order, continue_after=self._continue_after),
                search_attributes=cards.attributes_at_start(order),
            )
        return order.announced.value

    @workflow.signal(name=names.WAREHOUSE_FACT)
    def warehouse_fact(self, fact: WarehouseFact) -> None:
        """A warehouse says what it did."""
        self._applier.post(fact)

    @workflow.signal(name=names.CARRIER_FACT)
    def carrier_fact(self, fact: CarrierFact) -> None:
        """A carrier says where a parcel is."""
        self._applier.post(fact)

    @workflow.signal(name=names.PAYMENT_FACT)
    def payment_fact(self, fact: PaymentFact) -> None:
        """The payment provider says what became of an authorization."""
        self._applier.post(fact)

    @workflow.signal(name=names.STOCK_SERVED)
    def stock_served(self, fact: StockServed) -> None:
        """Stock came in, and units that the order waited for are promised to it."""
        self._applier.post(fact)

    @workflow.update(name=names.CANCEL_ORDER)
    async def cancel_order(self, command: CancelOrder) -> CommandOutcome:
        """Cancel units, whole or in part."""
        return await self._applier.settle(command)

    @workflow.update(name=names.PLACE_HOLD)
    async def place_hold(self, command: PlaceHold) -> CommandOutcome:
        """Keep the order, or a fulfillment of it, from the warehouse."""
        return await self._applier.settle(command)

    @workflow.update(name=names.RELEASE_HOLD)
    async def release_hold(self, command: ReleaseHold) -> CommandOutcome:
        """Let a hold go, or refuse the order for it."""
        return await self._applier.settle(command)

    @workflow.update(name=names.CHANGE_ADDRESS)
    async def change_address(self, command: ChangeAddress) -> CommandOutcome:
        """Ship somewhere else."""
        return await self._applier.settle(command)

    @workflow.update(name=names.ADD_PAYMENT)
    async def add_payment(self, command: AddPayment) -> CommandOutcome:
        """Pay by another means what waits for its customer."""
        return await self._applier.settle(command)

    @workflow.update(name=names.RESOLVE_CASE)
    async def resolve_case(self, command: ResolveCase) -> CommandOutcome:
        """Settle an attention case by one of its fixes."""
        return await self._applier.settle(command)

    @cancel_order.validator
    def _may_cancel(self, command: CancelOrder) -> None:
        self._check(command)

    @place_hold.validator
    def _may_hold(self, command: PlaceHold) -> None:
        self._check(command)

    @release_hold.validator
    def _may_release(self, command: ReleaseHold) -> None:
        self._check(command)

    @change_address.validator
    def _may_change_address(self, command: ChangeAddress) -> None:
        self._check(command)

    @add_payment.validator
    def _may_add_payment(self, command: AddPayment) -> None:
        self._check(command)

    @resolve_case.validator
    def _may_resolve(self, command: ResolveCase) -> None:
        self._check(command)

    def _check(self, command: Command) -> None:
        """Refuse what is illegal now; a refusal here leaves no trace in the history."""
        refused = refusal(self._applier.state, command)
        if refused is not None:
            raise ApplicationError(refused.detail, type=refused.code)

    @workflow.signal(dynamic=True)
    def unknown_signal(self, name: str, args: Sequence[RawValue]) -> None:
        """A signal of a name we do not know is told and dropped."""
        workflow.logger.warning("unknown_signal", extra={"signal": name, "arguments": len(args)})

    def _is_crowded(self) -> bool:
        info = workflow.info()
        return info.is_continue_as_new_suggested() or info.get_current_history_length() >= self._continue_after


class OrderHands:
    """How an order's loop touches the world; *shown* is the order as the search attributes have it."""

    def __init__(self, shown: Order) -> None:
        self._shown = shown

    async def write(self, before: Order, after: Order, applied: Sequence[Applied], *, durable: bool) -> None:
        """Write one move locally; when that fails twice, the same write as a regular activity, for as long as it takes.

        A *durable* one is a regular activity at once: a local one commits before the engine has the command, and a worker
        that dies there would leave a committed change that the engine then refuses.
        """
        move = _move(before, after, applied, workflow.now())
        summary = ", ".join(dict.fromkeys(event.kind.value for event in move.events))[:200] or "waits changed"
        try:
            if not durable:
                await workflow.execute_local_activity_method(
                    OrderActivities.write_move, args=[move, after], summary=summary, **LOCAL_WRITE
                )
                return
        except FailureError as failure:  # A local activity's own failure comes bare.
            if is_cancelled_exception(failure):
                raise
        await workflow.execute_activity_method(
            OrderActivities.write_move, args=[move, after], summary=summary, **DB_WRITE
        )

    async def perform(self, step: Any) -> Message:
        """Call the one activity that *step* is."""
        summary = cards.step_summary(step)
        match step:
            case ReserveStock():
                return await self._reserve(step, summary)
            case AuthorizePayment():
                return await workflow.execute_activity_method(
                    PaymentActivities.authorize_payment, step, summary=summary, **PAYMENT
                )
            case CapturePayment():
                return await workflow.execute_activity_method(
                    PaymentActivities.capture_payment, step, summary=summary, **PAYMENT
                )
            case VoidAuthorization():
                return await workflow.execute_activity_method(
                    PaymentActivities.void_authorization, step, summary=summary, **PAYMENT
                )
            case BookLabel():
                return await workflow.execute_activity_method(
                    ShippingActivities.book_label, step, summary=summary, **PROVIDER_CALL
                )
            case VoidLabel():
                return await workflow.execute_activity_method(
                    ShippingActivities.void_label, step, summary=summary, **PROVIDER_CALL
                )
            case _:
                raise TypeError(f"no activity for {type(step).__name__}")

    async def _reserve(self, step: ReserveStock, summary: str) -> Message:
        try:
            return await workflow.execute_local_activity_method(
                InventoryActivities.reserve_stock, step, summary=summary, **LOCAL_WRITE
            )
        except FailureError as failure:  # A local activity's own failure comes bare.
            if is_cancelled_exception(failure):
                raise
            return await workflow.execute_activity_method(
                InventoryActivities.reserve_stock, step, summary=summary, **DB_WRITE
            )

    def show(self, before: Order, after: Order) -> None:
        """The card at every change, search attributes at a coarse one."""
        workflow.set_current_details(cards.card(after))
        if cards.is_coarse_change(before, after):
            workflow.upsert_search_attributes(cards.attribute_updates(self._shown, after))
            self._shown = after


def _move(before: Order, after: Order, applied: Sequence[Applied], now: datetime) -> Move:
    effects = [effect for step in applied for effect in step.effects]
    return Move(
        order_id=after.order_id,
        version=after.version,
        at=now,
        figures=projection.order_figures(after, now),
        fulfillments=projection.changed_fulfillments(before, after, now),
        parcels=projection.changed_parcels(before, after),
        numbered=projection.newly_numbered(before, after),
        events=tuple(event for step in applied for event in step.events),
        stock=tuple(effect for effect in effects if isinstance(effect, StockEffect)),
        undone=tuple(effect for effect in effects if isinstance(effect, UndoStep)),
        unqueued=tuple(effect for effect in effects if isinstance(effect, LeaveQueue)),
        notable=projection.is_notable(before, after),
    )
