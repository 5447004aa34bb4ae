"""What may just be ordered: limits themselves, currencies without and with three decimals, several payments."""

from typing import Any

import pytest

from tests.api.bodies import order
from tests.api.conftest import Api

LINE = {"sku": "MUG", "quantity": 1, "unit_price_minor": 1000}


@pytest.mark.parametrize(
    ("changes", "total"),
    [
        ({"lines": [LINE | {"line_id": str(n)} for n in range(500)]}, 500_000),
        ({"lines": [LINE | {"quantity": 100_000, "unit_price_minor": 10**7}]}, 10**12),
        ({"lines": [LINE | {"unit_price_minor": 0}]}, 0),
        ({"currency": "JPY"}, 1530),
        ({"currency": "KWD"}, 1530),
        ({"payments": [{"method": "card"}]}, 1530),
        ({"payments": [{"method": "cash_on_delivery"}]}, 1530),
        ({"payments": [{"method": "prepaid", "reference": "amz-1"}]}, 1530),
        (
            {
                "payments": [
                    {"method": "prepaid", "reference": "v-1", "amount_minor": 530},
                    {"method": "card", "token": "pm_card_visa"},
                ]
            },
            1530,
        ),
        ({"metadata": {f"{n}" * 32: "x" * 500 for n in range(10, 60)}}, 1530),
        ({"order_ref": "x" * 64, "note": "x" * 2000}, 1530),
        ({"lines": [LINE | {"tax_minor": 200}], "prices_include_tax": True}, 1000),
        ({"lines": [LINE | {"tax_minor": 200}], "prices_include_tax": False, "shipping_tax_minor": 7}, 1207),
        ({"lines": [LINE | {"discount_minor": 1000}], "shipping_minor": 5, "shipping_discount_minor": 5}, 0),
    ],
)
async def test_what_may_just_be_ordered(api: Api, changes: dict[str, Any], total: int) -> None:
    answer = await api["storefront"].post("/v1/orders", json=order(**changes))

    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert view["total_minor"] == view["amounts"]["ordered_total_minor"] == total
    assert sum(payment["amount_minor"] for payment in view["payments"]) == total
