"""One driver for both sides of a comparison: lanes that take orders through their eight facts, each told when its turn is."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

# The version after which each of the eight facts is told: accepted, picked, packed (then the label is bought), handed over
# (then the money is taken), picked up, in transit, out for delivery, delivered.
TELL_AT = (2, 3, 4, 6, 8, 9, 10, 11)
END_AT = 12
_TICK = 0.02
_STUCK_AFTER = 60.0


class Side(Protocol):
    """What is driven."""

    async def begin(self) -> str:
        """Start one more order; its name."""
        ...

    async def tell(self, order: str, place: int) -> None:
        """Tell the order's fact at *place* of the eight."""
        ...

    async def versions(self, orders: Sequence[str]) -> Mapping[str, int]:
        """How many messages each order has applied and written."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one round took."""

    orders: Sequence[str]
    seconds: float

    @property
    def per_second(self) -> float:
        """Orders from their start to their end, per second."""
        return len(self.orders) / self.seconds


class _Progress:
    """Looks at every tick how far the open orders are, and wakes the lanes that wait for it."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._wanted: dict[str, tuple[int, asyncio.Future[None]]] = {}

    async def reaches(self, order: str, version: int) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wanted[order] = (version, future)
        try:
            await asyncio.wait_for(future, _STUCK_AFTER)
        except TimeoutError:
            at = (await self._side.versions([order])).get(order, 0)
            raise TimeoutError(f"{order} stands at {at} of {version} for {_STUCK_AFTER:g} s") from None

    async def look(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            if not self._wanted:
                continue
            found = await self._side.versions(list(self._wanted))
            for order, (version, future) in list(self._wanted.items()):
                if found.get(order, 0) >= version:
                    del self._wanted[order]
                    if not future.done():
                        future.set_result(None)


async def drive(side: Side, *, orders: int, lanes: int) -> Run:
    """Take *orders* through their whole story, *lanes* at a time.

    Raises:
        TimeoutError: an order stood still for a minute.
    """
    progress = _Progress(side)
    left = iter(range(orders))
    done: list[str] = []

    async def lane() -> None:
        for _ in left:
            order = await side.begin()
            for place, version in enumerate(TELL_AT):
                await progress.reaches(order, version)
                await side.tell(order, place)
            await progress.reaches(order, END_AT)
            done.append(order)

    looking = asyncio.create_task(progress.look())
    began = time.perf_counter()
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(lanes):
                group.create_task(lane())
    finally:
        looking.cancel()
    return Run(orders=done, seconds=time.perf_counter() - began)
