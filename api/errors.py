"""Refusals and outages as ``application/problem+json``: one table from code to status, a handler per kind of error."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic_core import ErrorDetails
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from api.answers import to_json
from domain.errors import Invalid, Refused

log = structlog.get_logger(__name__)

STATUSES: Mapping[str, int] = {
    "unauthorized": 401,
    "bad_signature": 401,
    "forbidden": 403,
    "not_found": 404,
    "unknown_hold": 404,
    "unknown_case": 404,
    "method_not_allowed": 405,
    "order_ref_taken": 409,
    "reference_taken": 409,
    "stock_reserved": 409,
    "idempotency_in_flight": 409,
    "conflict": 409,
    "already_shipped": 409,
    "already_cancelled": 409,
    "already_released": 409,
    "already_packed": 409,
    "cancel_pending": 409,
    "awaits_payment": 409,
    "not_awaiting_payment": 409,
    "method_not_possible": 409,
    "other_country": 409,
    "order_closed": 409,
    "fix_not_allowed": 409,
    "outcome_forgotten": 409,
    "too_large": 413,
    "unsupported_media_type": 415,
    "invalid_request": 422,
    "not_shippable": 422,
    "unknown_fulfillment": 422,
    "idempotency_mismatch": 422,
    "too_many_questions": 429,
    "internal_error": 500,
    "database_away": 503,
    "busy": 503,
    "not_ready": 503,
    "engine_away": 503,
    "command_pending": 503,
}
_RETRY_AFTER = {
    "idempotency_in_flight": 1,
    "database_away": 2,
    "busy": 1,
    "not_ready": 2,
    "engine_away": 2,
    "command_pending": 2,
    "too_many_questions": 3600,
}
# A code of its own is given only when nothing else is wrong with the request.
_OWN_CODES = frozenset({"not_shippable"})
_LOCK_NOT_AVAILABLE = "55P03"
_CLASSES_AWAY = ("08", "57", "53", "58", "F0", "XX")
_BUSY = frozenset({_LOCK_NOT_AVAILABLE, "40P01", "40001", "57014"})
_BAD_INPUT = frozenset({"22003", "22021", "22P05", "54000"})

Entry = dict[str, str]


def problem(
    code: str, detail: str, *, errors: Sequence[Entry] | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The problem document for *code*."""
    status = STATUSES.get(code, 409)
    content: dict[str, Any] = {
        "type": f"urn:doorstep:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if errors is not None:
        content["errors"] = list(errors)
    all_headers = dict(headers or {})
    if code in _RETRY_AFTER:
        all_headers["Retry-After"] = str(_RETRY_AFTER[code])
    if status == HTTPStatus.UNAUTHORIZED:
        all_headers["WWW-Authenticate"] = "Bearer"
    return Response(to_json(content), status_code=status, headers=all_headers, media_type="application/problem+json")


def path_of(location: Sequence[int | str]) -> str:
    """``("lines", 0, "sku")`` as ``lines[0].sku``."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def violations(details: Sequence[ErrorDetails]) -> list[tuple[str, str]]:
    """Pydantic's findings as (field, rule) pairs, without what the caller sent."""
    return [(path_of(detail["loc"]), f"{detail['type']}: {detail['msg']}") for detail in details]


def _entry(field: str, rule: str) -> Entry:
    name, _, explanation = rule.partition(": ")
    return {"field": field, "rule": name, "detail": explanation or name.replace("_", " ")}


def refusal(error: Refused) -> Response:
    """The problem document for a refusal."""
    if not isinstance(error, Invalid):
        return problem(error.code, error.detail)
    entries = [_entry(field, rule) for field, rule in error.errors]
    rules = {entry["rule"] for entry in entries}
    code = rules.pop() if len(rules) == 1 and rules <= _OWN_CODES else error.code
    return problem(code, f"{len(entries)} field(s) are not as they must be", errors=entries)


async def on_refused(_: Request, error: Exception) -> Response:
    """A rule said no."""
    assert isinstance(error, Refused)
    return refusal(error)


async def on_invalid_parameters(_: Request, error: Exception) -> Response:
    """A path or query parameter is not as it must be."""
    assert isinstance(error, RequestValidationError)
    found = [{**detail, "loc": detail["loc"][1:]} for detail in error.errors()]
    return refusal(Invalid([(path_of(detail["loc"]), f"{detail['type']}: {detail['msg']}") for detail in found]))


async def on_http(request: Request, error: Exception) -> Response:
    """No such route, or not with this method."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return problem("method_not_allowed", "not with this method", headers={"Allow": _allowed(request)})
    codes = {404: "not_found", 401: "unauthorized", 403: "forbidden"}
    return problem(codes.get(error.status_code, "invalid_request"), str(error.detail), headers=error.headers)


def _allowed(request: Request) -> str:
    """Every method of the path: the framework names only those of the first route that matches it."""
    path = getattr(request.scope.get("route"), "path_format", "")
    return ", ".join(sorted(method.upper() for method in request.app.openapi()["paths"].get(path, ())))


def sqlstate(error: BaseException) -> str | None:
    """The five characters that say what PostgreSQL objected to."""
    found = getattr(getattr(error, "orig", error), "sqlstate", None)
    return found if isinstance(found, str) else None


def is_lock_timeout(error: DBAPIError) -> bool:
    """Whether a lock was not got in time."""
    return sqlstate(error) == _LOCK_NOT_AVAILABLE


def _is_out_of_range(error: Exception) -> bool:
    """Whether the driver could not even send a value, for it fits no column of its kind."""
    cause = getattr(error, "orig", None)
    return isinstance(cause, Exception) and isinstance(cause.__cause__, asyncpg.DataError)


async def on_database(request: Request, error: Exception) -> Response:
    """The database is away, too busy, or cannot hold what was sent."""
    state = sqlstate(error)
    if state in _BAD_INPUT or _is_out_of_range(error):
        return refusal(Invalid([("", "out_of_range: a value is more than can be stored")]))
    if state in _BUSY or isinstance(error, PoolTimeoutError):
        log.warning("database_busy", sqlstate=state)
        return problem("busy", "too much is going on at once; try again")
    away = state is None or state.startswith(_CLASSES_AWAY) or isinstance(error, InterfaceError)
    if isinstance(error, DBAPIError) and not away and not error.connection_invalidated:
        return await on_bug(request, error)
    log.warning("database_away", sqlstate=state, error=type(error).__name__)
    return problem("database_away", "the database cannot be reached; try again")


async def on_bug(request: Request, error: Exception) -> Response:
    """Nobody planned this; the log has it, the caller does not."""
    log.error("request_failed", method=request.method, error=type(error).__name__, exc_info=error)
    return problem("internal_error", "something went wrong on our side")


async def on_disconnect(_: Request, error: Exception) -> Response:
    """The caller left before the request was complete: nobody reads this."""
    return problem("invalid_request", "the request ended early", errors=[])


def install(app: FastAPI) -> None:
    """Answer every error of *app* as a problem document."""
    app.add_exception_handler(Refused, on_refused)
    app.add_exception_handler(RequestValidationError, on_invalid_parameters)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(ClientDisconnect, on_disconnect)
    for kind in (DBAPIError, PoolTimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        app.add_exception_handler(kind, on_database)
    app.add_exception_handler(Exception, on_bug)
