"""What a warehouse may say of a fulfillment: one body per kind of fact."""

from typing import Annotated, Literal

from pydantic import Field

from api.schemas.fields import Body, Code, Grams, Millimetres, Name64, Name100, Quantity, Time
from domain.intake import MOST_LINES
from domain.vocabulary import ShortReason


class FactLine(Body):
    """Units of one line: an increment, never a total."""

    line_id: Name64
    quantity: Quantity


class PickedLine(FactLine):
    """Units that were picked, with their lot and serial numbers where the goods have them."""

    lot: Name64 | None = None
    serials: Annotated[list[Name64], Field(max_length=1000, default_factory=list)]


class MissingLine(Body):
    """Units that could not be picked."""

    line_id: Name64
    missing: Quantity
    reason: ShortReason


class ParcelBody(Body):
    """One box as it was packed; with carrier and tracking number it has its label already."""

    parcel_ref: Name64
    lines: Annotated[list[FactLine], Field(min_length=1, max_length=MOST_LINES)]
    weight_g: Grams | None = None
    length_mm: Millimetres | None = None
    width_mm: Millimetres | None = None
    height_mm: Millimetres | None = None
    carrier: Name64 | None = None
    tracking_number: Name64 | None = None


class _Fact(Body):
    event_id: Name100
    occurred_at: Time
    worker: Name64 | None = None


class AcceptedBody(_Fact):
    """The warehouse took the fulfillment on."""

    kind: Literal["accepted"]


class RefusedBody(_Fact):
    """The warehouse will not serve these units, or any of them."""

    kind: Literal["refused"]
    reason: ShortReason
    lines: Annotated[list[FactLine], Field(max_length=MOST_LINES, default_factory=list)]


class PickedBody(_Fact):
    """Units were picked."""

    kind: Literal["picked"]
    lines: Annotated[list[PickedLine], Field(min_length=1, max_length=MOST_LINES)]


class ShortPickedBody(_Fact):
    """Units could not be picked."""

    kind: Literal["short_picked"]
    lines: Annotated[list[MissingLine], Field(min_length=1, max_length=MOST_LINES)]


class PackedBody(_Fact):
    """Parcels were packed; without any, one parcel holds all that was picked."""

    kind: Literal["packed"]
    parcels: Annotated[list[ParcelBody], Field(max_length=200, default_factory=list)]


class HandedOverBody(_Fact):
    """Parcels left with their carrier."""

    kind: Literal["handed_over"]
    parcel_refs: Annotated[list[Name64], Field(min_length=1, max_length=200)]


class RequestAcceptedBody(_Fact):
    """The warehouse did what we asked for."""

    kind: Literal["request_accepted"]
    request_id: Name100
    lines: Annotated[list[FactLine], Field(max_length=MOST_LINES, default_factory=list)]


class RequestRefusedBody(_Fact):
    """The warehouse will not do what we asked for."""

    kind: Literal["request_refused"]
    request_id: Name100
    reason: Code


FactBody = (
    AcceptedBody
    | RefusedBody
    | PickedBody
    | ShortPickedBody
    | PackedBody
    | HandedOverBody
    | RequestAcceptedBody
    | RequestRefusedBody
)

FACT_BODIES: tuple[type[FactBody], ...] = (
    AcceptedBody,
    RefusedBody,
    PickedBody,
    ShortPickedBody,
    PackedBody,
    HandedOverBody,
    RequestAcceptedBody,
    RequestRefusedBody,
)
