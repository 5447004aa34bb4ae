"""What people ask of a running order: each command with the one who asks, and what became of it."""

from dataclasses import dataclass

from domain.vocabulary import ActorKind, CancelReason, Fix, HoldDecision, HoldReason, PaymentMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class LineUnits:
    """Units of one order line."""

    line_id: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """Cancel *lines*, or with none all that can be; goods that a warehouse puts back are sellable if *restock*.

    Without *refund* money that was taken elsewhere is not reported as owed to the customer.
    """

    id: str
    actor: ActorKind
    actor_id: str | None = None
    reason: CancelReason = CancelReason.CUSTOMER
    lines: tuple[LineUnits, ...] = ()
    restock: bool = True
    refund: bool = True
    note_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceHold:
    """Keep the order, or one fulfillment of it, from the warehouse until the hold is released."""

    id: str
    actor: ActorKind
    actor_id: str | None = None
    reason: HoldReason
    fulfillment_id: str | None = None
    note_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseHold:
    """Let a hold go, or refuse the order for it."""

    id: str
    actor: ActorKind
    actor_id: str | None = None
    hold_id: str
    decision: HoldDecision = HoldDecision.RELEASE
    note_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAddress:
    """Ship to the address that the contact's *contact_revision* has; it lies in *country*."""

    id: str
    actor: ActorKind
    actor_id: str | None = None
    contact_revision: int
    country: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddPayment:
    """Pay by another means what waits for its customer; the token is kept under *payment_id*."""

    id: str
    actor: ActorKind
    actor_id: str | None = None
    payment_id: str
    method: PaymentMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveCase:
    """Settle an attention case by one of its fixes; the parameters are those that the fix names."""

    id: str
    actor: ActorKind
    actor_id: str | None = None
    attention_id: str
    fix: Fix
    person: str | None = None
    hours: int | None = None
    note_id: str | None = None


Command = CancelOrder | PlaceHold | ReleaseHold | ChangeAddress | AddPayment | ResolveCase
COMMANDS = (CancelOrder, PlaceHold, ReleaseHold, ChangeAddress, AddPayment, ResolveCase)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOutcome:
    """What became of a command, kept for whoever asks again: written with the order's *version*.

    *refused* is a rule's code when another command of the same moment made this one illegal. *subject* is what it made or
    changed. *is_pending*: somebody else must still agree.
    """

    command_id: str
    version: int
    subject: str | None = None
    is_pending: bool = False
    refused: str | None = None
    detail: str | None = None
