"""The steps an order needs next, each keyed by ids, purpose and generation; a step calls one activity, which gets it whole."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from domain import names
from domain.orders import Order, Parcel, needs_label_void, parcel_state
from domain.payments import capture_amount, next_unit, saved_by, startable
from domain.priority import priority
from domain.units import Stage
from domain.vocabulary import ParcelState, PaymentState, ServiceLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedLine:
    """Units of one line that need stock; *first_unit* is the place of the first of them in its line."""

    line_id: str
    sku: str
    quantity: int
    first_unit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReserveStock:
    """Promise every line or none; with *allow_backorder* what is there, and a place in the queue for the rest.

    *instead_of* a fulfillment that could not serve these units: as many as other locations than *not_at* have.
    """

    key: str
    order_id: str
    contact_revision: int
    lines: tuple[WantedLine, ...]
    allow_split: bool
    first_fulfillment: int
    allow_backorder: bool = False
    instead_of: str | None = None
    not_at: tuple[str, ...] = ()
    priority: int = 0
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizePayment:
    """Hold money for one fulfillment; *saved_by* is the authorization that saved the payment's method, once one did."""

    key: str
    order_id: str
    payment_id: str
    authorization_id: str
    amount_minor: int
    currency: str
    saved_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturePayment:
    """Take the money for what left; the rest of the hold is released."""

    key: str
    order_id: str
    authorization_id: str
    reference: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidAuthorization:
    """Give a hold back, whatever became of asking for it under *authorize_key*."""

    key: str
    order_id: str
    authorization_id: str
    authorize_key: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BookLabel:
    """Choose a carrier for a parcel and buy its label."""

    key: str
    order_id: str
    parcel_id: str
    location_id: str
    contact_revision: int
    skus: tuple[tuple[str, int], ...]
    weight_g: int | None
    length_mm: int | None
    width_mm: int | None
    height_mm: int | None
    service_level: ServiceLevel
    deliver_by: datetime
    collect_minor: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidLabel:
    """Give a parcel's label back."""

    key: str
    order_id: str
    parcel_id: str
    label_key: str


Step = ReserveStock | AuthorizePayment | CapturePayment | VoidAuthorization | BookLabel | VoidLabel


def next_steps(order: Order) -> dict[str, Step]:
    """Key -> step, for every step that should be running now, in a fixed order.

    A step's result never leaves its own key here, and a step that failed for an unplanned reason is left to people.
    """
    return {
        step.key: step
        for step in (*_reserve(order), *_authorize(order), *_book(order), *_capture(order), *_void(order))
        if step.key not in order.failed_steps
    }


def reserve_key(order: Order, instead_of: str | None = None) -> str:
    """The key of the current attempt to reserve, for the order or for what one fulfillment could not serve."""
    if instead_of is None:
        return names.step_key(order.order_id, "reserve", "order", order.reserve_generation)
    return names.step_key(order.order_id, "reserve", instead_of, order.fulfillment(instead_of).sourced_again)


def authorize_key(order_id: str, authorization_id: str) -> str:
    """The key under which the provider is asked to hold the money."""
    return names.step_key(order_id, "authorize", authorization_id)


def _reserve(order: Order) -> Iterator[Step]:
    """One attempt at a time, so that the numbers of the fulfillments that it may plan are its own."""
    waiting = [portion for portion in order.portions if portion.stage is Stage.OPEN]
    if not waiting:
        return
    instead_of = None if any(p.fulfillment_id is None for p in waiting) else waiting[0].fulfillment_id
    wanted: dict[str, int] = {}
    for portion in waiting:
        if portion.fulfillment_id == instead_of:
            wanted[portion.line_id] = wanted.get(portion.line_id, 0) + portion.quantity
    may_wait = order.allow_backorder and instead_of is None
    yield ReserveStock(
        key=reserve_key(order, instead_of),
        order_id=order.order_id,
        contact_revision=order.contact_revision,
        lines=tuple(
            WantedLine(
                line_id=line_id, sku=order.line(line_id).sku, quantity=quantity, first_unit=next_unit(order, line_id)
            )
            for line_id, quantity in wanted.items()
        ),
        allow_split=order.allow_split or instead_of is not None,
        first_fulfillment=len(order.fulfillments) + 1,
        allow_backorder=may_wait,
        instead_of=instead_of,
        not_at=_refused_by(order, instead_of),
        priority=priority(order, order.received_at).value if may_wait else 0,
        received_at=order.received_at if may_wait else None,
    )


def _refused_by(order: Order, fulfillment_id: str | None) -> tuple[str, ...]:
    """The locations that could not serve these units: that of the fulfillment, and of those that it came after."""
    found: list[str] = []
    while fulfillment_id is not None:
        fulfillment = order.fulfillment(fulfillment_id)
        found.append(fulfillment.location_id)
        fulfillment_id = fulfillment.after
    return tuple(found)


def _authorize(order: Order) -> Iterator[Step]:
    for authorization in startable(order):
        yield AuthorizePayment(
            key=authorize_key(order.order_id, authorization.authorization_id),
            order_id=order.order_id,
            payment_id=authorization.payment_id,
            authorization_id=authorization.authorization_id,
            amount_minor=authorization.amount_minor,
            currency=order.currency,
            saved_by=saved_by(order, authorization.payment_id),
        )


def _capture(order: Order) -> Iterator[Step]:
    for authorization in order.authorizations:
        if authorization.state is not PaymentState.AUTHORIZED or authorization.capture_refused:
            continue
        amount = capture_amount(order, authorization)
        if amount and authorization.reference:
            yield CapturePayment(
                key=names.step_key(
                    order.order_id, "capture", authorization.authorization_id, authorization.capture_generation
                ),
                order_id=order.order_id,
                authorization_id=authorization.authorization_id,
                reference=authorization.reference,
                amount_minor=amount,
                currency=order.currency,
            )


def _void(order: Order) -> Iterator[Step]:
    undoable = {PaymentState.PENDING, PaymentState.AUTHORIZED, PaymentState.ACTION_REQUIRED}
    for authorization in order.authorizations:
        if authorization.void_since is not None and authorization.state in undoable:
            yield VoidAuthorization(
                key=names.step_key(order.order_id, "void", authorization.authorization_id),
                order_id=order.order_id,
                authorization_id=authorization.authorization_id,
                authorize_key=authorize_key(order.order_id, authorization.authorization_id),
                amount_minor=authorization.amount_minor,
                currency=order.currency,
            )
    for parcel in order.parcels:
        if needs_label_void(order, parcel):
            yield VoidLabel(
                key=names.step_key(order.order_id, "void_label", parcel.parcel_id),
                order_id=order.order_id,
                parcel_id=parcel.parcel_id,
                label_key=label_key(order.order_id, parcel),
            )


def label_key(order_id: str, parcel: Parcel) -> str:
    """The key under which a carrier is asked for the parcel's label."""
    return names.step_key(order_id, "label", parcel.parcel_id, parcel.label_generation)


def _book(order: Order) -> Iterator[Step]:
    for parcel in order.parcels:
        gone = parcel_state(order, parcel) is ParcelState.CANCELLED
        if parcel.tracking_number is None and parcel.label_refused is None and not gone:
            yield _book_label(order, parcel)


def _book_label(order: Order, parcel: Parcel) -> BookLabel:
    contents: dict[str, int] = {}
    for portion in order.portions:
        if portion.parcel_id == parcel.parcel_id:
            sku = order.line(portion.line_id).sku
            contents[sku] = contents.get(sku, 0) + portion.quantity
    return BookLabel(
        key=label_key(order.order_id, parcel),
        order_id=order.order_id,
        parcel_id=parcel.parcel_id,
        location_id=order.fulfillment(parcel.fulfillment_id).location_id,
        contact_revision=order.contact_revision,
        skus=tuple(contents.items()),
        weight_g=parcel.weight_g,
        length_mm=parcel.length_mm,
        width_mm=parcel.width_mm,
        height_mm=parcel.height_mm,
        service_level=order.service_level,
        deliver_by=order.deliver_by,
        collect_minor=parcel.collect_minor,
        currency=order.currency,
    )
