"""What passes between us and the outside: facts in, effects out, words to the engine, files. Tables only; no queries."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ForeignKeyConstraint,
    Identity,
    Index,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Json


class InboxFact(Base):
    """A fact from outside, once per source and event; ``order_id`` is null while it matches nothing."""

    __tablename__ = "inbox"
    __table_args__ = (
        Index("inbox_by_order", "order_id"),
        Index("inbox_unmatched", "matches", postgresql_where=text("order_id IS NULL")),
    )

    source: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(primary_key=True)
    signal: Mapped[str | None]
    matches: Mapped[str | None]
    order_id: Mapped[str | None]
    fact: Mapped[Json]
    received_at: Mapped[datetime]


class OutboxRow(Base):
    """What the engine must still be told: a start or a signal of one workflow, in order."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("outbox_ready", "outbox_id", postgresql_where=text("parked_at IS NULL")),
        Index("outbox_by_workflow", "workflow_id", "outbox_id"),
    )

    outbox_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    workflow_id: Mapped[str]
    order_id: Mapped[str]
    kind: Mapped[str]
    name: Mapped[str | None]
    payload: Mapped[Json | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    parked_at: Mapped[datetime | None]
    last_error: Mapped[str | None]


class Operation(Base):
    """An effect in the outside world, written ahead of the call; payments' rows are the payment ledger."""

    __tablename__ = "operations"
    __table_args__ = (
        Index("operations_by_order", "order_id"),
        Index("operations_sending", "started_at", postgresql_where=text("state = 'sending'")),
    )

    key: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str]
    kind: Mapped[str]
    subject: Mapped[str]
    state: Mapped[str]
    amount_minor: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str | None]
    reference: Mapped[str | None]
    request: Mapped[Json]
    result: Mapped[Json | None]
    tombstoned_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    started_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class TrackingEvent(Base):
    """One carrier event as the carrier told it; the place stays here, outside the engine."""

    __tablename__ = "tracking_events"
    __table_args__ = (Index("tracking_events_by_number", "tracking_number", "carrier", "at"),)

    carrier: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(primary_key=True)
    tracking_number: Mapped[str]
    status: Mapped[str]
    at: Mapped[datetime]
    location: Mapped[str | None]
    party: Mapped[str | None]
    reason: Mapped[str | None]


class Proof(Base):
    """Proof of delivery of one parcel: who signed, and where the pictures are stored."""

    __tablename__ = "proofs"

    carrier: Mapped[str] = mapped_column(primary_key=True)
    tracking_number: Mapped[str] = mapped_column(primary_key=True)
    signed_by: Mapped[str | None]
    signature_key: Mapped[str | None]
    photo_key: Mapped[str | None]
    at: Mapped[datetime]


class Document(Base):
    """A stored file: a label, a signature, a photo."""

    __tablename__ = "documents"

    document_key: Mapped[str] = mapped_column(primary_key=True)
    content_type: Mapped[str]
    body: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class WebhookEndpoint(Base):
    """Where a key wants to be told; the secret signs every delivery, and one that was replaced a while longer.

    ``failures`` counts those in a row; an endpoint that is disabled is told nothing more.
    """

    __tablename__ = "webhook_endpoints"

    endpoint_id: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(index=True)
    url: Mapped[str]
    secret: Mapped[str]
    events: Mapped[list[str]]
    description: Mapped[str | None]
    profile: Mapped[str] = mapped_column(server_default=text("'standard'"))
    previous_secret: Mapped[str | None]
    previous_until: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    failing_since: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]


class WebhookDelivery(Base):
    """One event for one endpoint, tried until it is taken: the same id and the same body on every try.

    ``due_at`` is null when nothing is to be tried: it was taken, given up, or its endpoint is disabled. ``body`` is frozen
    when the event is published; it is null only in rows that an earlier release queued.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        ForeignKeyConstraint(["endpoint_id"], ["webhook_endpoints.endpoint_id"], ondelete="CASCADE"),
        UniqueConstraint("endpoint_id", "order_id", "sequence", name="webhook_deliveries_once"),
        UniqueConstraint("endpoint_id", "position", name="webhook_deliveries_log"),
        Index("webhook_deliveries_ready", "endpoint_id", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index("webhook_deliveries_by_age", "created_at"),
    )

    delivery_id: Mapped[str] = mapped_column(primary_key=True)
    endpoint_id: Mapped[str]
    order_id: Mapped[str]
    sequence: Mapped[int]
    position: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str]
    body: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    leased_until: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    given_up_at: Mapped[datetime | None]
    redelivered_at: Mapped[datetime | None]
    last_attempt_at: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Heartbeat(Base):
    """When a relay last went round."""

    __tablename__ = "heartbeats"

    name: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
