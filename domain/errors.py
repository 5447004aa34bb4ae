"""The tree of refusals: each has a stable code that the HTTP layer maps to a status."""


class Refused(Exception):
    """A rule said no; *code* is stable, *detail* is for a person."""

    code = "refused"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code


class Invalid(Refused):
    """The input breaks a rule of the contract; *errors* names each field and its rule."""

    code = "invalid_request"

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {rule}" for field, rule in errors))
        self.errors = errors


class NotFound(Refused):
    """There is no such thing, or the caller may not see it."""

    code = "not_found"


class Conflict(Refused):
    """Illegal now, in the state that things are in."""

    code = "conflict"
