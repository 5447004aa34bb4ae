"""What a route answers: status, JSON and headers, serialised once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.responses import Response

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def to_json(content: Any) -> bytes:
    """*content* as JSON; times are RFC 3339 in UTC."""
    return orjson.dumps(content, option=_OPTIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that can be kept and given again."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, **more: str) -> Response:
        """The HTTP response; an underscore in a name of *more* is a hyphen in the header's."""
        headers = {**self.headers, **{name.replace("_", "-"): value for name, value in more.items()}}
        return Response(self.body, status_code=self.status, headers=headers, media_type="application/json")


def answer(content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer of *content* as JSON."""
    return Answer(body=to_json(content), status=status, headers=headers or {})


def json_response(content: Any, *, status: int = 200) -> Response:
    """The response for *content* when nothing of it is kept."""
    return answer(content, status=status).response()
