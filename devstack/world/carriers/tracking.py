"""What happens to a parcel after the carrier has it: a story of scans, told by signed webhooks until they are taken."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
from standardwebhooks.webhooks import Webhook

from devstack.world.carriers.labels import Labels
from devstack.world.carriers.paper import proof_of_delivery
from devstack.world.control import Control
from devstack.world.deliveries import Deliveries, Job, again
from devstack.world.outbound import ApiRefused, Outbound

JOB = "carrier_story"


@dataclass(frozen=True, slots=True)
class Scan:
    """One status, *pause* seconds (at speed 1) after the one before, and what is said with it."""

    status: str
    pause: float
    party: str | None = None
    reason: str | None = None
    later_days: int | None = None


PICKED_UP = Scan("picked_up", 0.4)
IN_TRANSIT = Scan("in_transit", 0.6)
OUT = Scan("out_for_delivery", 0.8)
DELIVERED = Scan("delivered", 0.8)
FAILED = Scan("delivery_failed", 0.8, "consignee", "nobody_home")
DELAYED = Scan("delivery_delayed", 0.6, "carrier", "missed_connection", 2)
SENT_BACK = Scan("return_to_sender", 0.8, "consignee", "refused")
STORIES: dict[str, tuple[Scan, ...]] = {
    "carrier_silent": (),
    "lost": (PICKED_UP, IN_TRANSIT, Scan("lost", 0.8, "carrier", "not_found")),
    "return_to_sender": (PICKED_UP, IN_TRANSIT, OUT, SENT_BACK, Scan("returned", 0.8)),
    "delivery_failed": (PICKED_UP, IN_TRANSIT, OUT, FAILED, OUT, DELIVERED),
    "delayed": (PICKED_UP, IN_TRANSIT, DELAYED, OUT, DELIVERED),
    "late_scan": (PICKED_UP, IN_TRANSIT, OUT, DELIVERED, Scan("in_transit", 0.4)),
    "no_pickup_scan": (IN_TRANSIT, OUT, DELIVERED),
}
USUAL = (PICKED_UP, IN_TRANSIT, OUT, DELIVERED)


def story_of(scenarios: Collection[str]) -> tuple[Scan, ...]:
    """The scans of a parcel under *scenarios*."""
    return next((scans for name, scans in STORIES.items() if name in scenarios), USUAL)


class Tracking:
    """Plays one story per label and posts each scan as an event."""

    def __init__(
        self,
        *,
        deliveries: Deliveries,
        outbound: Outbound | None,
        control: Control,
        labels: Labels,
        secrets: dict[str, str],
    ) -> None:
        self._deliveries = deliveries
        self._outbound = outbound
        self._control = control
        self._labels = labels
        self._signers = {name: Webhook(secret) for name, secret in secrets.items()}
        deliveries.handle(JOB, self.tell)

    def begin(self, label: dict[str, Any], scenarios: Collection[str]) -> None:
        """The carrier has the parcel; its story starts with this transaction, and only once."""
        scans = story_of(scenarios)
        if label["collected"]:
            return
        self._labels.collected(label)
        if not scans:
            return
        pause = self._control.seconds(scans[0].pause)
        body = {"label": label["id"], "carrier": label["carrier"], "scenarios": sorted(scenarios), "step": 0}
        shown = {name: label[name] for name in ("tracking_number", "estimated_on")}
        collect = label["shipment"].get("collect_minor")
        due_at = time.time() + pause
        job = Job(id=f"story:{label['id']}", kind=JOB, due_at=due_at, body=body | shown | {"collect": collect})
        self._deliveries.plan(job.then(pause, occurred_at=due_at))

    async def tell(self, job: Job) -> Job | None:
        """One scan is told; the next follows after its pause."""
        scans = story_of(job.body["scenarios"])
        step: int = job.body["step"]
        event = self._event(job, scans[step])
        try:
            for _ in range(2 if "duplicates" in job.body["scenarios"] else 1):
                await self._post(job.body["carrier"], event)
        except ApiRefused:
            return again(job)
        if step + 1 == len(scans):
            return None
        pause = self._control.seconds(scans[step + 1].pause)
        return job.then(pause, step=step + 1, occurred_at=time.time() + pause)

    def _event(self, job: Job, scan: Scan) -> dict[str, Any]:
        event: dict[str, Any] = {
            "event_id": f"{job.body['label']}-{job.body['step']}",
            "tracking_number": job.body["tracking_number"],
            "status": scan.status,
            "occurred_at": datetime.fromtimestamp(job.body["occurred_at"], UTC).isoformat(),
        }
        said = {"party": scan.party, "reason": scan.reason}
        event |= {name: value for name, value in said.items() if value is not None}
        if scan.later_days is not None:
            later = date.fromisoformat(job.body["estimated_on"]) + timedelta(days=scan.later_days)
            event["estimated_on"] = later.isoformat()
        if scan.status == "delivered":
            event["proof"] = proof_of_delivery()
            if job.body["collect"]:
                event["collected_minor"] = job.body["collect"]
        return event

    async def _post(self, carrier: str, event: dict[str, Any]) -> None:
        if self._outbound is None or carrier not in self._signers:
            return
        payload = orjson.dumps(event).decode()
        now = datetime.now(UTC)
        headers = {
            "webhook-id": event["event_id"],
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signers[carrier].sign(event["event_id"], now, payload),
        }
        await self._outbound.post(f"/v1/carriers/{carrier}/events", headers, payload.encode())
