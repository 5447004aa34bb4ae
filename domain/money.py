"""Integer money: splitting without losing a minor unit, and what a run of a line's units is worth; no currency lookup."""

from collections.abc import Sequence


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Split *total* over *weights* without losing a minor unit.

    Largest remainder (Hamilton's method); ties go to the earlier position, so every run agrees.

    Args:
        total: minor units, any sign.
        weights: shape (n,), n >= 1, non-negative, not all zero.

    Returns:
        shape (n,), minor units, summing to *total*.

    Raises:
        ValueError: *weights* is empty, negative somewhere, or sums to zero.
    """
    if any(weight < 0 for weight in weights):
        raise ValueError("a weight is negative")
    whole = sum(weights)
    if whole == 0:
        raise ValueError("the weights sum to zero")
    sign = -1 if total < 0 else 1
    exact = [abs(total) * weight for weight in weights]
    shares = [part // whole for part in exact]
    by_remainder = sorted(range(len(weights)), key=lambda position: (-(exact[position] % whole), position))
    for position in by_remainder[: abs(total) - sum(shares)]:
        shares[position] += 1
    return [sign * share for share in shares]


def run_value(total: int, quantity: int, *, first: int, count: int) -> int:
    """What units *first* .. *first + count - 1* of a line of *quantity* units worth *total* are worth, in minor units.

    The same as summing those places of ``split(total, [1] * quantity)``, without building it, so consecutive runs add up
    exactly to *total*.

    Raises:
        ValueError: the run does not lie within the line.
    """
    if first < 0 or count < 0 or first + count > quantity:
        raise ValueError(f"run {first}+{count} is outside a line of {quantity}")
    if quantity == 0:
        return 0
    sign = -1 if total < 0 else 1
    base, extra = divmod(abs(total), quantity)
    return sign * (count * base + min(first + count, extra) - min(first, extra))


def overlap(left: tuple[int, int], right: tuple[int, int]) -> int:
    """How much of the half-open ranges *left* and *right* coincides, in minor units; 0 when they do not meet."""
    return max(0, min(left[1], right[1]) - max(left[0], right[0]))
