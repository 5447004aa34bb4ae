"""The engine is away, or has lost everything: orders are accepted all the same, and every effect happens once."""

import asyncio

import httpx

from tests.faults.conftest import USUAL_CONTINUE_AFTER, Site, plain
from tests.faults.stages import STAGES, hold_at_every_stage, send_on
from tests.fixtures import bodies
from tests.fixtures.playing import Hand
from tests.fixtures.waiting import until
from tests.invariants import settle

WITHIN = 90.0


async def test_orders_are_accepted_while_the_engine_is_away_and_finish_when_it_is_back(site: Site):
    shop = site.shop
    sku = await shop.product(50)
    early = [(await shop.order(bodies.order([bodies.line(sku, 1)])))["order_id"] for _ in range(3)]
    held = await hold_at_every_stage(shop)

    await site.kill_and_keep_down("temporal")
    answers = await asyncio.gather(*(shop.post(bodies.order([bodies.line(sku, 1)])) for _ in range(8)))
    waited = await shop.post(bodies.order([bodies.line(sku, 1)]), wait=1)
    await held[0].hand.report("accepted")  # A fact is taken too.
    held[0].stage = "accepted"
    ready = await shop.http.get(f"{shop.info['api_url']}/readyz")
    await site.stack.start_child("temporal")
    await site.stack.wait_until_ready()
    await send_on(shop, held)

    assert {answer.status_code for answer in answers} == {201}
    assert (waited.status_code, waited.json()["state"]) == (201, "received")
    assert ready.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert (ready.headers["content-type"], ready.json()["code"]) == ("application/problem+json", "not_ready")
    assert "engine" in ready.json()["detail"]
    late = [answer.json()["order_id"] for answer in [*answers, waited]]
    ends = await shop.until_over([*early, *late, *(one.order_id for one in held)], within=WITHIN)
    assert {plain(view) for view in ends.values()} == {("delivered", 500), ("delivered", 700)}


async def test_an_engine_that_lost_its_file_goes_on_with_every_open_order(site: Site):
    await _lose_the_engine(site)


async def test_continuing_as_new_at_every_quiet_point_leads_to_the_same_end(site: Site):
    """Orders that a lost engine gets back continue as new after every quiet point, and so does everything after."""
    site.continue_after = 1
    try:
        order_ids = await _lose_the_engine(site, one_by_one=True)
    finally:
        site.continue_after = USUAL_CONTINUE_AFTER

    client = await site.shop.temporal()
    chains = [await client.get_workflow_handle(f"order-{order_id}").describe() for order_id in order_ids]
    renewed = [c for c in chains if c.raw_description.workflow_execution_info.first_run_id != c.run_id]
    assert len(renewed) == len(chains)


async def _lose_the_engine(site: Site, *, one_by_one: bool = False) -> list[str]:
    """Lose the engine's file with orders at every stage, and see all of them to their ends.

    Returns:
        The orders that were recovered with more than one fact still to come.
    """
    shop = site.shop
    sku = await shop.product(50)
    closed = await shop.order(bodies.order([bodies.line(sku, 1)], payments=[bodies.card("pm_card_chargeDeclined")]))
    await shop.until_over([closed["order_id"]])
    asked = await shop.order(
        bodies.order(
            [bodies.line(sku, 2, 333)],
            payments=[bodies.card("pm_card_authenticationRequired")],
            scenario="floor_silent",
        ),
        wait=10,
    )
    held = await hold_at_every_stage(shop)
    early = await shop.order(bodies.order([bodies.line(sku, 1)], scenario="floor_silent"))
    early_hand = Hand(shop, await shop.until_state(early["order_id"], "fulfilling"))
    early_hand.label = ("swift", f"SW{early['order_id'][-11:].upper()}GB")
    await early_hand.pack()  # Before it is picked: parked in the order's state.
    await settle(shop, [early["order_id"]])

    await site.lose_engine()
    unstarted = await shop.order(bodies.order([bodies.line(sku, 1)]))
    await held[1].hand.pick()  # A fact that only the inbox knows.
    held[1].stage = "picked"
    await shop.pay(asked["payments"][0]["payment_id"], "succeeded")
    await site.stack.start_child("temporal")
    await site.stack.wait_until_ready()
    await send_on(shop, held, one_by_one=one_by_one)
    await early_hand.pick()
    await early_hand.hand_over()
    await early_hand.track("delivered", {"carrier": "swift", "tracking_number": early_hand.label[1]})
    paid = Hand(shop, await shop.until_state(asked["order_id"], "fulfilling", within=WITHIN))
    await paid.track("delivered", await paid.send_off())

    travelled = [early["order_id"], asked["order_id"], *(one.order_id for one in held)]
    ends = await shop.until_over([*travelled, unstarted["order_id"]], within=WITHIN)
    assert {view["state"] for view in ends.values()} == {"delivered"}
    assert all(view["attention"] == [] for view in ends.values()), [view["attention"] for view in ends.values()]
    assert (await shop.view(closed["order_id"]))["state"] == "rejected"
    await _lost_nobody(site)
    return [one.order_id for one in held if one.stage != STAGES[-1]]


async def _lost_nobody(site: Site) -> None:
    """No order is marked as lost in the engine any more."""

    async def marked() -> bool:
        return not await site.shop.rows("SELECT 1 FROM orders WHERE row_attention::text LIKE '%engine_lost%'")

    await until(marked, "no order to be marked as lost")
