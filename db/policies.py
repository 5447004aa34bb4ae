"""Versions of the business policy in SQL: append-only, the newest that is in force counts; no rule is interpreted."""

from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import TypeAdapter
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import PolicyVersion
from domain.policy import DEFAULT_RULES, Policy, Rules

RULES = TypeAdapter(Rules)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPolicy:
    """A policy with who set it and from when it counts."""

    policy: Policy
    effective_at: datetime
    actor: str
    profile: str


async def current(session: AsyncSession, *, now: datetime) -> StoredPolicy:
    """The policy in force at *now*; the first one is made of the rules' defaults when there is none yet."""
    found = await _newest(session, now)
    if found is None:
        await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('doorstep:policies', 0))"))
        found = await _newest(session, now) or await add(
            session, DEFAULT_RULES, effective_at=_EPOCH, actor="system", profile="default"
        )
    return found


async def _newest(session: AsyncSession, now: datetime) -> StoredPolicy | None:
    row = (
        await session.execute(
            select(
                PolicyVersion.version,
                PolicyVersion.effective_at,
                PolicyVersion.actor,
                PolicyVersion.profile,
                PolicyVersion.rules,
            )
            .where(PolicyVersion.effective_at <= now)
            .order_by(PolicyVersion.effective_at.desc(), PolicyVersion.version.desc())
            .limit(1)
        )
    ).one_or_none()
    if row is None:
        return None
    return StoredPolicy(
        policy=Policy(version=row.version, rules=RULES.validate_python(row.rules)),
        effective_at=row.effective_at,
        actor=row.actor,
        profile=row.profile,
    )


async def add(session: AsyncSession, rules: Rules, *, effective_at: datetime, actor: str, profile: str) -> StoredPolicy:
    """A new version with these rules; orders that are running keep theirs."""
    version = (
        await session.execute(
            insert(PolicyVersion)
            .values(
                effective_at=effective_at,
                actor=actor,
                profile=profile,
                rules=RULES.dump_python(rules, mode="json"),
            )
            .returning(PolicyVersion.version)
        )
    ).scalar_one()
    return StoredPolicy(
        policy=Policy(version=version, rules=rules), effective_at=effective_at, actor=actor, profile=profile
    )
