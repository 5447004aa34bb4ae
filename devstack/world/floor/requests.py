"""What the floor answers when it is asked to stop: yes while the goods are in the house, no once they are on the lorry."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson

from devstack.world.config import WorldConfig
from devstack.world.control import Control
from devstack.world.deliveries import Deliveries, Job
from devstack.world.floor.story import HELD_SECONDS, WORKER
from devstack.world.outbound import Outbound
from devstack.world.scenarios import Scenarios
from devstack.world.store import Store

JOB = "floor_request"
ANSWER_SECONDS = 0.5
AGAIN_SECONDS = 0.2


class Requests:
    """Answers each request once; `requests_ignored` and `requests_refused` are the scenarios for the other cases."""

    def __init__(
        self,
        *,
        store: Store,
        config: WorldConfig,
        control: Control,
        deliveries: Deliveries,
        outbound: Outbound | None,
        scenarios: Scenarios,
    ) -> None:
        self._store = store
        self._config = config
        self._control = control
        self._deliveries = deliveries
        self._outbound = outbound
        self._scenarios = scenarios
        deliveries.handle(JOB, self.answer, gate=control.running)

    def hear(self, order_id: str, request: Mapping[str, Any]) -> None:
        """A request was sent, or is withdrawn: in this transaction, once each."""
        withdrawn = bool(request.get("withdrawn"))
        mark = f"{request['request_id']}:{'withdrawn' if withdrawn else 'asked'}"
        if self._config.hands_off or not self._store.mark(f"request:{mark}"):
            return
        body = {
            "order": order_id,
            "request": request["request_id"],
            "kind": request["kind"],
            "fulfillment": request["fulfillment_id"],
            "lines": request.get("lines") or [],
            "withdrawn": withdrawn,
        }
        due_at = time.time() + self._control.seconds(ANSWER_SECONDS)
        self._deliveries.plan(Job(id=f"request:{mark}", kind=JOB, due_at=due_at, body=body))

    async def answer(self, job: Job) -> Job | None:
        """Do what is asked, if it still can be done, and say so."""
        if self._outbound is None:
            return None
        scenarios = await self._scenarios.of_order(job.body["order"])
        if "requests_ignored" in scenarios:
            return None
        story_id = f"floor:{job.body['fulfillment']}"
        story = self._deliveries.waiting(story_id)
        if story is None and self._deliveries.is_open(story_id):
            return job.then(AGAIN_SECONDS)  # A worker has it in hand right now.
        if job.body["withdrawn"]:
            if story is not None and story.body.get("held"):
                self._deliveries.change(replace(story, due_at=time.time(), body=story.body | {"held": False}))
            return None
        refused = "not_now" if "requests_refused" in scenarios else self._obey(job, story)
        await self._say(job, refused)
        return None

    def _obey(self, job: Job, story: Job | None) -> str | None:
        """Why it cannot be done any more; None when it is done."""
        if story is None or "handed_over" in _told(story):
            return "already_loaded"
        if job.body["kind"] == "hold":
            self._deliveries.change(replace(story, due_at=time.time() + HELD_SECONDS, body=story.body | {"held": True}))
        if job.body["kind"] != "cancel":
            return None
        asked = {line["line_id"]: line["quantity"] for line in job.body["lines"]}
        left = [line | {"quantity": line["quantity"] - asked.get(line["line_id"], 0)} for line in story.body["lines"]]
        left = [line for line in left if line["quantity"] > 0]
        if not left:
            self._deliveries.drop(story.id)
            return None
        if "picked" in _told(story):
            return "already_picked"
        body = {name: value for name, value in story.body.items() if name != "facts"} | {"lines": left}
        self._deliveries.change(replace(story, body=body))
        return None

    async def _say(self, job: Job, refused: str | None) -> None:
        assert self._outbound is not None  # looked at before
        fact: dict[str, Any] = {
            "event_id": f"{job.body['request']}-answer",
            "kind": "request_accepted" if refused is None else "request_refused",
            "request_id": job.body["request"],
            "occurred_at": datetime.now(UTC).isoformat(),
            "worker": WORKER,
        }
        if refused is not None:
            fact["reason"] = refused
        headers = {"authorization": f"Bearer {self._config.warehouse_key}"}
        await self._outbound.post(f"/v1/fulfillments/{job.body['fulfillment']}/events", headers, orjson.dumps(fact))


def _told(story: Job) -> set[str]:
    """The kinds of facts that the story has told."""
    facts: list[dict[str, Any]] = story.body.get("facts", [])
    return {fact["kind"] for fact in facts[: story.body.get("step", 0)]}
