"""A patient HTTP client for our API: waits out rate limits, restarts and outages, reads problem+json; no more."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import httpx
import orjson

from cli.stack import Stack
from cli.text import clean

LONGEST_PAUSE = 30.0
# A bug answers 500 every time, a crash between two restarts does not: a few tries tell them apart.
TRIES_ON_500 = 4
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class ApiAwayError(Exception):
    """The API gave no usable answer for as long as we were willing to wait; the message is one line for a person."""


class KeyRefusedError(Exception):
    """The API does not know our key: going on would fail every request alike."""


class Client:
    """One connection pool to one stack; every call takes the role whose key it uses."""

    def __init__(self, stack: Stack, *, connections: int = 16, patience: float = 300.0) -> None:
        self.stack = stack
        self._patience = patience
        self._http = httpx.AsyncClient(
            base_url=stack.api_url,
            timeout=httpx.Timeout(30.0, connect=5.0, pool=None),
            limits=httpx.Limits(max_connections=connections + 4, max_keepalive_connections=connections + 4),
            headers={"user-agent": "doorstep-cli"},
            trust_env=httpx.URL(stack.api_url).host not in _LOOPBACK,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def check_answers(self) -> None:
        """Return once the API answers at all.

        Raises:
            ApiAwayError: it does not within three tries: nothing runs there.
        """
        problem = ""
        for _ in range(3):
            try:
                await self._http.get("/healthz")
            except httpx.TransportError as error:
                problem = clean(error) or type(error).__name__
            else:
                return
            await asyncio.sleep(0.3)
        where = f" (named by {self.stack.file})" if self.stack.file else ""
        raise ApiAwayError(f"nothing answers at {self.stack.api_url}{where}: {problem}")

    async def get(self, path: str, *, role: str, params: Mapping[str, Any] | None = None) -> httpx.Response:
        """The answer to a GET, after as many tries as it takes."""
        return await self.call("GET", path, role=role, params=params)

    async def call(
        self,
        method: str,
        path: str,
        *,
        role: str,
        body: object = None,
        params: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> httpx.Response:
        """The first answer that is more than "later": safe to use only for requests that may be repeated.

        Raises:
            ApiAwayError: no such answer within the client's patience.
            KeyRefusedError: 401.
        """
        headers = {"authorization": f"Bearer {self.stack.key(role)}"}
        content = None
        if body is not None:
            content = orjson.dumps(body)
            headers["content-type"] = "application/json"
        if idempotency_key:
            headers["idempotency-key"] = idempotency_key
        request = self._http.build_request(method, path, content=content, params=params, headers=headers)
        response = await self._patiently(request)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise KeyRefusedError(f"{self.stack.name} refuses our key for {role}: {reason(response)}")
        return response

    async def _patiently(self, request: httpx.Request) -> httpx.Response:
        started, tries, bugs = time.monotonic(), 0, 0
        while True:
            asked: float | None = None
            try:
                response = await self._http.send(request)
            except httpx.TransportError as error:
                problem = clean(error) or type(error).__name__
            else:
                bugs += response.status_code == httpx.codes.INTERNAL_SERVER_ERROR
                if bugs >= TRIES_ON_500 or not _says_later(response):
                    return response
                problem = reason(response)
                asked = _retry_after(response)
            tries += 1
            pause = _pause(tries, asked)
            if time.monotonic() - started + pause > self._patience:
                raise ApiAwayError(f"{self.stack.api_url} gave no answer for {self._patience:.0f} s: {problem}")
            await asyncio.sleep(pause)


def _says_later(response: httpx.Response) -> bool:
    status = response.status_code
    if status in {429, 500, 502, 503, 504}:
        return True
    return status == httpx.codes.CONFLICT and code_of(response) == "idempotency_in_flight"


def _pause(tries: int, asked: float | None) -> float:
    """Seconds until the next try: what the server asked for, else growing; jittered, so that callers do not march."""
    grown = min(0.1 * 2.0 ** min(tries, 12), 10.0)
    return min(grown if asked is None else max(asked, 0.05), LONGEST_PAUSE) * (1 + random.random() / 4)


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def read_json(response: httpx.Response) -> Any:
    """The body as JSON, or None where it is none."""
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return None


def code_of(response: httpx.Response) -> str:
    """The problem's stable code, or an empty text."""
    problem = read_json(response)
    return str(problem.get("code", "")) if isinstance(problem, Mapping) else ""


def reason(response: httpx.Response) -> str:
    """Why a request was refused, on one line: status, code, and every field with its rule."""
    problem = read_json(response)
    if not isinstance(problem, Mapping):
        return f"{response.status_code} {clean(response.reason_phrase)}"
    head = f"{response.status_code} {clean(problem.get('code') or problem.get('title') or '')}".strip()
    errors = problem.get("errors")
    if isinstance(errors, Sequence) and not isinstance(errors, str) and errors:
        return f"{head}: " + "; ".join(_field_error(entry) for entry in errors)
    detail = problem.get("detail")
    return f"{head}: {clean(detail)}" if detail else head


def _field_error(entry: object) -> str:
    if not isinstance(entry, Mapping):
        return clean(entry)
    field = next((entry[name] for name in ("field", "path", "pointer", "loc") if entry.get(name)), "")
    if isinstance(field, Sequence) and not isinstance(field, str):
        field = ".".join(str(part) for part in field)
    rules = [entry[name] for name in ("rule", "code", "type", "message", "detail", "msg") if entry.get(name)]
    words = " ".join(dict.fromkeys(clean(rule) for rule in rules))
    return f"{clean(field)} {words}".strip()
