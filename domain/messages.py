"""What can happen to an order: facts from outside, commands, results of steps, due times; the mailbox holds nothing else."""

from dataclasses import dataclass
from datetime import date, datetime

from domain.commands import Command, LineUnits
from domain.vocabulary import Party, ShortReason, TrackingStatus, WarehouseFactKind


@dataclass(frozen=True, slots=True, kw_only=True)
class LineQuantity:
    """Units of one order line; an increment, never a total."""

    line_id: str
    quantity: int
    reason: ShortReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedParcel:
    """One box as the warehouse packed it; with a tracking number it already has its label."""

    parcel_ref: str
    lines: tuple[LineQuantity, ...]
    weight_g: int | None = None
    length_mm: int | None = None
    width_mm: int | None = None
    height_mm: int | None = None
    carrier: str | None = None
    tracking_number: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WarehouseFact:
    """What a warehouse says of a fulfillment; *id* is unique across all sources."""

    id: str
    kind: WarehouseFactKind
    fulfillment_id: str
    occurred_at: datetime
    lines: tuple[LineQuantity, ...] = ()
    parcels: tuple[PackedParcel, ...] = ()
    parcel_refs: tuple[str, ...] = ()
    reason: str | None = None
    request_id: str | None = None
    worker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierFact:
    """What a carrier says of a parcel; proof and place are kept outside, under the same event."""

    id: str
    carrier: str
    tracking_number: str
    status: TrackingStatus
    occurred_at: datetime
    party: Party | None = None
    reason: str | None = None
    estimated_on: date | None = None
    collected_minor: int | None = None
    has_proof: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFact:
    """What the payment provider says of an authorization: ``authorized``, ``failed`` or ``expired``."""

    id: str
    authorization_id: str
    outcome: str
    occurred_at: datetime
    reference: str | None = None
    expires_at: datetime | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StockServed:
    """Stock came in, and units that the order waited for are promised to it at a location.

    *queued_by* is the key of the attempt to reserve that put them into the queue.
    """

    id: str
    fulfillment_id: str
    location_id: str
    lines: tuple[LineUnits, ...]
    occurred_at: datetime
    queued_by: str | None = None


Fact = WarehouseFact | CarrierFact | PaymentFact | StockServed


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """Units of one line that one location serves, as a run of the line's units starting at *first_unit*."""

    line_id: str
    sku: str
    quantity: int
    first_unit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFulfillment:
    """What one location will serve."""

    fulfillment_id: str
    location_id: str
    allocations: tuple[Allocation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way that a decision could have gone, with the scores that ranked it; *refused* says why it could not."""

    choice: str
    scores: tuple[tuple[str, float], ...] = ()
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A choice between candidates, explained."""

    kind: str
    subject: str
    at: datetime
    chosen: str | None
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StockReserved:
    """Every line is promised to the order, at the locations that *fulfillments* name, waits in the queue, or is *short*."""

    step_key: str
    fulfillments: tuple[PlannedFulfillment, ...]
    decision: Decision
    backordered: tuple[LineUnits, ...] = ()
    short: tuple[LineUnits, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StockShort:
    """Nothing was promised: these skus fell short by so many units."""

    step_key: str
    missing: tuple[tuple[str, int], ...]
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAuthorized:
    """Money is held until *expires_at*."""

    step_key: str
    authorization_id: str
    reference: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentDeclined:
    """The provider refused to hold the money."""

    step_key: str
    authorization_id: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentActionRequired:
    """The customer must act at *url* before *expires_at*."""

    step_key: str
    authorization_id: str
    reference: str
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCaptured:
    """Money was taken."""

    step_key: str
    authorization_id: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureRefused:
    """The provider would not let the money be taken."""

    step_key: str
    authorization_id: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentVoided:
    """Nothing is held under this authorization any more."""

    step_key: str
    authorization_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelBooked:
    """A carrier sold a label for the parcel."""

    step_key: str
    parcel_id: str
    carrier: str
    service: str
    tracking_number: str
    price_minor: int
    currency: str
    estimated_on: date | None
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRefused:
    """No carrier would take the parcel."""

    step_key: str
    parcel_id: str
    code: str
    decision: Decision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelVoided:
    """The parcel's label was given back."""

    step_key: str
    parcel_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed:
    """A step ended in a way nobody planned; *error* is the failure's type."""

    step_key: str
    error: str


Result = (
    StockReserved
    | StockShort
    | PaymentAuthorized
    | PaymentDeclined
    | PaymentActionRequired
    | PaymentCaptured
    | CaptureRefused
    | PaymentVoided
    | LabelBooked
    | LabelRefused
    | LabelVoided
    | StepFailed
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueReached:
    """The lazy timer fired: look what is due."""

    at: datetime


Message = Fact | Result | DueReached | Command
