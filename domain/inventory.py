"""Stock rules: what each movement does to a stock row, and what a short pick means for it; no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.vocabulary import MovementKind, ShortReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """What one unit of a movement adds to each figure of a stock row."""

    on_hand: int = 0
    reserved: int = 0
    unavailable: int = 0


DELTAS: Mapping[MovementKind, Delta] = {
    MovementKind.RECEIVED: Delta(on_hand=1),
    MovementKind.RESERVED: Delta(reserved=1),
    MovementKind.UNRESERVED: Delta(reserved=-1),
    MovementKind.SHIPPED: Delta(on_hand=-1, reserved=-1),
    MovementKind.ADJUSTED: Delta(on_hand=1),
    MovementKind.COUNTED: Delta(on_hand=1),
    MovementKind.RESTOCKED: Delta(on_hand=1),
    MovementKind.QUARANTINED: Delta(unavailable=1),
    MovementKind.SCRAPPED: Delta(on_hand=-1, unavailable=-1),
}

SHORT_EFFECTS: Mapping[ShortReason, tuple[tuple[MovementKind, int], ...]] = {
    ShortReason.NOT_IN_STOCK: ((MovementKind.UNRESERVED, 1), (MovementKind.ADJUSTED, -1)),
    ShortReason.MISMATCH: ((MovementKind.UNRESERVED, 1), (MovementKind.ADJUSTED, -1)),
    ShortReason.DAMAGE: ((MovementKind.UNRESERVED, 1), (MovementKind.QUARANTINED, 1)),
    ShortReason.CAPACITY: ((MovementKind.UNRESERVED, 1),),
    ShortReason.OTHER: ((MovementKind.UNRESERVED, 1),),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StockChange:
    """One movement of one sku at one location; *quantity* is signed as the ledger shows it."""

    kind: MovementKind
    location_id: str
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StockLevel:
    """One stock row."""

    location_id: str
    sku: str
    on_hand: int
    reserved: int
    unavailable: int
    safety_stock: int = 0

    @property
    def available(self) -> int:
        """Units that may still be promised; negative when the safety stock is already promised."""
        return self.on_hand - self.reserved - self.unavailable - self.safety_stock
