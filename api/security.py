"""Who calls: the key behind a bearer secret, its scopes and sources, and the person named beside it."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from api.context import Context
from db.keys import Key
from domain.errors import Invalid, Refused
from domain.vocabulary import ActorKind, Scope

_ACTOR = re.compile(r"[A-Za-z0-9.\-_@]{1,64}", re.ASCII)
# Said in the document only: it is checked once the key is known to be good.
_ACTOR_SCHEMA: dict[str, Any] = {"pattern": "^[A-Za-z0-9.\\-_@]{1,64}$"}
_ACTOR_KINDS = {
    Scope.STOREFRONT: ActorKind.CUSTOMER,
    Scope.WAREHOUSE: ActorKind.WAREHOUSE,
    Scope.CARRIER: ActorKind.CARRIER,
    Scope.SUPPORT: ActorKind.SUPPORT,
    Scope.OPERATIONS: ActorKind.OPERATIONS,
    Scope.ADMIN: ActorKind.OPERATIONS,
}
_bearer = HTTPBearer(auto_error=False, description="A key of this installation.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request by a known key, allowed on its route."""

    request: Request
    context: Context
    key: Key
    actor_kind: ActorKind
    actor_id: str

    def sees_source(self, source: str) -> bool:
        """Whether orders of *source* are this key's business."""
        return self.sources is None or source in self.sources

    @property
    def sources(self) -> frozenset[str] | None:
        """The sources the key is bound to; None when it may see all."""
        return None if self.key.allows((Scope.SUPPORT, Scope.OPERATIONS)) else self.key.sources


def needs(*scopes: Scope) -> Callable[..., Awaitable[Call]]:
    """A dependency that lets only keys with one of *scopes* pass; without any, every key."""

    async def identify(
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
        doorstep_actor: Annotated[
            str | None, Header(description="The person behind the key.", json_schema_extra=_ACTOR_SCHEMA)
        ] = None,
    ) -> Call:
        context: Context = request.app.state.context
        key = None if credentials is None else await context.keys.find(credentials.credentials)
        if key is None:
            raise Refused("a known key is needed: Authorization: Bearer <key>", code="unauthorized")
        if scopes and not key.allows(scopes):
            raise Refused("this key may not do that; it needs " + " or ".join(scopes), code="forbidden")
        if doorstep_actor is not None and not _ACTOR.fullmatch(doorstep_actor):
            raise Invalid([("Doorstep-Actor", "pattern: letters, digits and .-_@, at most 64")])
        scope = next((scope for scope in scopes if scope in key.scopes), Scope.ADMIN)
        return Call(
            request=request,
            context=context,
            key=key,
            actor_kind=_ACTOR_KINDS[scope],
            actor_id=doorstep_actor or key.name,
        )

    return identify


async def still_good(call: Call) -> bool:
    """Whether the key of a call that lasts is still there, with the scopes and sources that it had."""
    _, secret = get_authorization_scheme_param(call.request.headers.get("authorization"))
    return await call.context.keys.find(secret) == call.key
