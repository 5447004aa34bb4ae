"""Where labels, signatures and photos are kept: a small Protocol, and PostgreSQL behind it."""

from typing import Protocol

from db import documents
from db.session import Sessions


class Storage(Protocol):
    """Keeps files under keys of ours."""

    async def put(self, key: str, content_type: str, body: bytes) -> None:
        """Keep *body*; a key is written once, and a second write of it changes nothing."""

    async def get(self, key: str) -> tuple[str, bytes] | None:
        """(content type, body), or None when there is nothing under *key*."""


class DocumentStore:
    """Files in the ``documents`` table, so that one backup holds everything."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def put(self, key: str, content_type: str, body: bytes) -> None:
        """Keep *body* under *key*."""
        async with self._sessions.begin() as session:
            await documents.put(session, key, content_type, body)

    async def get(self, key: str) -> tuple[str, bytes] | None:
        """What is kept under *key*."""
        async with self._sessions() as session:
            return await documents.get(session, key)
