"""One fulfillment on the floor, step by step: facts to our API, a wait for labels, the hand-over to the carriers."""

import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

import orjson
import structlog

from devstack.world.carriers.labels import Labels
from devstack.world.carriers.tariffs import TARIFFS, Offer
from devstack.world.carriers.tracking import Tracking
from devstack.world.config import WorldConfig
from devstack.world.control import Control
from devstack.world.deliveries import Deliveries, Job
from devstack.world.floor.facts import PAUSES, Fact, parcel_refs, plan_facts, without_parcels
from devstack.world.floor.packing import Article
from devstack.world.outbound import ApiRefused, Outbound
from devstack.world.scenarios import Scenarios
from devstack.world.store import Store

log = structlog.get_logger()
JOB = "floor_story"
FIRST_POLL_SECONDS = 1.5
# A label that the world itself sells ends the wait at once; the poll is for all other ways to get one.
LONGEST_POLL_SECONDS = 60.0
POLL_GROWTH = 3.0
LABEL_LEAD_SECONDS = 0.1
WORKER = "p-1"
# A story that was asked to stop looks again then, unless it is told to go on.
HELD_SECONDS = 3600.0
OVER = frozenset(("cancelled", "refused", "handed_over", "delivered", "undeliverable"))
LABELLED = frozenset(("labelled", "handed_over", "delivered"))
OWN_CARRIER = "swift"


class Floor:
    """Plays every released fulfillment to its hand-over."""

    def __init__(
        self,
        *,
        store: Store,
        config: WorldConfig,
        control: Control,
        deliveries: Deliveries,
        outbound: Outbound | None,
        scenarios: Scenarios,
        labels: Labels,
        tracking: Tracking,
    ) -> None:
        self._store = store
        self._config = config
        self._control = control
        self._deliveries = deliveries
        self._outbound = outbound
        self._scenarios = scenarios
        self._labels = labels
        self._tracking = tracking
        self._articles: dict[str, Article] = {}
        self._waiting: dict[str, set[str]] = {}
        deliveries.handle(JOB, self.go_on, gate=control.running)

    def begin(self, view: Mapping[str, Any]) -> None:
        """The story of a released fulfillment starts with this transaction, and only once."""
        id: str = view["fulfillment_id"]
        if self._config.hands_off or not self._store.mark(f"floor:{id}"):
            return
        lines = [{name: line[name] for name in ("line_id", "sku", "quantity")} for line in view["lines"]]
        country = (view.get("ship_to") or {}).get("country") or "GB"
        body = {"fulfillment": id, "order": view["order_id"], "country": country, "lines": lines}
        self._deliveries.plan(Job(id=f"floor:{id}", kind=JOB, due_at=time.time(), body=body))

    def label_bought(self, order_id: str) -> None:
        """A label of that order was printed: whoever waits for one looks soon."""
        for id in self._waiting.get(order_id, ()):
            # Polls begin anew: the label is at the door, even if the order is slow to say so.
            self._deliveries.hasten(id, LABEL_LEAD_SECONDS, polls=0)

    async def go_on(self, job: Job) -> Job | None:
        """The next step of a story; one that our API refuses ends there."""
        if self._outbound is None:
            return None
        if job.body.get("held"):
            return job.then(HELD_SECONDS)
        try:
            if "facts" not in job.body:
                return await self._open(job)
            if self._labels_are_due(job):
                return await self._look_for_labels(self._outbound, job)
            return await self._report(self._outbound, job)
        except ApiRefused as refused:
            log.warning("floor_story_refused", job=job.id, status=refused.status, code=refused.code)
            self._forget(job)
            return None

    async def _open(self, job: Job) -> Job | None:
        scenarios = await self._scenarios.of_order(job.body["order"])
        articles = {line["line_id"]: await self._article(line["sku"]) for line in job.body["lines"]}
        facts = plan_facts(job.body["fulfillment"], job.body["lines"], articles, scenarios)
        if not facts:
            return None
        if "own_label" in scenarios:
            self._label_ourselves(job, facts)
        following = {"facts": facts, "scenarios": sorted(scenarios), "step": 0, "labelled": "own_label" in scenarios}
        return job.then(self._pause(facts[0]), **following)

    async def _article(self, sku: str) -> Article:
        if sku not in self._articles and self._outbound is not None:
            try:
                product = await self._outbound.get(f"/v1/products/{quote(sku, safe='')}", self._config.api_key)
            except ApiRefused as refused:
                log.warning("product_not_read", sku=sku, status=refused.status, code=refused.code)
                product = {}
            known = {name: product[name] for name in Article.__slots__ if product.get(name)}
            self._articles[sku] = Article(**known)
        return self._articles[sku]

    def _label_ourselves(self, job: Job, facts: list[Fact]) -> None:
        """Every packed parcel gets a label that the warehouse bought without us."""
        tomorrow = date.today() + timedelta(days=1)
        offer = Offer(service="standard", price_minor=0, transit_days=1, estimated_on=tomorrow)
        place = {"name": "-", "lines": [], "city": "-", "country": job.body["country"]}
        parcels = [parcel for fact in facts for parcel in fact.get("parcels", [])]
        with self._store.transaction():
            for parcel in parcels:
                shipment = {
                    "reference": f"{job.body['fulfillment']}:{parcel['parcel_ref']}",
                    "order_id": job.body["order"],
                    "origin": place,
                    "destination": place,
                    "weight_g": parcel["weight_g"],
                    "currency": "GBP",
                }
                label = self._labels.make(TARIFFS[OWN_CARRIER], shipment, offer)
                parcel |= {"carrier": OWN_CARRIER, "tracking_number": label["tracking_number"]}

    @staticmethod
    def _labels_are_due(job: Job) -> bool:
        """Labels must be there before the hand-over is told; a floor that tells backwards looks at the end."""
        facts: list[Fact] = job.body["facts"]
        step: int = job.body["step"]
        if job.body["labelled"]:
            return False
        if "shuffled" in job.body["scenarios"]:
            return step == len(facts)
        return step < len(facts) and bool(facts[step]["kind"] == "handed_over")

    async def _look_for_labels(self, outbound: Outbound, job: Job) -> Job | None:
        self._waiting.setdefault(job.body["order"], set()).add(job.id)
        view = await outbound.get(f"/v1/fulfillments/{job.body['fulfillment']}", self._config.warehouse_key)
        parcels = [parcel for parcel in view["parcels"] if parcel["state"] != "cancelled"]
        packed = {parcel["parcel_ref"] for parcel in view["parcels"]}
        # A parcel told as handed over before its label was bought has that state, but no number yet.
        numbers = [parcel["tracking_number"] for parcel in parcels if parcel["state"] in LABELLED]
        numbers = [number for number in numbers if number]
        wanted = parcel_refs(job.body["facts"])
        if packed >= set(wanted) and len(numbers) == len(parcels):
            return self._labelled(job, [parcel["parcel_ref"] for parcel in parcels], numbers)
        if view["state"] in OVER and "shuffled" not in job.body["scenarios"]:
            self._forget(job)
            return None
        polls: int = job.body.get("polls", 0)
        pause = min(LONGEST_POLL_SECONDS, FIRST_POLL_SECONDS * POLL_GROWTH**polls)
        return job.then(pause, polls=polls + 1)

    def _labelled(self, job: Job, refs: list[str], numbers: list[str]) -> Job | None:
        self._forget(job)
        if not refs:
            return None
        if "shuffled" in job.body["scenarios"]:
            self._hand_over(job, numbers)
            return None
        facts = without_parcels(job.body["facts"], refs)
        pause = self._pause(facts[job.body["step"]])
        return job.then(pause, facts=facts, labelled=True, numbers=numbers)

    async def _report(self, outbound: Outbound, job: Job) -> Job | None:
        facts: list[Fact] = job.body["facts"]
        step: int = job.body["step"]
        fact = facts[step] | {"occurred_at": datetime.now(UTC).isoformat(), "worker": WORKER}
        payload = orjson.dumps(fact)
        headers = {"authorization": f"Bearer {self._config.warehouse_key}"}
        for _ in range(2 if "duplicates" in job.body["scenarios"] else 1):
            await outbound.post(f"/v1/fulfillments/{job.body['fulfillment']}/events", headers, payload)
        following = job.then(0, step=step + 1)
        if step + 1 < len(facts):
            if self._labels_are_due(following):
                return job.then(FIRST_POLL_SECONDS, step=step + 1, polls=0)
            return job.then(self._pause(facts[step + 1]), step=step + 1)
        if self._labels_are_due(following) and parcel_refs(facts):
            return following
        self._hand_over(job, job.body.get("numbers") or _own_numbers(facts))
        return None

    def _hand_over(self, job: Job, numbers: list[str]) -> None:
        with self._store.transaction():
            for number in numbers:
                label = self._labels.tracked(number)
                if label is not None:
                    self._tracking.begin(label, job.body["scenarios"])

    def _forget(self, job: Job) -> None:
        waiting = self._waiting.get(job.body["order"], set())
        waiting.discard(job.id)
        if not waiting:
            self._waiting.pop(job.body["order"], None)

    def _pause(self, fact: Fact) -> float:
        return self._control.seconds(PAUSES[fact["kind"]])


def _own_numbers(facts: list[Fact]) -> list[str]:
    parcels = [parcel for fact in facts for parcel in fact.get("parcels", [])]
    return [parcel["tracking_number"] for parcel in parcels if parcel.get("tracking_number")]
