"""How long the histories of finished workflows are, in events and bytes."""

import asyncio
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from temporalio.client import Client

_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Events and bytes per workflow over a sample; *kinds* counts the events of the median one by kind."""

    sample: int
    events_p50: int
    events_max: int
    bytes_p50: int
    bytes_max: int
    kinds: dict[str, int] = field(default_factory=dict)


async def lengths(client: Client, workflow_ids: Sequence[str], *, most: int = 300) -> Lengths:
    """The lengths of at most *most* of *workflow_ids*, evenly spread."""
    step = max(1, -(-len(workflow_ids) // most))
    gate = asyncio.Semaphore(_AT_ONCE)

    async def read(workflow_id: str) -> tuple[int, int, Counter[str]]:
        async with gate:
            history = await client.get_workflow_handle(workflow_id).fetch_history()
        kinds = Counter(
            (event.WhichOneof("attributes") or "").removesuffix("_event_attributes") for event in history.events
        )
        return len(history.events), sum(event.ByteSize() for event in history.events), kinds

    found = sorted(await asyncio.gather(*(read(name) for name in workflow_ids[::step])), key=lambda one: one[:2])
    events, sizes = [one[0] for one in found], [one[1] for one in found]
    return Lengths(
        sample=len(found),
        events_p50=int(statistics.median(events)),
        events_max=max(events),
        bytes_p50=int(statistics.median(sizes)),
        bytes_max=max(sizes),
        kinds=dict(sorted(found[len(found) // 2][2].items())),
    )
