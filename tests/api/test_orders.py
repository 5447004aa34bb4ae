"""Bringing orders: accepted once, found again, seen by those who may."""

import asyncio

import orjson
from sqlalchemy import text

from domain.vocabulary import OrderState
from tests.api.bodies import order
from tests.api.conftest import Api, all_pages

CANARY = "Zyx-Canary"


async def _reject(api: Api, order_id: str) -> None:
    """The order as it is once a check refused it."""
    outcome = '{"state": "rejected", "reason": "payment_declined", "detail": null}'
    async with api.sessions.begin() as session:
        await session.execute(
            text(
                "UPDATE orders SET state = 'rejected', closed_at = now(), owner = NULL,"
                " snapshot = jsonb_set(snapshot, '{outcome}', CAST(:outcome AS jsonb)) WHERE order_id = :order_id"
            ),
            {"order_id": order_id, "outcome": outcome},
        )


async def test_an_order_is_taken_and_shown(api: Api) -> None:
    body = order(shipping_minor=495, total_minor=2025)

    answer = await api["storefront"].post("/v1/orders", json=body)

    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert answer.headers["location"] == f"/v1/orders/{view['order_id']}"
    assert view["state"] == OrderState.RECEIVED
    assert view["version"] == 1
    assert view["amounts"]["ordered_total_minor"] == 2025
    assert view["lines"][0]["name"] == "A mug"
    assert view["lines"][0]["quantities"]["open"] == 6
    assert view["waiting"]["next_step"] == "reserve_stock"
    assert view["links"]["temporal"].endswith(f"/workflows/order-{view['order_id']}")
    again = await api["support"].get(f"/v1/orders/{view['order_id']}")
    assert again.json() == view


async def test_the_view_repeats_every_field_of_the_request(api: Api) -> None:
    body = order(
        source="default",
        service_level="express",
        customer={
            "customer_ref": "c-17850",
            "name": "A. Reader",
            "email": "a@example.org",
            "phone": "+44 113 222 0001",
            "locale": "en-GB",
            "notify": "email",
            "optional_notices": False,
        },
        billing_address={"lines": ["2 Low St", "Rear"], "city": "York", "postal_code": "YO1 7HH", "country": "GB"},
        ip_country="GB",
        delivery={"method": "pickup_point", "pickup_point_id": "PP-7"},
        gift={"message": "Well done", "hide_prices": True},
        prices_include_tax=False,
        shipping_minor=500,
        shipping_discount_minor=100,
        shipping_tax_minor=80,
        total_minor=2 * 1000 - 10 + 400 + 398 + 80,
        lines=[
            {
                "line_id": "a",
                "sku": "LAMP",
                "quantity": 2,
                "unit_price_minor": 1000,
                "discount_minor": 10,
                "tax_minor": 398,
            }
        ],
        allow_backorder=True,
        allow_split=False,
        placed_at="2026-01-31T12:00:00+02:00",
        note="Ring twice",
        metadata={"campaign": "spring", "clicks": 3, "member": True, "none": None},
    )

    answer = await api["support"].post("/v1/orders", json=body)

    assert answer.status_code == 201, answer.text
    view = answer.json()
    for name in ("order_ref", "channel", "service_level", "delivery", "gift", "note", "metadata", "ip_country"):
        assert view[name] == body[name]
    assert view["customer"] == body["customer"] | {"phone": "+441132220001"}
    assert view["billing_address"] == body["billing_address"] | {"name": None, "region": None}
    assert view["placed_at"] == "2026-01-31T10:00:00Z"
    assert view["total_minor"] == body["total_minor"]
    assert view["lines"][0] | body["lines"][0] == view["lines"][0]
    assert [view[name] for name in ("allow_backorder", "allow_split", "prices_include_tax")] == [True, False, False]


async def test_the_accept_path_is_short(api: Api) -> None:
    body = order(customer={"customer_ref": "c", "name": "A. Reader", "email": "a@example.org", "phone": "01132220001"})
    await api["storefront"].get("/v1/orders")

    with api.statements() as sent:
        answer = await api["storefront"].post("/v1/orders", json=body, headers={"Idempotency-Key": "short"})

    assert answer.status_code == 201, answer.text
    assert len([statement for statement in sent if "outbox_id" not in statement]) <= 10


async def test_fifty_posts_with_one_key_are_one_order(api: Api) -> None:
    body = order()

    answers = await asyncio.gather(
        *(api["storefront"].post("/v1/orders", json=body, headers={"Idempotency-Key": "fifty"}) for _ in range(50))
    )

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert await api.value("SELECT count(*) FROM orders WHERE order_ref = :ref", ref=body["order_ref"]) == 1


async def test_fifty_posts_with_other_keys_are_one_order(api: Api) -> None:
    body = order()

    answers = await asyncio.gather(
        *(api["storefront"].post("/v1/orders", json=body, headers={"Idempotency-Key": f"k{n}"}) for n in range(50))
    )

    assert sorted({answer.status_code for answer in answers}) == [200, 201]
    assert sum(answer.status_code == 201 for answer in answers) == 1
    assert len({answer.json()["order_id"] for answer in answers}) == 1
    assert await api.value("SELECT count(*) FROM outbox WHERE order_id = :id", id=answers[0].json()["order_id"]) <= 1


async def test_a_key_with_another_body_is_refused(api: Api) -> None:
    headers = {"Idempotency-Key": "mismatch"}
    await api["storefront"].post("/v1/orders", json=order(), headers=headers)

    answer = await api["storefront"].post("/v1/orders", json=order(), headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")


async def test_two_callers_may_use_the_same_key(api: Api) -> None:
    headers = {"Idempotency-Key": "1"}

    first = await api["storefront"].post("/v1/orders", json=order(), headers=headers)
    second = await api["support"].post("/v1/orders", json=order(), headers=headers)

    assert (first.status_code, second.status_code) == (201, 201)
    assert "idempotent-replayed" not in second.headers


async def test_a_key_that_is_being_used_is_told_so(api: Api) -> None:
    headers = {"Idempotency-Key": "in-flight"}
    body = order()
    first = await api["storefront"].post("/v1/orders", json=body, headers=headers)
    assert first.status_code == 201
    async with api.sessions.begin() as session:
        await session.execute(
            text(
                "DELETE FROM idempotency_keys WHERE request_id ="
                " (SELECT request_id FROM idempotency_keys ORDER BY created_at DESC LIMIT 1)"
            )
        )
        await session.flush()
        # The row is gone for this transaction only: whoever claims the key now waits for it.
        answer = await api["storefront"].post("/v1/orders", json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_in_flight")
        assert int(answer.headers["retry-after"]) > 0


async def test_an_old_key_counts_as_none(api: Api) -> None:
    headers = {"Idempotency-Key": "old"}
    await api["storefront"].post("/v1/orders", json=order(), headers=headers)
    async with api.sessions.begin() as session:
        await session.execute(text("UPDATE idempotency_keys SET created_at = now() - interval '31 days'"))

    answer = await api["storefront"].post("/v1/orders", json=order(), headers=headers)

    assert answer.status_code == 201
    assert "idempotent-replayed" not in answer.headers


async def test_a_refusal_is_not_kept(api: Api) -> None:
    headers = {"Idempotency-Key": "mended"}
    wrong = await api["storefront"].post("/v1/orders", json=order(total_minor=1), headers=headers)

    answer = await api["storefront"].post("/v1/orders", json=order(), headers=headers)

    assert (wrong.status_code, answer.status_code) == (422, 201)


async def test_the_same_content_finds_the_order_with_defaults_filled_in(api: Api) -> None:
    body = order()
    first = await api["storefront"].post("/v1/orders", json=body)
    spelled_out = body | {
        "source": "default",
        "service_level": "standard",
        "total_minor": 1530,
        "prices_include_tax": True,
        "metadata": {},
        "lines": [body["lines"][0] | {"line_id": "1", "discount_minor": 0}],
        "payments": [body["payments"][0] | {"amount_minor": 1530, "reference": None}],
    }

    again = await api["storefront"].post("/v1/orders", json=spelled_out)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


async def test_other_content_under_a_taken_reference_is_refused(api: Api) -> None:
    body = order()
    await api["storefront"].post("/v1/orders", json=body)

    answer = await api["storefront"].post("/v1/orders", json=body | {"shipping_minor": 1})

    assert (answer.status_code, answer.json()["code"]) == (409, "order_ref_taken")


async def test_a_rejected_order_is_found_by_its_content_and_replaced_by_another(api: Api) -> None:
    body = order()
    first = (await api["storefront"].post("/v1/orders", json=body)).json()
    await _reject(api, first["order_id"])

    same = await api["storefront"].post("/v1/orders", json=body)
    other = body | {"payments": [{"method": "card", "token": "pm_card_mastercard"}]}
    answers = await asyncio.gather(*(api["storefront"].post("/v1/orders", json=other) for _ in range(10)))

    assert (same.status_code, same.json()["order_id"]) == (200, first["order_id"])
    assert same.json()["state"] == OrderState.REJECTED
    assert same.json()["waiting"] is None
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    new = answers[0].json()
    assert new["replaces"] == first["order_id"] != new["order_id"]
    old = (await api["support"].get(f"/v1/orders/{first['order_id']}")).json()
    assert old["related"] == [{"order_id": new["order_id"], "relation": "replaced_by"}]


async def test_the_request_is_kept_byte_for_byte(api: Api) -> None:
    raw = b"  " + orjson.dumps(order()) + b"\n"
    created = await api["storefront"].post("/v1/orders", content=raw, headers={"Content-Type": "application/json"})

    answer = await api["storefront"].get(f"/v1/orders/{created.json()['order_id']}/request")

    assert answer.content == raw


async def test_no_personal_data_leaves_the_tables_that_are_for_it(api: Api) -> None:
    body = order(
        customer={"customer_ref": "c", "name": CANARY, "email": f"{CANARY}@example.org", "phone": "+441132229999"},
        shipping_address={"lines": [CANARY], "city": "Leeds", "postal_code": "LS1 4DY", "country": "GB"},
        billing_address={"lines": [CANARY], "city": CANARY, "postal_code": "LS1 4DY", "country": "GB"},
        gift={"message": CANARY},
        note=CANARY,
        payments=[{"method": "card", "token": CANARY}],
    )
    order_id = (await api["storefront"].post("/v1/orders", json=body)).json()["order_id"]

    for query in (
        "SELECT row_to_json(o)::text FROM orders o WHERE order_id = :id",
        "SELECT json_agg(e)::text FROM order_events e WHERE order_id = :id",
        "SELECT coalesce(json_agg(x)::text, '') FROM outbox x WHERE order_id = :id",
    ):
        kept = (await api.value(query, id=order_id)).lower()
        assert CANARY.lower() not in kept
        assert "1132229999" not in kept
        assert "ls1" not in kept


async def test_the_timeline_begins_with_its_reception(api: Api) -> None:
    created = await api["storefront"].post("/v1/orders", json=order(), headers={"Doorstep-Actor": "a.reader@shop"})

    page = (await api["storefront"].get(f"{created.headers['location']}/events")).json()

    assert page["next_cursor"] is None
    assert [(event["sequence"], event["kind"]) for event in page["items"]] == [(1, "order.received")]
    assert page["items"][0]["actor"] == {"kind": "customer", "id": "a.reader@shop"}


async def test_lists_are_pages_of_what_was_asked_for(api: Api) -> None:
    customer = {"customer_ref": "c-list", "email": "List@Example.org", "phone": "+441132228888"}
    made = [
        (await api["storefront"].post("/v1/orders", json=order(customer=customer, channel=channel))).json()
        for channel in ("web", "mobile", "web", "hotline", "web")
    ]
    newest_first = [view["order_id"] for view in reversed(made)]

    listed = await all_pages(api["support"], "/v1/orders", customer_ref="c-list", limit=2)

    assert [view["order_id"] for view in listed] == newest_first
    for query, count in (
        ({"channel": "web"}, 3),
        ({"email": "list@example.ORG"}, 5),
        ({"phone": "+44 113 222 8888"}, 5),
        ({"sku": "MUG"}, 5),
        ({"sku": "LAMP"}, 0),
        ({"state": "received", "owner": "inventory", "source": "default"}, 5),
        ({"overdue": "true"}, 0),
        ({"overdue": "false"}, 5),
        ({"attention": "stock_short"}, 0),
        ({"location_id": "LEEDS"}, 0),
        ({"tracking_number": "TN"}, 0),
        ({"order_ref": made[0]["order_ref"]}, 1),
        ({"received_from": made[2]["received_at"]}, 3),
        ({"received_to": made[2]["received_at"]}, 2),
    ):
        answer = await api["support"].get("/v1/orders", params={"customer_ref": "c-list"} | query)
        assert len(answer.json()["items"]) == count, query


async def test_a_storefront_sees_its_own_sources_only(api: Api) -> None:
    created = await api["storefront"].post("/v1/orders", json=order())
    path = created.headers["location"]

    for where in (path, f"{path}/events", f"{path}/request"):
        assert (await api["other_storefront"].get(where)).status_code == 404
        assert (await api["operations"].get(where)).status_code == 200
    assert (await api["other_storefront"].get("/v1/orders")).json()["items"] == []


async def test_a_storefront_brings_orders_of_its_own_sources_only(api: Api) -> None:
    answer = await api["other_storefront"].post("/v1/orders", json=order())

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def _decide(api: Api, order_id: str) -> None:
    hold = (
        '[{"hold_id": "hld_1", "reason": "other", "placed_by": "rules", "owner": "risk",'
        ' "placed_at": "2026-01-01T00:00:00Z", "due_at": "2026-01-02T00:00:00Z"}]'
    )
    async with api.sessions.begin() as session:
        await session.execute(
            text(
                "UPDATE orders SET snapshot = jsonb_set(snapshot, '{holds}', CAST(:hold AS jsonb))"
                " WHERE order_id = :order_id"
            ),
            {"order_id": order_id, "hold": hold},
        )
        await session.execute(text("SELECT pg_notify('doorstep_orders', :order_id)"), {"order_id": order_id})


async def test_an_answer_that_waits_comes_with_the_first_decision(api: Api) -> None:
    body = order()
    headers = {"Prefer": "respond-async, wait=10", "Idempotency-Key": "waits"}
    waiting = asyncio.create_task(api["storefront"].post("/v1/orders", json=body, headers=headers))
    while not (found := await api.rows("SELECT order_id FROM orders WHERE order_ref = :ref", ref=body["order_ref"])):
        await asyncio.sleep(0.01)

    await _decide(api, found[0][0])
    answer = await asyncio.wait_for(waiting, 8)

    assert answer.status_code == 201
    assert answer.json()["holds"][0]["hold_id"] == "hld_1"
    again = await api["storefront"].post("/v1/orders", json=body, headers=headers)
    assert again.content == answer.content
    assert again.headers["idempotent-replayed"] == "true"


async def test_waiting_ends_without_a_decision(api: Api) -> None:
    answer = await api["storefront"].post("/v1/orders", json=order(), headers={"Prefer": "wait=1"})

    assert (answer.status_code, answer.json()["state"]) == (201, "received")


async def test_an_order_is_taken_while_the_engine_is_away(api: Api) -> None:
    order_id = (await api["storefront"].post("/v1/orders", json=order())).json()["order_id"]

    kinds = await api.rows("SELECT kind, workflow_id FROM outbox WHERE order_id = :id", id=order_id)

    assert [tuple(row) for row in kinds] == [("start", f"order-{order_id}")]
