"""What the OpenAPI document says beyond the routes' own: bodies, problems, pages; nothing here runs in a request."""

from typing import Any, Generic, TypeVar

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from typing_extensions import TypedDict

T = TypeVar("T")
TEMPLATE = "#/components/schemas/{model}"

_MEANINGS = {
    401: "No known key, or a bad signature.",
    403: "The key may not do that.",
    404: "There is no such thing, or the key may not see it.",
    405: "Not with this method.",
    409: "Illegal now; `code` names the rule.",
    413: "The body is too large.",
    415: "The body is not said to be JSON.",
    422: "Not as it must be: one entry per field in `errors`.",
    429: "Too many; see Retry-After.",
    503: "Away for now; see Retry-After.",
}
_RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Names this call: repeated with it, the same answer comes again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


class Page(TypedDict, Generic[T]):
    """A page of a list."""

    items: list[T]
    next_cursor: str | None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of problem answers; 503 is always one of them."""
    schema = {"application/problem+json": {"schema": {"$ref": TEMPLATE.format(model="Problem")}}}
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*statuses, 503}):
        found[status] = {"description": _MEANINGS[status], "content": schema}
        if status in {409, 429, 503}:
            found[status]["headers"] = _RETRY
    return found


READ = problems(401, 403, 422)
READ_ONE = problems(401, 403, 404, 422)
CHANGE = problems(401, 403, 404, 409, 413, 415, 422)
SIGNED = problems(401, 404, 413, 415, 422)


def takes(*models: type[BaseModel], idempotent: bool = True, required: bool = True) -> dict[str, Any]:
    """The documentation of a body that is one of *models*, and need not be there unless it is *required*."""
    schemas = [{"$ref": TEMPLATE.format(model=model.__name__)} for model in models]
    schema: dict[str, Any] = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
    content = {"application/json": {"schema": schema}}
    found: dict[str, Any] = {"requestBody": {"required": required, "content": content}}
    if idempotent:
        found["parameters"] = [IDEMPOTENCY_KEY]
    return found


def install(app: FastAPI, bodies: tuple[type[BaseModel], ...]) -> None:
    """Give *app* a document that has *bodies* and the problem's shape among its components."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            schemas = found.setdefault("components", {}).setdefault("schemas", {})
            _, extra = models_json_schema([(body, "validation") for body in bodies], ref_template=TEMPLATE)
            schemas.update(extra["$defs"])
            schemas["Problem"] = _problem_schema()
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _problem_schema() -> dict[str, Any]:
    entry = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("field", "rule", "detail")},
        "required": ["field", "rule", "detail"],
    }
    return {
        "type": "object",
        "description": "RFC 9457, with a stable code; `errors` names each field and its rule.",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string"},
            "errors": {"type": "array", "items": entry},
        },
        "required": ["type", "title", "status", "detail", "code"],
    }
