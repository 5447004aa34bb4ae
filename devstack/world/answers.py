"""Answers of the world's counters: JSON, a stored answer per idempotency key, and a connection that just closes."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from devstack.world.control import Faults
from devstack.world.store import Store


@dataclass(frozen=True, slots=True)
class Answer:
    """What a counter says; *stored* answers are given again for the same key."""

    status: int
    body: dict[str, Any]
    stored: bool = True


class KeyMismatch(Exception):
    """The key was used for another request."""


class KeyInUse(Exception):
    """A request with this key is being worked on."""


class Dropped(Response):
    """No answer: the connection closes after *seconds*, in the middle of a response that had only begun."""

    def __init__(self, seconds: float) -> None:
        super().__init__(status_code=200)
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(self._seconds)
        headers = [(b"content-length", b"1"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


def json_response(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    """*body* as JSON."""
    return Response(orjson.dumps(body), status_code=status, headers=headers, media_type="application/json")


class Counter:
    """Gives each idempotency key of one scope one effect and one answer."""

    def __init__(self, store: Store, scope: str, faults: Faults) -> None:
        self._store = store
        self._scope = scope
        self._faults = faults
        self._in_use: set[str] = set()

    async def enter(self, request: Request) -> Response | None:
        """The answer of a counter that is slow, down or failing; None when it works."""
        if self._faults.latency_ms:
            await asyncio.sleep(self._faults.latency_ms / 1000)
        if self._faults.down:
            return Dropped(0)
        if self._faults.take("fail_next"):
            status = self._faults.fail_status
            error = {"type": "api_error", "code": "unavailable", "message": "An error was asked for."}
            return json_response(
                status, {"error": error, **error}, {"Retry-After": "1"} if status in (429, 503) else {}
            )
        if request.method == "POST" and self._faults.take("timeout_before_next"):
            return Dropped(self._faults.hang_seconds)
        return None

    def stored(self, key: str, fingerprint: str) -> Answer | None:
        """The answer that was given for *key* before.

        Raises:
            KeyMismatch: for another request.
            KeyInUse: it is not known yet.
        """
        if key in self._in_use:
            raise KeyInUse(key)
        row = self._store.db.execute(
            "SELECT fingerprint, status, body FROM answers WHERE scope = ? AND key = ? AND at > ?",
            (self._scope, key, time.time() - self._faults.key_life_seconds),
        ).fetchone()
        if row is None:
            return None
        if row[0] != fingerprint:
            raise KeyMismatch(key)
        return Answer(row[1], orjson.loads(row[2]))

    async def execute(
        self, key: str | None, fingerprint: str, act: Callable[[str], Answer], *, pause: float = 0
    ) -> tuple[Answer, bool]:
        """What *act* answers, done after *pause* seconds and in one transaction with its stored answer.

        The second value tells whether the connection is to be lost after the work.
        """
        used = key or f"none-{secrets.token_hex(8)}"
        self._in_use.add(used)
        try:
            if pause:
                await asyncio.sleep(pause)
            with self._store.transaction():
                answer = act(used)
                if key is not None and answer.stored:
                    self._remember(key, fingerprint, answer)
        finally:
            self._in_use.discard(used)
        return answer, self._faults.take("timeout_after_next")

    def _remember(self, key: str, fingerprint: str, answer: Answer) -> None:
        self._store.db.execute(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)",
            (self._scope, key, fingerprint, answer.status, orjson.dumps(answer.body), time.time()),
        )


def fingerprint(*parts: str | bytes) -> str:
    """One word for what was asked, so that a key can be held to it."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\0")
    return digest.hexdigest()
