"""What customers are written, and how they found the delivery. Tables only; no queries."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, SmallInteger, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Json


class FeedCursor(Base):
    """How far a reader of the feed has come; ``position`` is the last one it has dealt with."""

    __tablename__ = "feed_cursors"

    name: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger)


class Notice(Base):
    """One letter to a customer, once per occasion; ``message`` is there only while it is being sent.

    ``facts`` is what it told, without personal data, so that a later one does not tell it again.
    """

    __tablename__ = "notices"
    __table_args__ = (
        UniqueConstraint("order_id", "occasion", "kind", "channel", name="notices_once"),
        Index("notices_ready", "due_at", postgresql_where=text("state = 'queued'")),
        Index("notices_waiting", "order_id", "sequence", postgresql_where=text("state = 'queued'")),
        Index("notices_given_up", "settled_at", postgresql_where=text("state = 'given_up'")),
    )

    notice_id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str]
    sequence: Mapped[int]
    occasion: Mapped[str]
    kind: Mapped[str]
    channel: Mapped[str]
    locale: Mapped[str]
    state: Mapped[str]
    message: Mapped[Json | None]
    facts: Mapped[Json | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[datetime | None]


class DeliveryRating(Base):
    """How a customer found the delivery, once per order."""

    __tablename__ = "delivery_ratings"

    order_id: Mapped[str] = mapped_column(primary_key=True)
    score: Mapped[int] = mapped_column(SmallInteger)
    text: Mapped[str | None]
    rated_at: Mapped[datetime]
