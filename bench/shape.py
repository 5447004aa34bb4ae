"""The shape of an order's history that the bare workflow repeats: names, payload sizes, and the payload itself."""

from dataclasses import dataclass

WORKFLOW = "BareOrder"
FACT = "fact"
# Bytes of the payloads in the history of an order with two lines (2026-11-22): `make bench` prints both histories' sizes.
START_BYTES = 1050
FACT_BYTES = (120, 185, 120, 145, 145, 145, 150, 145)
RESERVED_BYTES = 470
CALLS = {"authorize": (230, 210), "label": (370, 475), "capture": (235, 135)}
CARD = "**fulfilling**\n" + "x" * 600
DUE_IN = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """As many bytes as an order's payload at this place has."""

    text: str


def text_of(length: int) -> Text:
    """A payload of *length* bytes."""
    return Text(text="x" * length)
