"""The paths of orders that people change their minds about, or must help along."""

from dataclasses import replace
from datetime import timedelta

from contracts import names
from db.models import OrderContact, PaymentToken
from domain import names as part_names
from domain.commands import (
    AddPayment,
    CancelOrder,
    ChangeAddress,
    Command,
    CommandOutcome,
    LineUnits,
    PlaceHold,
    ReleaseHold,
    ResolveCase,
)
from domain.orders import Attention
from domain.policy import DEFAULT_RULES
from domain.vocabulary import ActorKind, CancellationState, Fix, HoldDecision, HoldReason, PaymentMethod
from tests.replay.paths.alone import ALL, SOON, end, released
from tests.workflows.shop import Shop

PATIENCE = timedelta(seconds=20)


async def _ask(shop: Shop, command: Command) -> CommandOutcome:
    """The outcome of *command*, sent as the API sends it."""
    outcome: CommandOutcome = await shop.handle.execute_update(
        names.UPDATES[type(command).__name__],
        command,
        id=command.id,
        result_type=CommandOutcome,
        rpc_timeout=PATIENCE,
    )
    return outcome


async def _cancel(shop: Shop, *lines: LineUnits) -> CommandOutcome:
    return await _ask(shop, CancelOrder(id="cancel-1", actor=ActorKind.CUSTOMER, lines=lines))


async def _hold(shop: Shop, reason: HoldReason) -> str:
    """The id of a hold that a person places."""
    outcome = await _ask(shop, PlaceHold(id="hold-1", actor=ActorKind.SUPPORT, actor_id="ada", reason=reason))
    assert outcome.subject is not None
    return outcome.subject


async def _release(shop: Shop, hold_id: str, decision: HoldDecision = HoldDecision.RELEASE) -> None:
    await _ask(
        shop,
        ReleaseHold(id="release-1", actor=ActorKind.SUPPORT, actor_id="bob", hold_id=hold_id, decision=decision),
    )


async def _case(shop: Shop, code: str) -> Attention:
    """The open case of that kind, once there is one."""
    order = await shop.until(lambda order: any(case.code == code for case in order.attention), code)
    return next(case for case in order.attention if case.code == code)


async def _settle(shop: Shop, code: str, fix: Fix) -> None:
    case = await _case(shop, code)
    await _ask(
        shop,
        ResolveCase(id="settle-1", actor=ActorKind.SUPPORT, actor_id="ada", attention_id=case.attention_id, fix=fix),
    )


async def cancelled_before_the_release(shop: Shop) -> None:
    """The customer cancels while the provider is asked for the money; what may be held is given back."""
    shop.payments.down = True
    await shop.place()
    await shop.until(lambda order: order.authorizations, "the stock is promised")
    await _cancel(shop)
    shop.payments.down = False
    await end(shop)


async def cancelled_by_request(shop: Shop) -> None:
    """The warehouse has the goods, is asked, and says yes."""
    await shop.place()
    await released(shop)
    await _cancel(shop)
    await shop.warehouse("request_accepted", request_id=(await shop.order()).requests[0].request_id)
    await end(shop)


async def cancellation_refused(shop: Shop) -> None:
    """The warehouse says no, and the goods arrive."""
    await shop.place()
    await shop.pack_all()
    await _cancel(shop)
    await shop.warehouse("request_refused", request_id=(await shop.order()).requests[0].request_id, reason="loaded")
    await shop.until(lambda order: order.cancellations[0].state is CancellationState.REFUSED, "refused")
    await shop.deliver()
    await end(shop)


async def cancellation_unanswered(shop: Shop) -> None:
    """The warehouse says nothing; a person who asked there says yes in its place."""
    await shop.place(rules=replace(DEFAULT_RULES, request_answer_within=SOON))
    await released(shop)
    await _cancel(shop)
    await _settle(shop, "cancel_unanswered", Fix.APPROVE)
    await end(shop)


async def part_cancelled(shop: Shop) -> None:
    """Two of six units are cancelled at the warehouse, which puts them back; the rest arrives and is paid."""
    await shop.place()
    await released(shop)
    await _cancel(shop, LineUnits(line_id="1", quantity=2))
    await shop.warehouse("request_accepted", request_id=(await shop.order()).requests[0].request_id)
    await shop.warehouse("picked", lines=[{"line_id": "1", "quantity": 4}, ALL[1]])
    await shop.warehouse("packed")
    await shop.until(lambda order: order.parcels and order.parcels[0].tracking_number, "labelled")
    await shop.deliver()
    await end(shop)


async def held_and_released(shop: Shop) -> None:
    """Held after the release: the warehouse is asked to stop, and may go on."""
    await shop.place()
    await released(shop)
    await _release(shop, await _hold(shop, HoldReason.CUSTOMER_REQUEST))
    await shop.pack_all()
    await shop.deliver()
    await end(shop)


async def held_and_rejected(shop: Shop) -> None:
    """Held before the release, and refused for it; stock and money are given back."""
    shop.payments.down = True
    await shop.place()
    hold_id = await _hold(shop, HoldReason.HIGH_RISK_OF_FRAUD)
    shop.payments.down = False
    await shop.until(lambda order: order.authorizations and order.authorizations[0].expires_at, "authorized")
    await _release(shop, hold_id, HoldDecision.REJECT)
    await end(shop)


async def address_changed(shop: Shop) -> None:
    """The customer moves while the goods are picked; the label is made for the new address."""
    await shop.place()
    await released(shop)
    async with shop.sessions.begin() as session:
        contact = await session.get_one(OrderContact, (shop.order_id, 1))
        session.add(OrderContact(order_id=shop.order_id, revision=2, shipping_address=contact.shipping_address))
    await _ask(shop, ChangeAddress(id="move-1", actor=ActorKind.CUSTOMER, contact_revision=2, country="GB"))
    await shop.warehouse("request_accepted", request_id=(await shop.order()).requests[0].request_id)
    await shop.pack_all()
    await shop.deliver()
    await end(shop)


async def label_refused_and_retried(shop: Shop) -> None:
    """No carrier takes the parcel at first; a person has it tried again."""
    shop.carrier.refused = "too_heavy"
    await shop.place()
    await released(shop)
    await shop.warehouse("picked", lines=ALL)
    await shop.warehouse("packed")
    await _case(shop, "label_failed")
    shop.carrier.refused = None
    await _settle(shop, "label_failed", Fix.RETRY)
    await shop.until(lambda order: order.parcels[0].tracking_number, "labelled")
    await shop.deliver()
    await end(shop)


async def lost_and_marked_delivered(shop: Shop) -> None:
    """The carrier loses the parcel, and the customer says that it is there."""
    await shop.place()
    await shop.pack_all()
    await shop.warehouse("handed_over", parcel_refs=["A"])
    await shop.carrier_says("lost")
    await _settle(shop, "parcel_lost", Fix.MARK_DELIVERED)
    await end(shop)


async def paid_otherwise(shop: Shop) -> None:
    """The customer must act for the first card, and pays by another."""
    shop.payments.answers = ["action", "yes"]
    await shop.place()
    await shop.until(lambda order: order.holds, "held")
    payment_id = part_names.payment_id(shop.order_id, 2)
    async with shop.sessions.begin() as session:
        session.add(
            PaymentToken(payment_id=payment_id, order_id=shop.order_id, method="card", token="pm_card_mastercard")
        )
    await _ask(
        shop,
        AddPayment(id="pay-1", actor=ActorKind.CUSTOMER, payment_id=payment_id, method=PaymentMethod.CARD),
    )
    await shop.pack_all()
    await shop.deliver()
    await end(shop)
