"""Draws ``docs/lifecycle.md`` from the transition tables: run ``python docs/generate_lifecycle.py`` after changing one."""

import sys
from enum import StrEnum
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from domain.lifecycle import TABLES, Table  # noqa: E402 - found by way of the line above

HEAD = """\
# Lifecycles

Generated from the tables in `domain/lifecycle.py` by `python docs/generate_lifecycle.py`; a test keeps it true.

States are derived from units, money and outcome by pure functions and never set, so nothing can be put into a state that
its facts do not carry. One message can pass through several states: a late pick lets the packing and the hand-over follow
that were waiting for it. What is marked *later* is promised by the glossary, and nothing leads there yet.
"""

NOTES = {
    "Order": "What *we* did. Attention cases and holds lie over it; a carrier's status is data beside it.",
    "Fulfillment": "The part of the order that one location serves. Of several parcels the least advanced live unit counts.",
    "Parcel": "One box with one label.",
    "Payment": "One means of payment, over all its holds.",
}


def render() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(_section(name, table) for name, table in TABLES.items())])


def _section(name: str, table: Table) -> str:
    moves = [(source, target, why) for source, targets in table.items() for target, why in targets.items()]
    ends = [state for state, targets in table.items() if state is not None and not targets]
    drawn = [
        *(f"    {_name(s)} --> {_name(target)}{' : later' if why.later else ''}" for s, target, why in moves),
        *(f"    {_name(state)} --> [*]" for state in ends),
    ]
    rows = [
        f"| {_word(source)} | {_word(target)} | {why.text}{' *(later)*' if why.later else ''} |"
        for source, target, why in moves
    ]
    return "\n".join(
        [
            f"## {name}\n",
            f"{NOTES[name]}\n",
            "```mermaid",
            "stateDiagram-v2",
            *drawn,
            "```\n",
            "| from | to | because |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _name(state: StrEnum | None) -> str:
    return "[*]" if state is None else state.value


def _word(state: StrEnum | None) -> str:
    return "" if state is None else f"`{state.value}`"


if __name__ == "__main__":
    (HERE / "lifecycle.md").write_text(render())
