"""A warehouse sees what was released to it, and its facts are kept once, whatever they say."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter
from sqlalchemy import text

from domain import units
from domain.messages import Allocation
from domain.orders import Fulfillment, Order, Parcel
from domain.units import Place, Stage
from domain.vocabulary import ParcelState
from tests.api.bodies import errors, order
from tests.api.conftest import Api, all_pages

ORDER: TypeAdapter[Order] = TypeAdapter(Order)
NOW = "2026-01-31T12:00:00Z"


async def released(
    api: Api, *, location_id: str = "LEEDS", priority: int = 3, packed: bool = False, **changes: Any
) -> str:
    """The id of a fulfillment that its warehouse has been told of; *packed* in a parcel with a label."""
    created = (await api["storefront"].post("/v1/orders", json=order(**changes))).json()
    snapshot = await api.value("SELECT snapshot::text FROM orders WHERE order_id = :id", id=created["order_id"])
    state = ORDER.validate_json(snapshot)
    fulfillment_id = state.order_id.replace("ord_", "ful_") + "_1"
    parcel_id = state.order_id.replace("ord_", "par_") + "_1"
    now = datetime.now(UTC)
    allocations = tuple(
        Allocation(line_id=line.line_id, sku=line.sku, quantity=line.quantity, first_unit=0) for line in state.lines
    )
    target = Place(stage=Stage.RELEASED, fulfillment_id=fulfillment_id)
    if packed:
        target = Place(stage=Stage.PACKED, fulfillment_id=fulfillment_id, parcel_id=parcel_id)
    quantities = {line.line_id: line.quantity for line in state.lines}
    state = replace(
        state,
        fulfillments=(
            Fulfillment(
                fulfillment_id=fulfillment_id, location_id=location_id, allocations=allocations, released_at=now
            ),
        ),
        portions=units.move(state.portions, quantities, Place(stage=Stage.OPEN), target),
    )
    if packed:
        parcel = Parcel(
            parcel_id=parcel_id,
            parcel_ref="A",
            fulfillment_id=fulfillment_id,
            packed_at=now,
            carrier="swift",
            service="standard",
            tracking_number=f"TN-{state.order_id}",
        )
        state = replace(state, parcels=(parcel,))
    await _store(api, state, priority=priority, released_at=now)
    return fulfillment_id


async def _store(api: Api, state: Order, *, priority: int, released_at: datetime) -> None:
    fulfillment = state.fulfillments[0]
    async with api.sessions.begin() as session:
        await session.execute(
            text("UPDATE orders SET snapshot = CAST(:snapshot AS jsonb) WHERE order_id = :order_id"),
            {"snapshot": ORDER.dump_json(state).decode(), "order_id": state.order_id},
        )
        await session.execute(
            text(
                "INSERT INTO fulfillments (fulfillment_id, order_id, location_id, state, priority, ship_by, released_at)"
                " VALUES (:fulfillment_id, :order_id, :location_id, 'released', :priority,"
                " :ship_by, :released_at)"
            ),
            {
                "fulfillment_id": fulfillment.fulfillment_id,
                "order_id": state.order_id,
                "location_id": fulfillment.location_id,
                "priority": priority,
                "ship_by": released_at + timedelta(hours=1),
                "released_at": released_at,
            },
        )
        for parcel in state.parcels:
            await session.execute(
                text(
                    "INSERT INTO parcels (parcel_id, order_id, fulfillment_id, carrier, tracking_number, state,"
                    " tracking_status) VALUES (:parcel_id, :order_id, :fulfillment_id, :carrier, :number, :state,"
                    " 'pending')"
                ),
                {
                    "parcel_id": parcel.parcel_id,
                    "order_id": state.order_id,
                    "fulfillment_id": parcel.fulfillment_id,
                    "carrier": parcel.carrier,
                    "number": parcel.tracking_number,
                    "state": ParcelState.LABELLED.value,
                },
            )


def _fact(kind: str, event_id: str = "wms-1", **fields: Any) -> dict[str, Any]:
    return {"event_id": event_id, "kind": kind, "occurred_at": NOW, **fields}


async def test_a_fulfillment_is_shown_with_what_its_warehouse_needs(api: Api) -> None:
    fulfillment_id = await released(
        api,
        customer={"customer_ref": "c", "name": "A. Reader", "phone": "+441132220001"},
        gift={"message": "Well done", "hide_prices": True},
    )

    view = (await api["warehouse"].get(f"/v1/fulfillments/{fulfillment_id}")).json()

    assert view["state"] == "released"
    assert view["ship_to"] == {
        "name": "A. Reader",
        "phone": "+441132220001",
        "lines": ["1 High St"],
        "city": "Leeds",
        "region": None,
        "postal_code": "LS1 4DY",
        "country": "GB",
    }
    assert view["gift"] == {"message": "Well done", "hide_prices": True}
    assert view["lines"] == [{"line_id": "1", "sku": "MUG", "name": "A mug", "gtin": "4006381333931", "quantity": 6}]
    assert "payments" not in view


async def test_what_was_not_released_is_not_there(api: Api) -> None:
    fulfillment_id = await released(api)
    async with api.sessions.begin() as session:
        await session.execute(
            text("UPDATE fulfillments SET released_at = NULL WHERE fulfillment_id = :id"), {"id": fulfillment_id}
        )

    shown = await api["warehouse"].get(f"/v1/fulfillments/{fulfillment_id}")
    told = await api["warehouse"].post(f"/v1/fulfillments/{fulfillment_id}/events", json=_fact("accepted"))

    assert (shown.status_code, told.status_code) == (404, 404)


@pytest.mark.parametrize("sort", [None, "priority"])
async def test_work_is_listed_in_order(api: Api, sort: str | None) -> None:
    made = [await released(api, location_id="LYON", priority=priority) for priority in (2, 9, 5)]
    params: dict[str, Any] = {"location_id": "LYON", "state": "released", "limit": 2} | ({"sort": sort} if sort else {})

    found = [view["fulfillment_id"] for view in await all_pages(api["warehouse"], "/v1/fulfillments", **params)]

    wanted = made if sort is None else [made[1], made[2], made[0]]
    assert [name for name in found if name in made] == wanted


GOOD: list[dict[str, Any]] = [
    _fact("accepted", worker="p-12"),
    _fact("refused", reason="capacity"),
    _fact("refused", reason="not_in_stock", lines=[{"line_id": "1", "quantity": 1}]),
    _fact("picked", lines=[{"line_id": "1", "quantity": 6, "lot": None, "serials": []}]),
    _fact("picked", lines=[{"line_id": "1", "quantity": 100_000, "lot": "L1", "serials": ["S1"]}]),
    _fact("short_picked", lines=[{"line_id": "1", "missing": 2, "reason": "mismatch"}]),
    _fact("packed"),
    _fact(
        "packed",
        parcels=[
            {
                "parcel_ref": "A",
                "weight_g": 900,
                "length_mm": 300,
                "width_mm": 200,
                "height_mm": 150,
                "lines": [{"line_id": "1", "quantity": 6}],
                "carrier": "own",
                "tracking_number": "X1",
            }
        ],
    ),
    _fact("handed_over", parcel_refs=["A"]),
    _fact("request_accepted", request_id="req_1", lines=[{"line_id": "1", "quantity": 1}]),
    _fact("request_refused", request_id="req_1", reason="already_loaded"),
]


@pytest.mark.parametrize("fact", GOOD, ids=[f"{n}-{fact['kind']}" for n, fact in enumerate(GOOD)])
async def test_each_kind_of_fact_is_kept_and_queued(api: Api, fact: dict[str, Any]) -> None:
    fulfillment_id = await released(api)
    event_id = f"{fact['event_id']}-{fulfillment_id}"

    with api.statements() as sent:
        answer = await api["warehouse"].post(
            f"/v1/fulfillments/{fulfillment_id}/events", json=fact | {"event_id": event_id}
        )

    assert (answer.status_code, answer.json()) == (202, {"duplicate": False}), answer.text
    assert len(sent) <= 4
    payload = await api.value(
        "SELECT payload FROM outbox WHERE name = 'warehouse_fact' ORDER BY outbox_id DESC LIMIT 1"
    )
    assert payload["id"] == f"warehouse:LEEDS/{event_id}"
    assert (payload["kind"], payload["fulfillment_id"]) == (fact["kind"], fulfillment_id)
    assert "traces" not in payload


async def test_a_fact_is_kept_once(api: Api) -> None:
    path = f"/v1/fulfillments/{await released(api)}/events"

    answers = await asyncio.gather(
        *(api["warehouse"].post(path, json=_fact("accepted", event_id="once")) for _ in range(20))
    )

    assert {answer.status_code for answer in answers} == {202}
    assert sorted(answer.json()["duplicate"] for answer in answers) == [False] + [True] * 19
    assert await api.value("SELECT count(*) FROM outbox WHERE payload ->> 'id' = 'warehouse:LEEDS/once'") == 1


PARCEL = {"parcel_ref": "A", "lines": [{"line_id": "1", "quantity": 1}]}


@pytest.mark.parametrize(
    ("fact", "field"),
    [
        (_fact("eaten"), "kind"),
        ({"event_id": "x", "occurred_at": NOW}, "kind"),
        (_fact("accepted", event_id=""), "event_id"),
        (_fact("accepted", event_id="x" * 101), "event_id"),
        (_fact("accepted", lines=[]), "lines"),
        (_fact("accepted") | {"occurred_at": "2026-01-31"}, "occurred_at"),
        (_fact("refused", reason="bored"), "reason"),
        (_fact("picked"), "lines"),
        (_fact("picked", lines=[]), "lines"),
        (_fact("picked", lines=[{"line_id": "1", "quantity": 0}]), "lines[0].quantity"),
        (_fact("picked", lines=[{"line_id": "1", "quantity": 100_001}]), "lines[0].quantity"),
        (_fact("picked", lines=[{"line_id": "9", "quantity": 1}]), "lines[0].line_id"),
        (_fact("short_picked", lines=[{"line_id": "9", "missing": 1, "reason": "other"}]), "lines[0].line_id"),
        (_fact("short_picked", lines=[{"line_id": "1", "missing": 1}]), "lines[0].reason"),
        (
            _fact("packed", parcels=[PARCEL | {"lines": [{"line_id": "9", "quantity": 1}]}]),
            "parcels[0].lines[0].line_id",
        ),
        (_fact("packed", parcels=[PARCEL, PARCEL]), "parcels[1].parcel_ref"),
        (_fact("packed", parcels=[PARCEL | {"carrier": "swift"}]), "parcels[0].tracking_number"),
        (_fact("packed", parcels=[PARCEL | {"weight_g": 0}]), "parcels[0].weight_g"),
        (_fact("handed_over"), "parcel_refs"),
        (_fact("handed_over", parcel_refs=[]), "parcel_refs"),
        (_fact("request_refused", request_id="req_1"), "reason"),
    ],
)
async def test_what_is_no_fact_is_named(api: Api, fact: dict[str, Any], field: str) -> None:
    path = f"/v1/fulfillments/{await released(api)}/events"

    answer = await api["warehouse"].post(path, json=fact)

    assert answer.status_code == 422, answer.text
    assert set(errors(answer)) == {field}
