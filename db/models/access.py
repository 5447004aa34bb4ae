"""Who may call, and what was answered to whom. Tables only; no queries."""

from datetime import datetime

from sqlalchemy import (
    Identity,
    Integer,
    SmallInteger,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Json


class ApiKey(Base):
    """A machine's key, kept as its sha256; ``sources`` null means every source."""

    __tablename__ = "api_keys"

    key_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    key_hash: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    sources: Mapped[list[str] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revoked_at: Mapped[datetime | None]


class IdempotencyKey(Base):
    """What was answered to a request that named a key, for 30 days."""

    __tablename__ = "idempotency_keys"

    request_id: Mapped[bytes] = mapped_column(primary_key=True)
    body_hash: Mapped[bytes]
    status: Mapped[int | None] = mapped_column(SmallInteger)
    headers: Mapped[Json | None]
    answer: Mapped[bytes | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class PolicyVersion(Base):
    """One version of the business rules; append-only."""

    __tablename__ = "policies"

    version: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    effective_at: Mapped[datetime]
    actor: Mapped[str]
    profile: Mapped[str]
    rules: Mapped[Json]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
