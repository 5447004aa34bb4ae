"""What may be said of the policy; every rule of ``domain.policy.Rules`` is a field, of the rule's own kind."""

from dataclasses import fields
from datetime import timedelta
from typing import Annotated, Any, get_type_hints

from pydantic import Field, create_model

from api.schemas.fields import Body, Money, Name64, Time
from domain.policy import Rules

LONGEST = timedelta(days=366)


Duration = Annotated[timedelta, Field(ge=timedelta(seconds=1), le=LONGEST)]
_KINDS: dict[type, Any] = {timedelta: Duration, int: Money}


def _rule_fields() -> dict[str, Any]:
    hints = get_type_hints(Rules)
    return {field.name: (_KINDS[hints[field.name]] | None, None) for field in fields(Rules)}


RulesBody: Any = create_model(
    "RulesBody", __base__=Body, __doc__="The rules to change; what is left out stays as it is.", **_rule_fields()
)


class PolicyBody(Body):
    """A new version of the policy; running orders keep theirs."""

    rules: RulesBody
    profile: Name64 | None = None
    effective_at: Time | None = None
