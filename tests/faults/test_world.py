"""The world outside fails in every way it knows: slow, refusing, silent before and after the work; each effect once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.faults.conftest import Site, plain
from tests.fixtures import bodies
from tests.fixtures.waiting import until

WITHIN = 90.0
ORDERS = 4
WELL = {
    "latency_ms": 0,
    "fail_next": 0,
    "fail_status": 500,
    "timeout_before_next": 0,
    "timeout_after_next": 0,
    "down": False,
}


@pytest.fixture(autouse=True)
async def well_again(site: Site) -> AsyncIterator[None]:
    """The world works again after each test."""
    yield
    await site.shop.turn(payments=WELL, carriers=WELL)


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param({"latency_ms": 300}, id="slow"),
        pytest.param({"fail_next": 5, "fail_status": 500}, id="500"),
        pytest.param({"fail_next": 8, "fail_status": 429}, id="429", marks=pytest.mark.long),
        pytest.param({"fail_next": 4, "fail_status": 503}, id="503", marks=pytest.mark.long),
        pytest.param({"timeout_before_next": 6}, id="silent before the work", marks=pytest.mark.long),
        pytest.param({"timeout_after_next": 6}, id="silent after the work"),
    ],
)
async def test_a_world_that_fails_charges_and_labels_once(site: Site, faults: dict[str, Any]):
    shop = site.shop
    north, south = await shop.product({"LEEDS": 50}), await shop.product({"BRISTOL": 50})

    await shop.turn(payments=faults, carriers=faults)
    ids = []
    for _ in range(ORDERS):
        lines = [bodies.line(north, 1, 501), bodies.line(south, 2, 250)]
        ids.append((await shop.order(bodies.order(lines, shipping_minor=99)))["order_id"])
    ends = await shop.until_over(ids, within=WITHIN)

    assert {plain(view) for view in ends.values()} == {("delivered", 501 + 500 + 99)}
    for order_id in ids:
        kinds = sorted(e["kind"] for e in await shop.ledger(order_id) if e["kind"] != "pick_request")
        assert kinds == ["authorization"] * 2 + ["capture"] * 2 + ["label"] * 2


async def test_a_provider_that_is_away_too_long_is_a_case_that_closes_itself(site: Site):
    shop = site.shop
    sku = await shop.product(5)
    policy = await shop.done("GET", "/v1/policy", role="operations")
    await shop.done("PUT", "/v1/policy", role="operations", body={"rules": {"payment_patience": "PT1S"}})
    try:
        await shop.turn(payments={"down": True})
        order = await shop.order(bodies.order([bodies.line(sku, 1)]))
        view = await shop.until(order["order_id"], lambda v: v["attention"], "a case")
    finally:
        rules = {"payment_patience": policy["rules"]["payment_patience"]}
        await shop.done("PUT", "/v1/policy", role="operations", body={"rules": rules})
    await shop.turn(payments=WELL)
    [after] = (await shop.until_over([order["order_id"]], within=WITHIN)).values()

    assert [(case["code"], case["owner"]) for case in view["attention"]] == [("payment_unreachable", "payments")]
    assert view["state"] == "received"
    assert (plain(after), after["attention"]) == (("delivered", 500), [])
    kinds = await shop.kinds(order["order_id"])
    assert kinds.index("attention.opened") < kinds.index("payment.authorized") < kinds.index("attention.resolved")


@pytest.mark.long
async def test_a_payment_that_was_given_up_while_its_answer_was_lost_is_given_back(site: Site):
    """The hold is made, its answer is lost, and the other payment of the order is declined meanwhile."""
    shop = site.shop
    sku = await shop.product(5)
    payments = [bodies.card("pm_card_timeoutAfter", amount_minor=300), bodies.card("pm_card_chargeDeclined")]

    order = await shop.order(bodies.order([bodies.line(sku, 1)], payments=payments))
    [view] = (await shop.until_over([order["order_id"]], within=WITHIN)).values()

    assert (view["state"], view["outcome"]["reason"]) == ("rejected", "payment_declined")

    async def given_back() -> bool:
        kinds = {entry["kind"] for entry in await shop.ledger(order["order_id"])}
        return kinds <= {"authorization", "void"} and ("void" in kinds) == ("authorization" in kinds)

    await until(given_back, "the hold to be given back")
