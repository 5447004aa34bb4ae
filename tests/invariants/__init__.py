"""The checker: whether a running stack keeps its promises, judged by our rows, the world's ledger and the histories."""

from collections.abc import Callable, Collection, Iterable

from tests.fixtures.shop import Shop
from tests.invariants.books import Books, Finding
from tests.invariants.goods import (
    every_parcel_has_one_live_label_at_most,
    the_stock_ledger_adds_up,
    what_left_was_shipped,
)
from tests.invariants.histories import every_history_replays, nothing_personal_is_told
from tests.invariants.money import (
    both_ledgers_agree,
    captured_is_what_left,
    each_charge_is_made_once,
    goods_leave_only_against_held_money,
    nothing_is_held_for_nothing,
)
from tests.invariants.orders import (
    every_accepted_order_has_one_row_and_one_workflow,
    every_open_order_waits_for_somebody,
    every_timeline_is_told_without_gaps,
    every_unit_is_in_one_bucket,
    the_shop_heard_of_every_step,
)
from tests.invariants.reading import read_books
from tests.invariants.settling import settle

__all__ = ["INVARIANTS", "check", "judge", "read_books", "settle"]

INVARIANTS: tuple[Callable[[Books], Iterable[Finding]], ...] = (
    every_accepted_order_has_one_row_and_one_workflow,
    captured_is_what_left,
    each_charge_is_made_once,
    nothing_is_held_for_nothing,
    the_stock_ledger_adds_up,
    every_unit_is_in_one_bucket,
    what_left_was_shipped,
    every_parcel_has_one_live_label_at_most,
    goods_leave_only_against_held_money,
    every_timeline_is_told_without_gaps,
    the_shop_heard_of_every_step,
    every_open_order_waits_for_somebody,
    every_history_replays,
    nothing_personal_is_told,
    both_ledgers_agree,
)


async def check(shop: Shop, order_ids: Collection[str] | None = None) -> list[Finding]:
    """What is wrong with the stack once it has settled; empty when nothing is.

    Args:
        order_ids: the orders whose rows and histories are looked at; every order when left out. Stock and the effects in
            the outside world are always judged whole.
    """
    await settle(shop, order_ids)
    return judge(await read_books(shop, order_ids))


def judge(books: Books) -> list[Finding]:
    """What every invariant finds in *books*, each finding with the invariant's name."""
    return [f"{invariant.__name__}: {finding}" for invariant in INVARIANTS for finding in invariant(books)]
