"""Bodies that the API takes, to be changed where a test needs it."""

from itertools import count
from typing import Any

LOCATIONS: dict[str, dict[str, Any]] = {
    "LEEDS": {"name": "Leeds", "country": "GB", "postal_code": "LS9 0PX", "latitude": 53.79, "longitude": -1.52},
    "LYON": {"name": "Lyon", "country": "FR", "postal_code": "69007", "latitude": 45.73, "longitude": 4.84},
}
_SIZE = {"weight_g": 250, "length_mm": 100, "width_mm": 80, "height_mm": 50}
PRODUCTS: dict[str, dict[str, Any]] = {
    "MUG": {"name": "A mug", "gtin": "4006381333931", **_SIZE},
    "LAMP": {"name": "A lamp", "fast_moving": True, **_SIZE},
    "CARD": {"name": "A gift card", "requires_shipping": False, **_SIZE},
}
_numbers = count(1)


def order(**changes: Any) -> dict[str, Any]:
    """A good order under a reference of its own, with *changes*."""
    body: dict[str, Any] = {
        "order_ref": f"test-{next(_numbers)}",
        "channel": "web",
        "currency": "GBP",
        "customer": {"customer_ref": "c-1"},
        "shipping_address": {"lines": ["1 High St"], "city": "Leeds", "postal_code": "LS1 4DY", "country": "GB"},
        "lines": [{"sku": "MUG", "quantity": 6, "unit_price_minor": 255}],
        "payments": [{"method": "card", "token": "pm_card_visa"}],
    }
    return body | changes


def errors(answer: Any) -> dict[str, str]:
    """Field -> rule of a problem document."""
    return {entry["field"]: entry["rule"] for entry in answer.json()["errors"]}
