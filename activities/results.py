"""How results become JSON for our own rows and back; the same shapes as on the wire."""

from typing import Any

from pydantic import TypeAdapter

from domain.messages import (
    CaptureRefused,
    LabelBooked,
    LabelRefused,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentVoided,
    StockReserved,
    StockShort,
)

Kept = (
    StockReserved
    | StockShort
    | PaymentAuthorized
    | PaymentDeclined
    | PaymentActionRequired
    | PaymentCaptured
    | CaptureRefused
    | PaymentVoided
    | LabelBooked
    | LabelRefused
)
_KINDS: dict[str, TypeAdapter[Any]] = {
    kind.__name__: TypeAdapter(kind)
    for kind in (
        StockReserved,
        StockShort,
        PaymentAuthorized,
        PaymentDeclined,
        PaymentActionRequired,
        PaymentCaptured,
        CaptureRefused,
        PaymentVoided,
        LabelBooked,
        LabelRefused,
    )
}


def keep(result: Kept) -> dict[str, Any]:
    """*result* as JSON, under the name of its kind."""
    kind = type(result).__name__
    return {"kind": kind, "result": _KINDS[kind].dump_python(result, mode="json", exclude_defaults=True)}


def kept(value: dict[str, Any]) -> Any:
    """The result that ``keep`` made *value* from; KeyError for a kind that is none."""
    return _KINDS[value["kind"]].validate_python(value["result"])
