"""Every order in which facts and results can come, as a graph: paths that lead to the same value are walked once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain.life import apply
from domain.messages import Fact
from domain.orders import Order, order_state
from domain.payments import amounts
from domain.steps import next_steps
from domain.units import by_line
from tests.domain import making
from tests.domain.making import NOW
from tests.domain.rules import check_order


@dataclass(frozen=True)
class End:
    """What an order comes to, as far as anybody may notice."""

    state: str
    units: tuple[tuple[str, str, int], ...]
    parcels: tuple[tuple[str, str, bool], ...]
    money: object
    cases: tuple[str, ...]
    parked: int


def end(order: Order) -> End:
    """What *order* has come to."""
    return End(
        state=order_state(order).value,
        units=tuple(
            sorted(
                (line_id, portion.stage.value, quantity)
                for portion in order.portions
                for line_id, quantity in by_line((portion,), [portion.stage]).items()
            )
        ),
        parcels=tuple(sorted((p.parcel_ref, p.tracking_status.value, p.has_proof) for p in order.parcels)),
        money=amounts(order),
        cases=tuple(sorted(case.code for case in order.attention)),
        parked=len(order.parked),
    )


def ends(order: Order, facts: Sequence[Fact]) -> set[End]:
    """All ends that *order* can come to when *facts* come in every order and every wanted step is answered at any time.

    At every value on the way each fact that came before comes again, and must change nothing.
    """
    found: set[End] = set()
    seen: set[tuple[Order, frozenset[int]]] = set()
    todo: list[tuple[Order, frozenset[int]]] = [(order, frozenset())]
    while todo:
        value, told = todo.pop()
        if (_essence(value), told) in seen:
            continue
        seen.add((_essence(value), told))
        check_order(value)
        for place in told:
            assert apply(value, facts[place], NOW).order is value, "a repeated fact changed the order"
        steps = list(next_steps(value).values())
        for step in steps:
            todo.append((apply(value, making.done(value, step), NOW).order, told))
        for place in set(range(len(facts))) - told:
            todo.append((apply(value, facts[place], NOW).order, told | {place}))
        if len(told) == len(facts) and not steps:
            found.add(end(value))
    return found


def _essence(order: Order) -> Order:
    """*order* without what only says by which way it came here."""
    return replace(
        order,
        version=0,
        seen=(),
        recent=(),
        attention_count=0,
        decisions=(),
        portions=tuple(sorted(order.portions, key=repr)),
        parked=tuple(sorted(order.parked, key=lambda parked: parked.fact.id)),
    )
