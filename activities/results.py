"""How results and state values become JSON for our own rows and back; the same shapes as on the wire."""

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
from domain.orders import Order

ORDER: TypeAdapter[Order] = TypeAdapter(Order)


def snapshot(order: Order) -> dict[str, Any]:
    """*order* as the projection stores it: JSON, what equals its default left out, as on the wire."""
    value: dict[str, Any] = ORDER.dump_python(order, mode="json", exclude_defaults=True)
    return value


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
