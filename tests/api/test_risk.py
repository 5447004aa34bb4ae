"""Orders are scored as they are taken: by policy, explained, counted in the database, and held where the policy says."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from db import intake, risk
from domain.policy import DEFAULT_RULES
from domain.risk import Past, RiskRule, address_fingerprint, card_fingerprint
from tests.api.bodies import order
from tests.api.conftest import Api

_numbers = count(1)
SILENT = {f"risk_{rule.value}_weight": 0 for rule in RiskRule}
WINDOW = DEFAULT_RULES.risk_window


def buyer(**changes: Any) -> dict[str, Any]:
    """An order of somebody new, to an address and by a card of their own."""
    number = next(_numbers)
    return order(
        **{
            "customer": {"customer_ref": f"r-{number}", "name": "Zyx Canary"},
            "shipping_address": address(number),
            "payments": [{"method": "card", "token": f"pm_canary_{number}"}],
        }
        | changes
    )


def address(number: int, **changes: Any) -> dict[str, Any]:
    """The address of that number."""
    return {"lines": [f"{number} Canary Row"], "city": "Leeds", "postal_code": "LS1 4DY", "country": "GB"} | changes


async def rules(api: Api, **changes: Any) -> None:
    """A policy of which only *changes* speak."""
    body = {"rules": {"risk_hold_score": 0} | SILENT | changes}
    answer = await api["operations"].put("/v1/policy", json=body)
    assert answer.status_code == 200, answer.text


async def taken(api: Api, body: Mapping[str, Any], *, role: str = "storefront") -> dict[str, Any]:
    """The view of a new order."""
    answer = await api[role].post("/v1/orders", json=body)
    assert answer.status_code == 201, answer.text
    view: dict[str, Any] = answer.json()
    return view


def spoke(view: Mapping[str, Any]) -> list[str]:
    """The rules that spoke against the order."""
    return [candidate["choice"] for decision in view["decisions"] for candidate in decision["candidates"]]


def costing(total: int) -> dict[str, Any]:
    """What makes an order cost *total*."""
    return {"lines": [{"sku": "MUG", "quantity": 1, "unit_price_minor": total}]}


@pytest.fixture(scope="module", autouse=True)
async def default_policy(api: Api) -> None:
    """These tests begin under the policy that nobody changed."""
    found = (await api["operations"].get("/v1/policy")).json()
    assert found["rules"]["risk_hold_score"] == 0


async def test_the_default_policy_explains_and_holds_nothing(api: Api) -> None:
    quiet = await taken(api, buyer())
    loud = await taken(
        api, buyer(**costing(100_000), billing_address=address(1, country="IE", postal_code=None), ip_country="FR")
    )

    assert (quiet["decisions"], quiet["holds"]) == ([], [])
    assert spoke(loud) == ["amount", "first_order", "billing_country", "ip_country"]
    assert (loud["decisions"][0]["kind"], loud["decisions"][0]["chosen"]) == ("risk", "pass")
    assert loud["decisions"][0]["candidates"][0]["scores"] == {"score": 30, "total_minor": 100_000, "from": 100_000}
    assert (loud["holds"], loud["notes"], loud["version"]) == ([], [], 1)


async def test_an_order_over_the_score_is_held_with_its_reasons(api: Api) -> None:
    await rules(api, risk_hold_score=50, risk_amount_weight=30, risk_first_order_weight=20)
    body = buyer(**costing(123_400))

    view = await taken(api, body)
    below = await taken(api, body | {"order_ref": uuid4().hex})

    (hold,) = view["holds"]
    assert (hold["reason"], hold["owner"], hold["placed_by"]) == ("high_risk_of_fraud", "risk", "rules")
    assert hold["note"].splitlines() == [
        "score 50, held from 50",
        "amount 30: it costs 123400, 100000 or more",
        "first_order 20: the customer's first order costs 123400, 20000 or more",
    ]
    assert (view["decisions"][0]["chosen"], view["version"]) == ("hold", 2)
    assert "release_hold" in [wait["next_step"] for wait in view["waits"] if wait["owner"] == "risk"]
    assert (spoke(below), below["holds"]) == (["amount"], [])
    again = (await api["support"].get(f"/v1/orders/{view['order_id']}")).json()
    assert again | {"notes": view["notes"]} == view
    events = (await api["support"].get(f"/v1/orders/{view['order_id']}/events")).json()["items"]
    assert [(event["sequence"], event["kind"]) for event in events] == [(1, "order.received"), (2, "hold.placed")]
    assert events[1]["actor"] == {"kind": "system", "id": "rules"}
    assert (events[1]["data"]["hold_id"], events[1]["data"]["rules"]) == (hold["hold_id"], ["amount", "first_order"])


async def test_a_held_order_is_decided_at_once_for_whoever_waits(api: Api) -> None:
    await rules(api, risk_hold_score=1, risk_amount_weight=1, risk_amount_minor=0)

    answer = await api["storefront"].post("/v1/orders", json=buyer(), headers={"Prefer": "wait=10"})

    assert (answer.status_code, len(answer.json()["holds"])) == (201, 1)
    assert await api.value(
        "SELECT count(*) FROM outbox WHERE order_id = :id AND kind = 'start'", id=answer.json()["order_id"]
    )


async def test_nothing_personal_leaves_the_tables_that_are_made_for_it(api: Api) -> None:
    await rules(api, risk_hold_score=1, **{f"risk_{rule.value}_weight": 5 for rule in RiskRule}, risk_amount_minor=0)
    body = buyer()

    view = await taken(api, body)

    marks = [address_fingerprint(body["shipping_address"]), card_fingerprint(body["payments"][0]["token"])]
    (row,) = await api.rows(
        "SELECT o.snapshot::text || o.request::text || (SELECT string_agg(e.data::text, '') FROM order_events e"
        " WHERE e.order_id = o.order_id) || (SELECT string_agg(n.text, '') FROM order_notes n"
        " WHERE n.order_id = o.order_id) FROM orders o WHERE order_id = :id",
        id=view["order_id"],
    )
    for word in ("canary", "leeds", *(mark.hex() for mark in marks)):
        assert word not in row[0].lower()
    kept = await api.rows(
        "SELECT c.address_fingerprint, t.token_fingerprint FROM order_contacts c JOIN payment_tokens t USING (order_id)"
        " WHERE order_id = :id",
        id=view["order_id"],
    )
    assert [tuple(one) for one in kept] == [tuple(marks)]


async def test_looking_at_the_past_is_one_statement_and_none_when_nobody_asks(api: Api) -> None:
    looked = []
    for weight in (0, 1):
        await rules(api, risk_hold_score=1, risk_amount_weight=1, risk_amount_minor=0, risk_card_velocity_weight=weight)
        with api.statements() as sent:
            view = await taken(api, buyer())
        assert view["holds"]
        looked.append(sum("first_order" in statement for statement in sent))

    assert looked == [0, 1]


@pytest.mark.parametrize("limit", [0, 1, 3])
async def test_a_customers_orders_are_counted_by_source_whatever_became_of_them(api: Api, limit: int) -> None:
    await rules(api, risk_customer_velocity_weight=1, risk_customer_velocity_orders=limit)
    customer = buyer()["customer"]

    views = [await taken(api, buyer(customer=customer)) for _ in range(limit + 1)]
    elsewhere = await taken(api, buyer(customer=customer, source="elsewhere"), role="other_storefront")

    assert [spoke(view) for view in views] == [[]] * limit + [["customer_velocity"]]
    assert bool(spoke(elsewhere)) is (limit == 0)
    assert views[-1]["decisions"][0]["candidates"][0]["scores"] == {"score": 1, "orders": limit, "from": limit}


async def test_a_first_order_is_the_first_that_was_not_rejected(api: Api) -> None:
    await rules(api, risk_first_order_weight=1, risk_first_order_minor=0)
    customer = buyer()["customer"]

    first = await taken(api, buyer(customer=customer))
    second = await taken(api, buyer(customer=customer))
    async with api.sessions.begin() as session:
        await session.execute(
            text("UPDATE orders SET state = 'rejected' WHERE customer_ref = :ref"), {"ref": customer["customer_ref"]}
        )
    third = await taken(api, buyer(customer=customer))

    assert [spoke(view) for view in (first, second, third)] == [["first_order"], [], ["first_order"]]


async def test_orders_to_one_address_are_counted_however_it_is_written(api: Api) -> None:
    await rules(api, risk_address_velocity_weight=1, risk_address_velocity_orders=2)
    home, shouted = address(901), address(901, lines=["901, CANARY ROW."], city="LEEDS", postal_code="ls1 4dy")

    views = [await taken(api, buyer(shipping_address=place)) for place in (home, shouted, home, address(902))]

    assert [spoke(view) for view in views] == [[], [], ["address_velocity"], []]


async def test_an_address_that_many_share_is_not_counted(api: Api) -> None:
    await rules(api, risk_address_velocity_weight=1, risk_address_velocity_orders=1)
    shared = {"shipping_address": address(903), "delivery": {"method": "pickup_point", "pickup_point_id": "PP-7"}}

    views = [await taken(api, buyer(**shared)) for _ in range(3)]
    home = await taken(api, buyer(shipping_address=address(903)))

    assert [spoke(view) for view in (*views, home)] == [[], [], [], []]


async def test_an_order_counts_for_every_address_that_it_had_and_once_for_each(api: Api) -> None:
    await rules(api, risk_address_velocity_weight=1, risk_address_velocity_orders=2)
    view = await taken(api, buyer(shipping_address=address(904)))
    async with api.sessions.begin() as session:
        for number, place in enumerate((address(905), address(904), address(905))):
            await intake.revise_address(session, view["order_id"], f"change-{number}", address=place, place=None)

    for number in (904, 905):
        views = [await taken(api, buyer(shipping_address=address(number))) for _ in range(2)]
        assert [spoke(one) for one in views] == [[], ["address_velocity"]]


async def test_orders_by_one_card_are_counted_and_of_two_cards_the_busier_counts(api: Api) -> None:
    await rules(api, risk_card_velocity_weight=1, risk_card_velocity_orders=2)
    used, fresh = f"pm_{uuid4().hex}", f"pm_{uuid4().hex}"
    twice = [{"method": "card", "token": used, "amount_minor": 500}, {"method": "card", "token": used}]
    both = [{"method": "card", "token": fresh, "amount_minor": 500}, {"method": "wallet", "token": used}]

    paid = [twice, [{"method": "card", "token": used}], both, [{"method": "card", "token": fresh}]]
    views = [await taken(api, buyer(payments=payments)) for payments in paid]
    by_link = [await taken(api, buyer(payments=[{"method": "card"}])) for _ in range(3)]

    assert [spoke(view) for view in views] == [[], [], ["card_velocity"], []]
    assert [spoke(view) for view in by_link] == [[]] * 3


@pytest.mark.parametrize(("late", "seen"), [(timedelta(seconds=-30), 1), (timedelta(seconds=30), 0)])
async def test_what_lies_before_the_window_is_not_counted(api: Api, late: timedelta, seen: int) -> None:
    body = buyer()
    view = await taken(api, body)
    now = datetime.fromisoformat(view["received_at"]).astimezone(UTC) + WINDOW + late

    async with api.sessions() as session:
        past = await risk.find_past(
            session,
            source="default",
            customer_ref=body["customer"]["customer_ref"],
            address=address_fingerprint(body["shipping_address"]),
            cards=[card_fingerprint(body["payments"][0]["token"])],
            rules=DEFAULT_RULES,
            now=now,
        )

    assert past == Past(first_order=False, customer_orders=seen, address_orders=seen, card_orders=seen)


async def test_the_policy_offers_every_rule_and_refuses_what_cannot_be(api: Api) -> None:
    answer = await api["operations"].put("/v1/policy", json={"rules": {"risk_window": "PT6H", "risk_hold_score": 60}})
    wrong = await api["operations"].put(
        "/v1/policy", json={"rules": {"risk_amount_weight": -1, "risk_window": "PT0S", "risk_colour": 1}}
    )

    found = answer.json()["rules"]
    assert (found["risk_window"], found["risk_hold_score"]) == ("PT6H", 60)
    assert {entry["field"] for entry in wrong.json()["errors"]} == {
        "rules.risk_amount_weight",
        "rules.risk_window",
        "rules.risk_colour",
    }
