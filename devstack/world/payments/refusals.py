"""Stripe's refusals as answers; which of them Stripe keeps under the key is part of each."""

from typing import Any

from devstack.world.answers import Answer


class Refusal(Exception):
    """A request is refused with *answer*; nothing was written."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body["error"].get("message", ""))
        self.answer = answer


def error_answer(status: int, message: str, *, stored: bool, type: str, **more: Any) -> Answer:
    """Stripe's error object with *more* fields."""
    error = {"type": type, "message": message} | {name: value for name, value in more.items() if value is not None}
    return Answer(status, {"error": error}, stored=stored)


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> Refusal:
    """Parameters that fail validation: Stripe does not keep this answer."""
    return Refusal(error_answer(400, message, stored=False, type="invalid_request_error", param=param, code=code))


def missing(kind: str, id: str, *, param: str = "id", status: int = 404) -> Refusal:
    """An object that does not exist."""
    message = f"No such {kind}: '{id}'"
    return Refusal(
        error_answer(status, message, stored=False, type="invalid_request_error", param=param, code="resource_missing")
    )


def illegal(message: str, *, code: str | None = None, **more: Any) -> Refusal:
    """A request that the object's state forbids: kept under the key."""
    return Refusal(error_answer(400, message, stored=True, type="invalid_request_error", code=code, **more))


def card_error(message: str, *, code: str, decline_code: str | None, intent: dict[str, Any]) -> Answer:
    """A card that said no: 402, kept under the key."""
    return error_answer(
        402,
        message,
        stored=True,
        type="card_error",
        code=code,
        decline_code=decline_code,
        param="",
        payment_intent=intent,
        charge=intent.get("latest_charge"),
    )
