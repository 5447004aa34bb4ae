"""The bodies of what people ask of a running order."""

from typing import Annotated

from pydantic import Field

from api.schemas.fields import Body, Name64, Name200, Quantity, Text2000
from domain.intake import MOST_LINES
from domain.resolving import MOST_HOURS
from domain.vocabulary import CancelReason, Fix, HoldDecision, HoldReason, PaymentMethod


class LineUnitsBody(Body):
    """Units of one order line."""

    line_id: Name64
    quantity: Quantity


class CancelBody(Body):
    """What to cancel: *lines*, or without them all that can be."""

    reason: CancelReason
    lines: Annotated[list[LineUnitsBody], Field(min_length=1, max_length=MOST_LINES)] | None = None
    restock: bool = True
    refund: bool = True
    note: Text2000 | None = None


class HoldBody(Body):
    """Why the order, or one fulfillment of it, must wait."""

    reason: HoldReason
    note: Text2000 | None = None
    fulfillment_id: Name64 | None = None


class ReleaseBody(Body):
    """Let the hold go, or refuse the order for it."""

    decision: HoldDecision = HoldDecision.RELEASE
    note: Text2000 | None = None


class NewPaymentBody(Body):
    """Another means of payment; without a token it is paid by a new link."""

    method: PaymentMethod
    token: Name200 | None = None


class NoteBody(Body):
    """Free text for colleagues."""

    text: Text2000


class FixParameters(Body):
    """What a fix needs: *hours* for ``wait_longer``, *person* for ``assign``."""

    hours: Annotated[int, Field(ge=1, le=MOST_HOURS)] | None = None
    person: Annotated[str, Field(pattern=r"^[A-Za-z0-9.\-_@]{1,64}$")] | None = None


class ResolveBody(Body):
    """How the case is settled."""

    fix: Fix
    parameters: FixParameters = FixParameters()
    note: Text2000 | None = None
