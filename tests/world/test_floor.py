"""The floor and the carriers' stories against a stand-in for our API: what is told, in which order, and how often."""

import base64
import secrets
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstack.world.config import WorldConfig
from devstack.world.floor.facts import parcel_refs, plan_facts, without_parcels
from devstack.world.floor.packing import MAX_PARCEL_G, PACKAGING_G, Article, pack
from devstack.world.outbound import Outbound
from devstack.world.scenarios import Scenarios

from .stage import FakeApi, World, WorldProcess, release, released, webhook_secret

USUAL_FACTS = ["accepted", "picked", "packed", "handed_over"]
USUAL_SCANS = ["picked_up", "in_transit", "out_for_delivery", "delivered"]


def buy(world: World, parcel: dict[str, Any], collect_minor: int | None = None) -> str:
    """The tracking number of a label bought as our worker would."""
    place = {"name": "A", "lines": ["1 High St"], "city": "Leeds", "country": "GB"}
    shipment = {
        "reference": f"par_{secrets.token_hex(4)}",
        "order_id": "ord_1",
        "origin": place,
        "destination": place,
        "weight_g": parcel["weight_g"],
        "service_level": "standard",
        "collect_minor": collect_minor,
        "currency": "GBP",
        "ship_at": "2026-11-23T09:00:00+00:00",
    }
    answer = httpx.post(
        f"{world.url}/carriers/parcelway/labels",
        json={"shipment": shipment, "service": "standard"},
        headers={"idempotency-key": shipment["reference"]},
        trust_env=False,
    )
    number: str = answer.raise_for_status().json()["tracking_number"]
    return number


async def buy_all(world: World, api: FakeApi, collect_minor: int | None = None) -> None:
    """Every packed parcel gets its label."""
    for parcel in [parcel for fact in api.facts for parcel in fact.get("parcels", [])]:
        shown = next(shown for shown in api.parcels if shown["parcel_ref"] == parcel["parcel_ref"])
        shown |= {"state": "labelled", "tracking_number": buy(world, parcel, collect_minor)}


async def play(world: World, api: FakeApi, scenario: str, *, facts: int, scans: int, **view: Any) -> None:
    """A released fulfillment is played until so many facts and scans have come."""
    api.metadata = {"scenario": scenario}
    assert release(world, released(**view)) == 204
    if any(word in scenario for word in ("refuse", "short_pick_all", "floor_silent")):
        await api.until(lambda: len(api.facts) >= facts)
        return
    await api.until(lambda: "packed" in api.kinds())
    await buy_all(world, api)
    await api.until(lambda: len(api.facts) >= facts and len(api.carrier_events) >= scans)


async def test_a_released_fulfillment_is_picked_packed_handed_over_and_delivered(lively: World, api: FakeApi) -> None:
    api.products = {"A": {"weight_g": 400, "length_mm": 300, "width_mm": 200, "height_mm": 50}}

    await play(lively, api, "", facts=4, scans=4)

    assert api.kinds() == USUAL_FACTS
    [parcel] = api.facts[2]["parcels"]
    assert parcel == {
        "parcel_ref": "A",
        "weight_g": 1300,
        "length_mm": 300,
        "width_mm": 200,
        "height_mm": 150,
        "lines": [{"line_id": "1", "quantity": 3}],
    }
    assert api.statuses() == USUAL_SCANS
    proof = api.carrier_events[-1]["proof"]
    assert base64.b64decode(proof["signature_png"]).startswith(b"\x89PNG")
    assert base64.b64decode(proof["photo_jpeg"]).startswith(b"\xff\xd8")
    assert len({fact["event_id"] for fact in api.facts}) == 4
    [entry] = lively.ledger(kind="pick_request")
    assert (entry["key"], entry["reference"], entry["order_id"]) == ("evt_1", "ful_1", "ord_1")


async def test_nothing_is_handed_over_without_a_label(lively: World, api: FakeApi) -> None:
    release(lively, released())
    await api.until(lambda: "packed" in api.kinds())

    lively.control(floor={"paused": True})
    lively.control(floor={"paused": False})

    assert "handed_over" not in api.kinds()
    await buy_all(lively, api)
    await api.until(lambda: "handed_over" in api.kinds())


async def test_money_collected_at_the_door_is_told(lively: World, api: FakeApi) -> None:
    release(lively, released())
    await api.until(lambda: "packed" in api.kinds())
    await buy_all(lively, api, collect_minor=2025)

    await api.until(lambda: "delivered" in api.statuses())

    assert [event.get("collected_minor") for event in api.carrier_events] == [None, None, None, 2025]


@pytest.mark.parametrize(
    ("scenario", "kinds", "scans"),
    [
        ("short_pick", ["accepted", "short_picked", "picked", "packed", "handed_over"], USUAL_SCANS),
        ("short_pick_all", ["accepted", "short_picked"], []),
        ("refuse", ["refused"], []),
        ("no_accept", ["picked", "packed", "handed_over"], USUAL_SCANS),
        ("duplicates", [kind for kind in USUAL_FACTS for _ in range(2)], [s for s in USUAL_SCANS for _ in range(2)]),
        ("shuffled", USUAL_FACTS[::-1], USUAL_SCANS),
        ("own_label", USUAL_FACTS, USUAL_SCANS),
        ("two_parcels", USUAL_FACTS, USUAL_SCANS * 2),
        ("lost", USUAL_FACTS, ["picked_up", "in_transit", "lost"]),
        ("return_to_sender", USUAL_FACTS, [*USUAL_SCANS[:3], "return_to_sender", "returned"]),
        ("delivery_failed", USUAL_FACTS, [*USUAL_SCANS[:3], "delivery_failed", "out_for_delivery", "delivered"]),
        ("delayed", USUAL_FACTS, ["picked_up", "in_transit", "delivery_delayed", "out_for_delivery", "delivered"]),
        ("late_scan", USUAL_FACTS, [*USUAL_SCANS, "in_transit"]),
        ("no_pickup_scan", USUAL_FACTS, USUAL_SCANS[1:]),
        ("carrier_silent", USUAL_FACTS, []),
        ("short_pick, late_scan", ["accepted", "short_picked", *USUAL_FACTS[1:]], [*USUAL_SCANS, "in_transit"]),
    ],
)
async def test_each_scenario_tells_its_story(
    lively: World, api: FakeApi, scenario: str, kinds: list[str], scans: list[str]
) -> None:
    await play(lively, api, scenario, facts=len(kinds), scans=len(scans))

    assert api.kinds() == kinds
    assert sorted(api.statuses()) == sorted(scans)
    if scenario != "two_parcels":
        assert api.statuses() == scans
    times = 2 if scenario == "duplicates" else 1
    assert len({fact["event_id"] for fact in api.facts}) * times == len(kinds)
    assert len({event["event_id"] for event in api.carrier_events}) * times == len(scans)


async def test_a_short_pick_misses_one_unit_of_the_first_line(lively: World, api: FakeApi) -> None:
    await play(lively, api, "short_pick", facts=5, scans=4)

    assert api.facts[1]["lines"] == [{"line_id": "1", "missing": 1, "reason": "mismatch"}]
    assert api.facts[2]["lines"] == [{"line_id": "1", "quantity": 2}]


def test_lorry_loads_are_told_in_several_facts() -> None:
    lines = [{"line_id": "1", "sku": "A", "quantity": 250}]

    facts = plan_facts("ful_1", lines, {"1": Article(weight_g=MAX_PARCEL_G)}, [])

    assert [fact["kind"] for fact in facts] == ["accepted", "picked", *["packed"] * 3, *["handed_over"] * 3]
    assert len({fact["event_id"] for fact in facts}) == len(facts)
    assert len(set(parcel_refs(facts))) == 250
    assert [fact["kind"] for fact in without_parcels(facts, ["A"])][-2:] == ["packed", "handed_over"]


async def test_a_webhook_is_taken_once_and_only_with_our_signature(lively: World, api: FakeApi) -> None:
    payload = released()

    answers = [release(lively, payload), release(lively, payload), release(lively, payload, id="evt_2")]
    forged = release(lively, payload, id="evt_3", secret=webhook_secret("forger"))
    await api.until(lambda: "packed" in api.kinds())
    await buy_all(lively, api)
    await api.until(lambda: "delivered" in api.statuses())

    assert (answers, forged) == ([204, 204, 204], 401)
    assert [entry["key"] for entry in lively.ledger(kind="pick_request")] == ["evt_1", "evt_2"]
    assert api.kinds() == USUAL_FACTS


async def test_an_api_that_is_away_hears_everything_later(lively: World, api: FakeApi) -> None:
    api.away = 3

    await play(lively, api, "", facts=4, scans=4)

    assert (api.kinds(), api.statuses()) == (USUAL_FACTS, USUAL_SCANS)


async def test_stories_go_on_after_kill_minus_nine(lively_process: WorldProcess, api: FakeApi) -> None:
    release(lively_process, released())
    await api.until(lambda: "packed" in api.kinds())
    lively_process.kill()
    lively_process.start()
    await buy_all(lively_process, api)
    await api.until(lambda: "picked_up" in api.statuses())

    lively_process.kill()
    lively_process.start()
    await api.until(lambda: "delivered" in api.statuses())

    told = {fact["event_id"]: fact["kind"] for fact in api.facts}
    assert list(told.values()) == USUAL_FACTS
    scans = {event["event_id"]: event["status"] for event in api.carrier_events}
    assert list(scans.values()) == USUAL_SCANS


async def test_hands_off_leaves_everything_to_the_client(idle: World, api: FakeApi) -> None:
    release(idle, released())

    assert [entry["kind"] for entry in idle.ledger()] == ["pick_request"]
    assert idle.control()["floor"] == {"paused": False}
    assert api.facts == []


async def test_a_second_world_on_the_same_folder_is_told_so(
    process: WorldProcess, capfd: pytest.CaptureFixture[str]
) -> None:
    second = WorldProcess(process.folder)

    with pytest.raises(RuntimeError):
        second.start()

    assert "another world runs on" in capfd.readouterr().err


async def test_chance_needs_a_seed_and_repeats_with_it(tmp_path: Path, api: FakeApi) -> None:
    async def drawn(seed: int | None) -> list[frozenset[str]]:
        outbound = Outbound(api.url)
        scenarios = Scenarios(WorldConfig(data_dir=tmp_path, seed=seed), outbound)
        found = []
        for number in range(60):
            api.order_ref = str(number)
            found.append(await scenarios.of_order(f"ord_{secrets.token_hex(4)}"))
        await outbound.close()
        return found

    first, second, none = await drawn(7), await drawn(7), await drawn(None)

    assert first == second
    assert {len(scenarios) for scenarios in first} == {0, 1}
    assert not any(none)


async def test_unknown_knobs_are_refused(world: World) -> None:
    answer = httpx.post(f"{world.url}/control", json={"payments": {"latency": 1}}, trust_env=False)

    assert answer.status_code == 422
    assert world.control(payments={"latency_ms": 1})["payments"]["latency_ms"] == 1


@given(
    lines=st.lists(st.tuples(st.integers(1, 500), st.integers(1, 30_000)), min_size=1, max_size=8),
    boxes=st.integers(1, 2),
)
def test_packing_loses_no_unit_and_overloads_no_box(lines: list[tuple[int, int]], boxes: int) -> None:
    picked = [(str(place), units) for place, (units, _) in enumerate(lines)]
    articles = {str(place): Article(weight_g=weight) for place, (_, weight) in enumerate(lines)}

    parcels = pack(picked, articles, boxes_at_least=boxes)

    packed: dict[str, int] = {}
    for parcel in parcels:
        units = sum(line["quantity"] for line in parcel["lines"])
        weight = PACKAGING_G + sum(line["quantity"] * articles[line["line_id"]].weight_g for line in parcel["lines"])
        assert parcel["weight_g"] == weight
        assert weight <= MAX_PARCEL_G or units == 1
        for line in parcel["lines"]:
            packed[line["line_id"]] = packed.get(line["line_id"], 0) + line["quantity"]
    assert packed == dict(picked)
    assert len({parcel["parcel_ref"] for parcel in parcels}) == len(parcels)
    if sum(packed.values()) > 1:
        assert len(parcels) >= boxes
