"""Units into boxes that a carrier takes. Pure arithmetic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PACKAGING_G = 100
MAX_PARCEL_G = 20_000
LONGEST_MM = 1_200


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """One unit of a product."""

    weight_g: int = 500
    length_mm: int = 200
    width_mm: int = 150
    height_mm: int = 100


@dataclass(slots=True)
class Box:
    """Units by line, and what they weigh and need."""

    lines: dict[str, int] = field(default_factory=dict)
    weight_g: int = PACKAGING_G
    volume_mm3: int = 0
    length_mm: int = 1
    width_mm: int = 1

    def put(self, line_id: str, units: int, article: Article) -> None:
        """*units* more of a line."""
        self.lines[line_id] = self.lines.get(line_id, 0) + units
        self.weight_g += units * article.weight_g
        self.volume_mm3 += units * article.length_mm * article.width_mm * article.height_mm
        self.length_mm = max(self.length_mm, article.length_mm)
        self.width_mm = max(self.width_mm, article.width_mm)

    def fact(self, ref: str) -> dict[str, Any]:
        """The box as a parcel of a `packed` fact."""
        height = -(-self.volume_mm3 // (self.length_mm * self.width_mm))
        return {
            "parcel_ref": ref,
            "weight_g": self.weight_g,
            "length_mm": self.length_mm,
            "width_mm": self.width_mm,
            "height_mm": min(LONGEST_MM, max(1, height)),
            "lines": [{"line_id": line_id, "quantity": units} for line_id, units in self.lines.items()],
        }


def pack(
    picked: Sequence[tuple[str, int]], articles: Mapping[str, Article], *, boxes_at_least: int = 1
) -> list[dict[str, Any]]:
    """Parcels that hold every picked unit once: lines in order, a new box when the next unit is too heavy.

    Args:
        picked: line id and units, at least one unit in all.
        articles: by line id. A unit heavier than a box may be travels alone.
        boxes_at_least: units are spread over so many boxes even when fewer would do.
    """
    total = sum(units for _, units in picked)
    share = -(-total // boxes_at_least)
    boxes = [Box()]
    for line_id, units in picked:
        article = articles[line_id]
        left = units
        while left:
            fits = _fits(boxes[-1], article, share)
            if fits == 0:
                boxes.append(Box())
                continue
            put = min(left, fits)
            boxes[-1].put(line_id, put, article)
            left -= put
    return [box.fact(_letters(place)) for place, box in enumerate(boxes)]


def _fits(box: Box, article: Article, share: int) -> int:
    inside = sum(box.lines.values())
    by_weight = (MAX_PARCEL_G - box.weight_g) // max(1, article.weight_g)
    return max(min(by_weight, share - inside), 0 if inside else 1)


def _letters(place: int) -> str:
    letters = ""
    while place >= 0:
        letters = chr(ord("A") + place % 26) + letters
        place = place // 26 - 1
    return letters
