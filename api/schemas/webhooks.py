"""What may be said of webhook endpoints, and how they and their deliveries look."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints
from typing_extensions import TypedDict

from api.schemas.fields import Body, Text500
from domain.webhooks import FILTERS, LONGEST_URL

MOST_FILTERS = 50
MOST_ENDPOINTS = 20
_LONGEST_FILTER = 64


def _known_filter(value: str) -> str:
    if value not in FILTERS:
        raise ValueError("must be *, a kind of event, or a noun and .* such as order.*")
    return value


Filter = Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_FILTER), AfterValidator(_known_filter)]


class EndpointBody(Body):
    """Where to tell what; its address is judged by this installation's settings."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_URL)]
    events: Annotated[list[Filter], Field(min_length=1, max_length=MOST_FILTERS)]
    description: Text500 | None = None


class NoBody(Body):
    """Nothing is to be said."""


class EndpointView(TypedDict):
    """An endpoint; *failures* counts those in a row."""

    endpoint_id: str
    url: str
    events: list[str]
    description: str | None
    failures: int
    previous_secret_until: datetime | None
    created_at: datetime
    disabled_at: datetime | None
    disabled_reason: str | None


class SecretEndpointView(EndpointView):
    """An endpoint with its secret, which is shown this once."""

    secret: str


class DeliveryView(TypedDict):
    """One event for one endpoint, and what became of it."""

    delivery_id: str
    endpoint_id: str
    order_id: str
    sequence: int
    position: int
    kind: str
    state: Literal["waiting", "delivered", "given_up"]
    attempts: int
    created_at: datetime
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    given_up_at: datetime | None
    last_status: int | None
    last_error: str | None
