"""API keys as this process remembers them for a few seconds; their scopes are judged in ``api.security``."""

import hashlib
import time

from db import keys
from db.keys import Key
from db.session import Sessions

KEY_LIFE = 5.0
MOST_KEYS = 1024


class KeyRing:
    """Keys that were looked up within the last seconds, so that a burst asks the database once."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._found: dict[bytes, tuple[float, Key | None]] = {}

    async def find(self, secret: str) -> Key | None:
        """The key with this secret; a revoked one is forgotten within ``KEY_LIFE`` seconds."""
        digest = hashlib.sha256(secret.encode()).digest()
        now = time.monotonic()
        known = self._found.get(digest)
        if known is not None and known[0] > now:
            return known[1]
        async with self._sessions() as session:
            key = await keys.find(session, secret)
        if len(self._found) >= MOST_KEYS:
            self._found.clear()
        self._found[digest] = (now + KEY_LIFE, key)
        return key
