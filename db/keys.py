"""API keys in SQL: found by the hash of their secret, never stored in the clear; no scopes are judged here."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import ApiKey
from domain.vocabulary import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A machine that may call us; *sources* None means every source."""

    key_id: str
    name: str
    scopes: frozenset[str]
    sources: frozenset[str] | None

    def allows(self, scopes: Iterable[Scope]) -> bool:
        """Whether the key has one of *scopes*; ``admin`` has them all."""
        return Scope.ADMIN in self.scopes or any(scope in self.scopes for scope in scopes)


async def ensure_key(
    session: AsyncSession,
    *,
    name: str,
    secret: str,
    scopes: Iterable[str],
    sources: Iterable[str] | None = None,
) -> str:
    """The id of the key called *name*, made or brought up to date. Idempotent on *name*.

    Raises:
        IntegrityError: another key has this secret.
    """
    values = {
        "name": name,
        "key_hash": _hash(secret),
        "scopes": sorted(scopes),
        "sources": None if sources is None else sorted(sources),
    }
    key_id = "key_" + hashlib.sha256(name.encode()).hexdigest()[:20]
    await session.execute(
        insert(ApiKey)
        .values(key_id=key_id, **values)
        .on_conflict_do_update(index_elements=[ApiKey.key_id], set_=values | {"revoked_at": None})
    )
    return key_id


async def find(session: AsyncSession, secret: str) -> Key | None:
    """The key with this secret, unless it was revoked."""
    row = (
        await session.execute(
            select(ApiKey.key_id, ApiKey.name, ApiKey.scopes, ApiKey.sources).where(
                ApiKey.key_hash == _hash(secret),
                (ApiKey.revoked_at.is_(None)) | (ApiKey.revoked_at > func.now()),
            )
        )
    ).one_or_none()
    if row is None:
        return None
    return Key(
        key_id=row.key_id,
        name=row.name,
        scopes=frozenset(row.scopes),
        sources=None if row.sources is None else frozenset(row.sources),
    )


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
