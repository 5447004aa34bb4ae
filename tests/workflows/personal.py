"""What of a person stands in a history: every payload is read, wherever it hangs."""

import json
from collections.abc import Iterator

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHistory

from tests.workflows.shop import CANARY

# The name and street of a shop's customer, where they live, and how they pay.
WORDS = (CANARY, "LS1 4DY", "pm_card_visa")


def personal_words(history: WorkflowHistory) -> list[str]:
    """Which of ``WORDS`` stand anywhere in *history*."""
    events = json.dumps([MessageToDict(event) for event in history.events])
    payloads = [payload.data.decode(errors="replace") for event in history.events for payload in _payloads(event)]
    everything = "\n".join([events, *payloads]).lower()
    return [word for word in WORDS if word.lower() in everything]


def _payloads(message: Message) -> Iterator[Payload]:
    """Every payload anywhere in *message*."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            parts = list(value.values())
        else:
            parts = [value] if isinstance(value, Message) else list(value)
        for part in parts:
            if isinstance(part, Message):
                yield from _payloads(part)
