"""What people ask of a running order: cancel, hold, release, ship elsewhere, settle a case, note something."""

from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.addresses import check_address
from api.answers import Answer, answer
from api.body import Received, body_of
from api.commanding import carry_out, keep_note, note_id_of
from api.once import Work, claim_of, once
from api.openapi import CHANGE, takes
from api.routers.orders import see_order
from api.schemas.commands import CancelBody, HoldBody, NewPaymentBody, NoteBody, ReleaseBody, ResolveBody
from api.schemas.fields import PathName
from api.schemas.orders import AddressBody
from api.schemas.views import NoteView, OrderView
from api.security import Call, needs
from api.views import order_view
from db import intake, projection, row_cases
from db.intake import Token
from db.reading import orders
from domain import names as part_names
from domain.commands import AddPayment, CancelOrder, ChangeAddress, LineUnits, PlaceHold, ReleaseHold, ResolveCase
from domain.errors import Conflict, Invalid, NotFound
from domain.resolving import row_fixes
from domain.vocabulary import Fix, Scope

router = APIRouter(tags=["orders"])

Customer = Annotated[Call, Depends(needs(Scope.STOREFRONT, Scope.SUPPORT))]
Support = Annotated[Call, Depends(needs(Scope.SUPPORT))]
Staff = Annotated[Call, Depends(needs(Scope.SUPPORT, Scope.OPERATIONS))]

_ASKED = CHANGE | {202: {"model": OrderView, "description": "Asked of the warehouse, which has not answered yet."}}
_NEEDED = {Fix.ASSIGN: ("person", "required: who takes the case")}


@router.post(
    "/v1/orders/{order_id}/cancel", response_model=OrderView, responses=_ASKED, openapi_extra=takes(CancelBody)
)
async def cancel_order(
    call: Customer, order_id: PathName, received: Annotated[Received[CancelBody], Depends(body_of(CancelBody))]
) -> Response:
    """Cancel the order, or *lines* of it; what a warehouse has is asked of it (202), the rest is done at once (200)."""
    body = received.value

    async def make(session: AsyncSession, command_id: str) -> CancelOrder:
        await _check_lines(session, order_id, body)
        return CancelOrder(
            id=command_id,
            actor=call.actor_kind,
            actor_id=call.actor_id,
            reason=body.reason,
            lines=tuple(LineUnits(line_id=line.line_id, quantity=line.quantity) for line in body.lines or ()),
            restock=body.restock,
            refund=body.refund,
            note_id=await keep_note(session, call, order_id, command_id, body.note),
        )

    return (await carry_out(call, received.raw, order_id, make)).response()


async def _check_lines(session: AsyncSession, order_id: str, body: CancelBody) -> None:
    stored = await orders.find_order(session, order_id)
    ordered = {} if stored is None else {line.line_id: line.quantity for line in stored.order.lines}
    errors: list[tuple[str, str]] = []
    wanted: dict[str, int] = {}
    for place, line in enumerate(body.lines or ()):
        wanted[line.line_id] = wanted.get(line.line_id, 0) + line.quantity
        if line.line_id not in ordered:
            errors.append((f"lines[{place}].line_id", "unknown: not a line of this order"))
        elif wanted[line.line_id] > ordered[line.line_id]:
            errors.append((f"lines[{place}].quantity", f"too_many: {ordered[line.line_id]} were ordered"))
    if errors:
        raise Invalid(errors)


@router.post("/v1/orders/{order_id}/holds", response_model=OrderView, responses=CHANGE, openapi_extra=takes(HoldBody))
async def place_hold(
    call: Support, order_id: PathName, received: Annotated[Received[HoldBody], Depends(body_of(HoldBody))]
) -> Response:
    """Keep the order, or one fulfillment of it, from the warehouse; one that has goods already is asked to stop."""
    body = received.value

    async def make(session: AsyncSession, command_id: str) -> PlaceHold:
        return PlaceHold(
            id=command_id,
            actor=call.actor_kind,
            actor_id=call.actor_id,
            reason=body.reason,
            fulfillment_id=body.fulfillment_id,
            note_id=await keep_note(session, call, order_id, command_id, body.note),
        )

    return (await carry_out(call, received.raw, order_id, make)).response()


@router.post(
    "/v1/orders/{order_id}/holds/{hold_id}/release",
    response_model=OrderView,
    responses=CHANGE,
    openapi_extra=takes(ReleaseBody),
)
async def release_hold(
    call: Support,
    order_id: PathName,
    hold_id: PathName,
    received: Annotated[Received[ReleaseBody], Depends(body_of(ReleaseBody))],
) -> Response:
    """Let a hold go; ``reject`` ends the order as rejected, as long as no warehouse has goods of it."""
    body = received.value

    async def make(session: AsyncSession, command_id: str) -> ReleaseHold:
        return ReleaseHold(
            id=command_id,
            actor=call.actor_kind,
            actor_id=call.actor_id,
            hold_id=hold_id,
            decision=body.decision,
            note_id=await keep_note(session, call, order_id, command_id, body.note),
        )

    return (await carry_out(call, received.raw, order_id, make)).response()


@router.patch(
    "/v1/orders/{order_id}/shipping-address",
    response_model=OrderView,
    responses=CHANGE,
    openapi_extra=takes(AddressBody),
)
async def change_address(
    call: Customer, order_id: PathName, received: Annotated[Received[AddressBody], Depends(body_of(AddressBody))]
) -> Response:
    """Ship to another address in the same country, until a parcel is packed; the body is the whole new address."""
    address = received.value
    if errors := list(check_address(address, field="")):
        raise Invalid([(field.removeprefix("."), rule) for field, rule in errors])
    place = call.context.geography.locate(address.country, address.city)

    async def make(session: AsyncSession, command_id: str) -> ChangeAddress:
        revision = await intake.revise_address(
            session, order_id, command_id, address=address.model_dump(mode="json"), place=place
        )
        return ChangeAddress(
            id=command_id,
            actor=call.actor_kind,
            actor_id=call.actor_id,
            contact_revision=revision,
            country=address.country,
        )

    return (await carry_out(call, received.raw, order_id, make)).response()


@router.post(
    "/v1/orders/{order_id}/payments",
    response_model=OrderView,
    responses=CHANGE,
    openapi_extra=takes(NewPaymentBody),
)
async def add_payment(
    call: Customer, order_id: PathName, received: Annotated[Received[NewPaymentBody], Depends(body_of(NewPaymentBody))]
) -> Response:
    """Pay by another means while the order waits for its customer to pay."""
    body = received.value

    async def make(session: AsyncSession, command_id: str) -> AddPayment:
        payment_id = part_names.later_payment_id(order_id, f"c{sha256(command_id.encode()).hexdigest()[:10]}")
        token = Token(payment_id=payment_id, method=body.method.value, token=body.token, reference=None)
        await intake.keep_token(session, order_id, token)
        return AddPayment(
            id=command_id,
            actor=call.actor_kind,
            actor_id=call.actor_id,
            payment_id=payment_id,
            method=body.method,
        )

    return (await carry_out(call, received.raw, order_id, make)).response()


@router.post(
    "/v1/orders/{order_id}/attention/{attention_id}/resolve",
    response_model=OrderView,
    responses=CHANGE,
    openapi_extra=takes(ResolveBody),
)
async def resolve_case(
    call: Staff,
    order_id: PathName,
    attention_id: PathName,
    received: Annotated[Received[ResolveBody], Depends(body_of(ResolveBody))],
) -> Response:
    """Settle an attention case by a fix that is legal now; 409 ``fix_not_allowed`` lists those that are."""
    body = received.value
    needed = _NEEDED.get(body.fix)
    if needed is not None and getattr(body.parameters, needed[0]) is None:
        raise Invalid([(f"parameters.{needed[0]}", needed[1])])

    async with call.context.sessions() as session:
        await see_order(session, call, order_id)
        beside = await row_cases.find_case(session, order_id, attention_id)
    if beside is not None:
        return (
            await once(call, received.raw, _settling(call, order_id, attention_id, body, beside["code"]))
        ).response()

    async def make(session: AsyncSession, command_id: str) -> ResolveCase:
        return ResolveCase(
            id=command_id,
            actor=call.actor_kind,
            actor_id=call.actor_id,
            attention_id=attention_id,
            fix=body.fix,
            person=body.parameters.person,
            hours=body.parameters.hours,
            note_id=await keep_note(session, call, order_id, command_id, body.note),
        )

    return (await carry_out(call, received.raw, order_id, make)).response()


def _settling(call: Call, order_id: str, attention_id: str, body: ResolveBody, code: str) -> Work:
    """Settles a case that stands on the order's row: it is open or ended, and its workflow knows nothing of the case."""

    async def work(session: AsyncSession) -> Answer:
        legal = row_fixes(code)
        if body.fix not in legal:
            raise Conflict(f"legal now: {', '.join(fix.value for fix in legal)}", code="fix_not_allowed")
        claim = claim_of(call, b"")
        command_id = claim.request_id.hex() if claim is not None else call.context.random_id()
        await keep_note(session, call, order_id, command_id, body.note)
        settled = await row_cases.settle_case(
            session,
            order_id,
            attention_id,
            body.fix,
            person=body.parameters.person,
            hours=body.parameters.hours,
            actor=(call.actor_kind, call.actor_id),
            at=call.context.now(),
        )
        stored = await orders.find_order(session, order_id)
        if not settled or stored is None:
            raise NotFound("the order has no such open case")
        return answer(order_view(stored, call.context.settings))

    return work


@router.post(
    "/v1/orders/{order_id}/notes",
    status_code=201,
    response_model=NoteView,
    responses=CHANGE,
    openapi_extra=takes(NoteBody),
)
async def add_note(
    call: Staff, order_id: PathName, received: Annotated[Received[NoteBody], Depends(body_of(NoteBody))]
) -> Response:
    """Note something for colleagues; also on an order that has ended, and while the engine is away."""

    async def work(session: AsyncSession) -> Answer:
        await see_order(session, call, order_id)
        claim = claim_of(call, received.raw)
        command_id = claim.request_id.hex() if claim is not None else call.context.random_id()
        note_id = note_id_of(command_id)
        now = call.context.now()
        await keep_note(session, call, order_id, command_id, received.value.text)
        await projection.append_note_event(
            session, order_id, note_id, actor_kind=call.actor_kind, actor_id=call.actor_id, at=now
        )
        return answer(
            {
                "note_id": note_id,
                "text": received.value.text,
                "actor": {"kind": call.actor_kind, "id": call.actor_id},
                "at": now,
            },
            status=201,
        )

    return (await once(call, received.raw, work)).response()
