"""Writes the golden files: run ``python -m tests.contracts.record`` after adding a field, and look at the difference."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Any

from runtime.wire import WireConverter
from tests.contracts.samples import WIRE, full, least
from tests.contracts.shape import parts_of, shape, words

GOLDEN = Path(__file__).parent / "golden"
CONVERTER = WireConverter()


def on_the_wire(value: Any) -> Any:
    """*value* as JSON, as it travels."""
    payload = CONVERTER.to_payload(value)
    assert payload is not None
    return json.loads(payload.data)


def golden(kind: type) -> dict[str, Any]:
    """What the golden file of *kind* must hold."""
    return {"full": on_the_wire(full(kind)), "least": on_the_wire(least(kind))}


def shapes() -> dict[str, Any]:
    """Every dataclass and closed set of words that travels, by name."""
    found = {part for kind in WIRE for part in parts_of(kind)}
    return {
        part.__name__: words(part) if issubclass(part, StrEnum) else shape(part)
        for part in sorted(found, key=lambda part: part.__name__)
    }


def main() -> None:
    """Write all files anew."""
    GOLDEN.mkdir(exist_ok=True)
    for kind in WIRE:
        _write(kind.__name__, golden(kind))
    _write("shapes", shapes())


def _write(name: str, content: Any) -> None:
    (GOLDEN / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
