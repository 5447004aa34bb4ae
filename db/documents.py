"""Stored files in SQL; a key is written once and read often."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Document


async def put(session: AsyncSession, key: str, content_type: str, body: bytes) -> None:
    """Keep *body* under *key*; the first one stays."""
    await session.execute(
        insert(Document).values(document_key=key, content_type=content_type, body=body).on_conflict_do_nothing()
    )


async def get(session: AsyncSession, key: str) -> tuple[str, bytes] | None:
    """(content type, body) under *key*; None when there is none."""
    found = await session.execute(select(Document.content_type, Document.body).where(Document.document_key == key))
    row = found.first()
    return None if row is None else (row.content_type, row.body)
