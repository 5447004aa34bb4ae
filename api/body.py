"""Reading a request's body: bounded while it streams, JSON only, strict against its model; no rules across fields."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from api.errors import violations
from domain.errors import Invalid, Refused

LIMIT = 256 * 1024
CARRIER_LIMIT = 8 * 1024 * 1024

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received(Generic[M]):
    """A body as it came, and what it says."""

    raw: bytes
    value: M


async def read_raw(request: Request, *, limit: int = LIMIT) -> bytes:
    """The body's bytes, at most *limit* of them.

    Raises:
        Refused: (too_large) there are more; reading stops there.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:12]) > limit:
        raise Refused(f"the body is larger than {limit} bytes", code="too_large")
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > limit:
            raise Refused(f"the body is larger than {limit} bytes", code="too_large")
    return bytes(chunks)


def require_json(request: Request) -> None:
    """Return when the body is said to be JSON, unpacked.

    Raises:
        Refused: (unsupported_media_type) it is not.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    packed = request.headers.get("content-encoding", "identity").strip().lower()
    if kind != "application/json" or packed != "identity":
        raise Refused("send JSON: Content-Type: application/json", code="unsupported_media_type")


def parse(model: type[M], raw: bytes) -> M:
    """*raw* as a *model*.

    Raises:
        Invalid: every field that is not as it must be.
    """
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise Invalid(violations(error.errors(include_url=False, include_input=False))) from error


def body_of(model: type[M], *, limit: int = LIMIT) -> Callable[[Request], Awaitable[Received[M]]]:
    """A dependency that reads a *model* from the request."""

    async def read(request: Request) -> Received[M]:
        require_json(request)
        raw = await read_raw(request, limit=limit)
        return Received(raw=raw, value=parse(model, raw))

    return read
