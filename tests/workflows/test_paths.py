"""Every path of an order on a real engine: it rests where it should, replays, and holds no word of anybody's."""

import json
import os
from pathlib import Path as File

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHistory

from domain.orders import closed, order_state
from tests.db.placing import CANARIES, CANARY
from tests.replay.histories import replay, store
from tests.workflows.paths import OPEN, PATHS, Path
from tests.workflows.stage import Stage

RECORD = os.environ.get("DOORSTEP_RECORD_HISTORIES")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)
async def test_a_path_rests_where_it_should_and_replays(stage: Stage, path: Path):
    state, cases = PATHS[path]

    async with stage.worker():
        order_id = await path(stage)
        order = await stage.until(order_id, lambda order: closed(order) or path in OPEN)
        if path not in OPEN:
            assert await stage.result(order_id) == state

    runs = await stage.runs(order_id)
    if path in OPEN:
        await stage.handle(order_id).terminate("the test is over")
    assert order_state(order).value == state
    assert tuple(case.code for case in order.attention) == cases
    for run in runs:
        await replay(run)
        assert personal_words(run) == []
    if RECORD:
        store(File(RECORD), path.__name__, runs)


def personal_words(history: WorkflowHistory) -> list[str]:
    """What of a person stands in *history*, payloads read."""
    text = json.dumps([MessageToDict(event) for event in history.events])
    payloads = [
        payload.data.decode(errors="replace")
        for event in history.events
        for payload in _payloads(event)
    ]
    everything = "\n".join([text, *payloads]).lower()
    words = {CANARY, *(value.lower() for value in CANARIES.values()), "example.org", "ls1 4dy", "c-1"}
    return sorted(word for word in words if word in everything)


def _payloads(message: object) -> list[Payload]:
    """Every payload anywhere in a protobuf *message*."""
    assert isinstance(message, Message)
    if isinstance(message, Payload):
        return [message]
    found: list[Payload] = []
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        if field.message_type.GetOptions().map_entry:
            parts = list(value.values())
        else:
            parts = list(value) if field.is_repeated else [value]
        for part in parts:
            if isinstance(part, Message):
                found += _payloads(part)
    return found
