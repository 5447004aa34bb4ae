"""What a warehouse will report about one fulfillment under its scenarios: the facts in order. Pure."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from devstack.world.floor.packing import Article, pack

Fact = dict[str, Any]
# Seconds, at speed 1, before each fact.
PAUSES: Mapping[str, float] = {
    "accepted": 0.3,
    "refused": 0.3,
    "short_picked": 0.4,
    "picked": 0.6,
    "packed": 0.6,
    "handed_over": 0.4,
}
# A fact holds 200 parcels at most; lorry loads are told in several.
PARCELS_A_FACT = 100
SHORT = {"short_pick": "mismatch", "short_pick_damage": "damage", "short_pick_all": "not_in_stock"}


def plan_facts(
    fulfillment_id: str,
    lines: Sequence[Mapping[str, Any]],
    articles: Mapping[str, Article],
    scenarios: Collection[str],
) -> list[Fact]:
    """The facts in the order in which they are sent, each with its event id; empty when the floor says nothing.

    Args:
        lines: the fulfillment's lines, each with `line_id` and `quantity`.
        articles: by line id.
    """
    if "floor_silent" in scenarios:
        return []
    if "refuse" in scenarios:
        return _numbered(fulfillment_id, [{"kind": "refused", "reason": "capacity"}])
    facts: list[Fact] = [] if "no_accept" in scenarios else [{"kind": "accepted"}]
    missing = _missing(lines, scenarios)
    if missing:
        facts.append({"kind": "short_picked", "lines": list(missing.values())})
    picked = [
        (line["line_id"], line["quantity"] - missing.get(line["line_id"], {"missing": 0})["missing"]) for line in lines
    ]
    picked = [(line_id, units) for line_id, units in picked if units > 0]
    if picked:
        parcels = pack(picked, articles, boxes_at_least=2 if "two_parcels" in scenarios else 1)
        loads = [parcels[at : at + PARCELS_A_FACT] for at in range(0, len(parcels), PARCELS_A_FACT)]
        facts.append(
            {"kind": "picked", "lines": [{"line_id": line_id, "quantity": units} for line_id, units in picked]}
        )
        facts += [{"kind": "packed", "parcels": load} for load in loads]
        facts += [{"kind": "handed_over", "parcel_refs": [parcel["parcel_ref"] for parcel in load]} for load in loads]
    numbered = _numbered(fulfillment_id, facts)
    return numbered[::-1] if "shuffled" in scenarios else numbered


def parcel_refs(facts: Sequence[Fact]) -> list[str]:
    """The parcels that *facts* hand over."""
    return [ref for fact in facts for ref in fact.get("parcel_refs", [])]


def without_parcels(facts: Sequence[Fact], live: Collection[str]) -> list[Fact]:
    """*facts* whose hand-overs name only parcels in *live*, without those that name none."""
    kept = [
        fact | {"parcel_refs": [ref for ref in fact["parcel_refs"] if ref in live]} if "parcel_refs" in fact else fact
        for fact in facts
    ]
    return [fact for fact in kept if fact.get("parcel_refs") != []]


def _missing(lines: Sequence[Mapping[str, Any]], scenarios: Collection[str]) -> dict[str, dict[str, Any]]:
    wanted = next((name for name in SHORT if name in scenarios), None)
    if wanted is None or not lines:
        return {}
    reason = SHORT[wanted]
    short = lines if wanted == "short_pick_all" else lines[:1]
    return {
        line["line_id"]: {
            "line_id": line["line_id"],
            "missing": line["quantity"] if wanted == "short_pick_all" else 1,
            "reason": reason,
        }
        for line in short
    }


def _numbered(fulfillment_id: str, facts: list[Fact]) -> list[Fact]:
    return [
        {"event_id": f"{fulfillment_id}-{fact['kind']}-{number}", **fact} for number, fact in enumerate(facts, start=1)
    ]
