"""What the tracking page takes and shows: nothing personal beyond a first name and a town."""

from datetime import date, datetime
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from api.schemas.fields import Body, Text2000
from domain.notices import Language
from domain.tracking_page import StepState
from domain.vocabulary import OrderState, ParcelState, TrackingStatus


class QuestionBody(Body):
    """What the customer asks."""

    text: Text2000


class RatingBody(Body):
    """How the customer found the delivery: 1 is bad, 5 is good."""

    score: Annotated[int, Field(ge=1, le=5)]
    text: Text2000 | None = None


class TrackedCustomerView(TypedDict):
    """Whose order it is, as far as a link may tell."""

    first_name: str | None
    town: str | None


class TrackedPromiseView(TypedDict):
    """When the goods should be there, now and at first."""

    deliver_by: datetime
    first_deliver_by: datetime


class StepView(TypedDict):
    """One step of the order's way."""

    step: OrderState
    state: StepState
    at: datetime | None


class TrackedLineView(TypedDict):
    """What was bought, and how many units of it are cancelled."""

    name: str
    quantity: int
    cancelled: int


class TrackedContentView(TypedDict):
    """What is in a parcel."""

    name: str
    quantity: int


class ScanView(TypedDict):
    """One word of the carrier; a place that names the customer's address is left out."""

    status: TrackingStatus
    at: datetime
    location: str | None


class TrackedProofView(TypedDict):
    """What proves the delivery; the signature itself is not shown."""

    is_signed: bool
    photo_url: str | None


class TrackedParcelView(TypedDict):
    """One parcel."""

    number: int
    carrier: str | None
    tracking_number: str | None
    state: ParcelState
    status: TrackingStatus
    estimated_on: date | None
    delivered_at: datetime | None
    lines: list[TrackedContentView]
    events: list[ScanView]
    proof: TrackedProofView | None


class TrackedActionView(TypedDict):
    """What the customer must do for the order to go on: ``pay`` at *url*."""

    type: str
    url: str
    due_at: datetime | None


class MayView(TypedDict):
    """What the customer may do now."""

    ask: bool
    rate: bool


class TrackedOrderView(TypedDict):
    """An order as its tracking page shows it."""

    order_ref: str
    state: OrderState
    version: int
    language: Language
    customer: TrackedCustomerView
    received_at: datetime
    promise: TrackedPromiseView
    steps: list[StepView]
    actions: list[TrackedActionView]
    lines: list[TrackedLineView]
    parcels: list[TrackedParcelView]
    may: MayView
    rating: int | None


class QuestionView(TypedDict):
    """A question was taken."""

    question_id: str
    at: datetime


class RatingView(TypedDict):
    """The rating that is kept."""

    score: int
