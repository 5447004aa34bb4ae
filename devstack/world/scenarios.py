"""Which faults an order asks for: by its `metadata.scenario`, or by chance when the world has a seed."""

import asyncio
import random
from collections import OrderedDict

import structlog

from devstack.world.config import WorldConfig
from devstack.world.outbound import ApiAway, ApiRefused, Outbound

log = structlog.get_logger()
NONE: frozenset[str] = frozenset()
CACHED = 20_000
SOON_SECONDS = 2.0
# One order in eight meets one of these when the world has a seed; all of them end by themselves.
CHANCE = 0.125
BY_CHANCE = (
    "short_pick",
    "two_parcels",
    "no_accept",
    "duplicates",
    "shuffled",
    "label_timeout_after",
    "delivery_failed",
    "delayed",
    "late_scan",
    "no_pickup_scan",
)


class Scenarios:
    """The scenarios of each order, read once from our API."""

    def __init__(self, config: WorldConfig, outbound: Outbound | None) -> None:
        self._outbound = outbound
        self._key = config.api_key
        self._seed = config.seed
        self._known: OrderedDict[str, frozenset[str]] = OrderedDict()

    async def of_order(self, order_id: str) -> frozenset[str]:
        """The scenarios of *order_id*; none for an order that our API does not know.

        Raises:
            ApiAway: our API cannot say now.
        """
        if (known := self._known.get(order_id)) is not None:
            return known
        if self._outbound is None:
            return NONE
        try:
            order = await self._outbound.get(f"/v1/orders/{order_id}", self._key)
        except ApiRefused as refused:
            log.warning("scenario_not_read", order_id=order_id, status=refused.status, code=refused.code)
            return NONE
        scenario = str((order.get("metadata") or {}).get("scenario") or "")
        wanted = frozenset(word.strip() for word in scenario.split(",") if word.strip())
        return self._remember(order_id, wanted or self._by_chance(order))

    async def of_order_soon(self, order_id: str) -> frozenset[str]:
        """The same for a counter that cannot wait: none when our API does not say in time."""
        try:
            return await asyncio.wait_for(self.of_order(order_id), SOON_SECONDS)
        except (ApiAway, TimeoutError):
            return NONE

    def _by_chance(self, order: dict[str, object]) -> frozenset[str]:
        if self._seed is None:
            return NONE
        identity = [order.get(name) for name in ("channel", "source", "order_ref")]
        dice = random.Random(f"{self._seed}:{identity}")
        return frozenset([dice.choice(BY_CHANCE)]) if dice.random() < CHANCE else NONE

    def _remember(self, order_id: str, scenarios: frozenset[str]) -> frozenset[str]:
        self._known[order_id] = scenarios
        if len(self._known) > CACHED:
            self._known.popitem(last=False)
        return scenarios
