"""What a carrier may say of a parcel."""

from typing import Annotated

from pydantic import Field, StringConstraints

from api.schemas.fields import Body, Day, Money, Name64, Name100, Name200, Text500, Time
from domain.vocabulary import Party, TrackingStatus

# Base64 of a picture of 3 MiB; the decoded picture is measured too.
MOST_PICTURE = 3 * 1024 * 1024
Picture = Annotated[str, StringConstraints(min_length=4, max_length=MOST_PICTURE * 4 // 3 + 4)]


class ProofBody(Body):
    """Proof of delivery; pictures are base64."""

    signed_by: Name200 | None = None
    signature_png: Picture | None = None
    photo_jpeg: Picture | None = None


class TrackingBody(Body):
    """One word of a carrier."""

    event_id: Name100
    tracking_number: Name64
    status: TrackingStatus
    occurred_at: Time
    location: Name200 | None = None
    party: Party | None = None
    reason: Text500 | None = None
    estimated_on: Day | None = None
    collected_minor: Annotated[Money, Field(description="What was taken at the door.")] | None = None
    proof: ProofBody | None = None
