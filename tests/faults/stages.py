"""Orders brought to every stage of their way and held there, to be sent on later by the same hands."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.fixtures import bodies
from tests.fixtures.playing import Hand
from tests.fixtures.shop import Shop, View
from tests.invariants import settle

STAGES = ("released", "accepted", "picked", "labelled", "shipped", "out_for_delivery")


@dataclass
class Held:
    """One order and the hand that goes on with it."""

    stage: str
    order_id: str
    hand: Hand
    parcel: View | None = None


async def hold_at_every_stage(shop: Shop) -> list[Held]:
    """One order at each of ``STAGES``, on a floor that is silent about them."""
    sku = await shop.product(50)
    held = []
    for stage in STAGES:
        order = await shop.order(bodies.order([bodies.line(sku, 2, 333)], scenario="floor_silent", shipping_minor=34))
        view = await shop.until_state(order["order_id"], "fulfilling")
        held.append(Held(stage, order["order_id"], Hand(shop, view)))
        await _bring(held[-1])
    await settle(shop, [one.order_id for one in held])
    return held


async def _bring(one: Held) -> None:
    moves = _moves(one)
    for stage in STAGES[1 : STAGES.index(one.stage) + 1]:
        await moves[stage]()


async def send_on(shop: Shop, held: list[Held], *, one_by_one: bool = False) -> None:
    """Every order goes on from where it was held, to the doorstep; *one_by_one*: all is quiet between two facts."""
    for one in held:
        moves = _moves(one)
        for stage in STAGES[STAGES.index(one.stage) + 1 :]:
            await moves[stage]()
            if one_by_one:
                await settle(shop, [one.order_id])
        assert one.parcel is not None
        await one.hand.track("delivered", one.parcel)


def _moves(one: Held) -> dict[str, Callable[[], Awaitable[None]]]:
    async def pack() -> None:
        await one.hand.pack()
        [one.parcel] = await one.hand.labelled()

    async def track() -> None:
        assert one.parcel is not None
        await one.hand.track("out_for_delivery", one.parcel)

    return {
        "accepted": lambda: one.hand.report("accepted"),
        "picked": one.hand.pick,
        "labelled": pack,
        "shipped": one.hand.hand_over,
        "out_for_delivery": track,
    }
