"""What must be true of money: taken is what left, never more than held, nothing held for nothing, both ledgers agree."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.invariants.books import (
    LEFT,
    NOT_LEFT,
    PROVIDER_METHODS,
    Books,
    Finding,
    Row,
    count,
    is_closed,
    open_cases,
    parts,
    portions,
)

Bounds = tuple[int, int]

UNPAID = frozenset({"capture_failed", "payment_unreachable", "unexpected_error"})
"""Cases that say why money is not where it belongs."""
LEDGER_KINDS = frozenset({"authorization", "capture", "void", "refund"})
HELD = frozenset({"authorized", "captured"})


def captured_is_what_left(books: Books) -> Iterator[Finding]:
    """Invariant 2, first half: per order, from the world's ledger."""
    for order in books.orders:
        captured = sum(entry["amount_minor"] for entry in books.of_order(order["order_id"], "capture"))
        low, high = _provider_share(order)
        if open_cases(order) & UNPAID:
            low = 0
        if not low <= captured <= high:
            yield f"{order['order_id']} ({order['state']}): captured {captured}, what left is worth {low} to {high}"
        yield from _shown_is_true(books, order, captured)


def _shown_is_true(books: Books, order: Row, captured: int) -> Iterator[Finding]:
    view = books.views.get(order["order_id"])
    if view is None:
        return
    shown = view["amounts"]["captured_minor"]
    if not _others(order) and shown != captured:
        yield f"{order['order_id']}: shows {shown} captured, the provider took {captured}"
    if is_closed(order) and _all_left(order) and not open_cases(order) and shown != _total(order):
        yield f"{order['order_id']}: everything left, {shown} of {_total(order)} counts as captured"


def _total(order: Row) -> int:
    total: int = sum(line["total_minor"] for line in parts(order, "lines"))
    return total + int(order["snapshot"].get("shipping_minor", 0))


def _others(order: Row) -> int:
    """What is paid otherwise than through the provider."""
    return sum(p["amount_minor"] for p in parts(order, "payments") if p["method"] not in PROVIDER_METHODS)


def _all_left(order: Row) -> bool:
    ordered: int = sum(line["quantity"] for line in parts(order, "lines"))
    return count(order, LEFT) == ordered


def _provider_share(order: Row) -> Bounds:
    """The least and the most that the provider must have taken by now.

    Units of a line differ by a minor unit at most, so what some of them are worth is known within bounds; a fulfillment
    of which something can still leave has not been charged.
    """
    others = _others(order)
    through_provider = _total(order) - others
    if not through_provider:
        return 0, 0
    if is_closed(order) and _all_left(order):
        return through_provider, through_provider
    low, high = _goods_that_left(order)
    shipping = int(order["snapshot"].get("shipping_minor", 0))
    if count(order, LEFT):
        high += shipping
        low += shipping if is_closed(order) else 0
    return max(0, low - others), min(high, through_provider)


def _goods_that_left(order: Row) -> Bounds:
    low = high = 0
    for fulfillment in parts(order, "fulfillments"):
        place = {"fulfillment_id": fulfillment["fulfillment_id"]}
        if count(order, NOT_LEFT, **place):
            continue
        for line in parts(order, "lines"):
            units = count(order, LEFT, line_id=line["line_id"], **place)
            each, more = divmod(line["total_minor"], line["quantity"])
            low += units * each
            high += units * each + min(units, more)
    return low, high


def each_charge_is_made_once(books: Books) -> Iterator[Finding]:
    """Invariant 2, second half: one effect per key, one capture per hold, never more than was held."""
    keys = Counter((e["kind"], e["key"]) for e in books.entries if e["kind"] != "pick_request")
    yield from (f"{kind} {key} happened {times} times" for (kind, key), times in keys.items() if times > 1)
    requests = Counter(e["reference"] for e in books.entries if e["kind"] == "pick_request")
    yield from (f"{ful} was asked of the warehouse {times} times" for ful, times in requests.items() if times > 1)
    held, taken = _by_reference(books, "authorization"), _by_reference(books, "capture")
    for reference, amounts in taken.items():
        if len(amounts) > 1:
            yield f"{reference} was captured {len(amounts)} times"
        if sum(amounts) > sum(held.get(reference, [])):
            yield f"{reference}: captured {sum(amounts)} of {sum(held.get(reference, []))} held"
    for reference, amounts in held.items():
        if len(amounts) > 1:
            yield f"{reference} was authorized {len(amounts)} times"


def _by_reference(books: Books, kind: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for entry in books.entries:
        if entry["kind"] == kind:
            found[entry["reference"]].append(entry["amount_minor"])
    return found


def nothing_is_held_for_nothing(books: Books) -> Iterator[Finding]:
    """Invariant 3: refunds within captures, and an order that has ended holds no money."""
    refunded = Counter[str]()
    captured = Counter[str]()
    for entry in books.entries:
        refunded[entry["order_id"]] += entry["amount_minor"] if entry["kind"] == "refund" else 0
        captured[entry["order_id"]] += entry["amount_minor"] if entry["kind"] == "capture" else 0
    for order_id, amount in refunded.items():
        if amount > captured[order_id]:
            yield f"{order_id}: {amount} refunded of {captured[order_id]} captured"
    for order in books.orders:
        if not is_closed(order):
            continue
        settled = {e["reference"] for e in books.of_order(order["order_id"], "capture", "void")}
        for entry in books.of_order(order["order_id"], "authorization"):
            if entry["reference"] not in settled:
                yield f"{order['order_id']} is {order['state']} and {entry['amount_minor']} are still held"
        if order["state"] in {"cancelled", "rejected"} and captured[order["order_id"]]:
            yield f"{order['order_id']} is {order['state']} and {captured[order['order_id']]} were taken"


def goods_leave_only_against_held_money(books: Books) -> Iterator[Finding]:
    """Invariant 7: by the world's clock and by our timeline."""
    for order in books.orders:
        held_at = {e["key"]: e["at"] for e in books.of_order(order["order_id"], "authorization")}
        # By our own clock: when it left is the reporter's word.
        left_at = {
            parcel["fulfillment_id"]: parcel["heard_at"]
            for parcel in reversed(parts(order, "parcels"))
            if parcel.get("heard_at")
        }
        for authorization in parts(order, "authorizations"):
            if authorization.get("state") == "voided":
                continue  # Given up: another one took its place, or nothing was to be taken.
            left = left_at.get(authorization["fulfillment_id"])
            key = f"{order['order_id']}:authorize:{authorization['authorization_id']}:1"
            if left is not None and not (key in held_at and _moment(held_at[key]) <= _moment(left)):
                yield f"{authorization['fulfillment_id']} left at {left}, its money was held at {held_at.get(key)}"
        yield from _told_in_order(books, order)


def _told_in_order(books: Books, order: Row) -> Iterator[Finding]:
    told: dict[str, int] = {}
    for event in books.events.get(order["order_id"], ()):
        data = event["data"]
        if event["kind"] == "payment.authorized" and "fulfillment_id" in data:
            told.setdefault(data["fulfillment_id"], event["sequence"])
        if event["kind"] == "fulfillment.released" and any(
            authorization["fulfillment_id"] == data["fulfillment_id"] and data["fulfillment_id"] not in told
            for authorization in parts(order, "authorizations")
        ):
            yield f"{data['fulfillment_id']} was released before its money was held"


def _moment(text: str) -> str:
    return text.replace("Z", "+00:00")


def both_ledgers_agree(books: Books) -> Iterator[Finding]:
    """Invariant 13: entry by entry, key by key, and nothing is still being sent."""
    entries = {(e["kind"], e["key"]): e for e in books.entries if e["kind"] in LEDGER_KINDS}
    explained: set[tuple[str, str]] = set()
    for operation in books.operations:
        if operation["state"] == "sending":
            yield f"{operation['key']} is still being sent"
        elif operation["kind"] in LEDGER_KINDS:
            yield from _agrees(operation, entries, explained)
    ours = {order["order_id"] for order in books.orders}
    for (kind, key), entry in entries.items():
        if (kind, key) not in explained and entry["order_id"] in ours:
            yield f"the world has {kind} {key} over {entry['amount_minor']}, we have not"
    yield from _orders_agree(books, entries)


def _agrees(operation: Row, entries: dict[tuple[str, str], Row], explained: set[tuple[str, str]]) -> Iterator[Finding]:
    kind, key = operation["kind"], operation["key"]
    found = entries.get((kind, key)) or entries.get((kind, f"{key}:intent"))
    if found is None:
        if _must_be_there(operation, entries):
            yield f"we have {kind} {key} as {operation['state']}, the world has not"
        return
    explained.add((kind, found["key"]))
    if operation["state"] == "failed":
        yield f"we have {kind} {key} as failed, the world did it"
    amounts = (operation["amount_minor"], operation["currency"])
    if kind != "void" and amounts != (found["amount_minor"], found["currency"]):
        yield f"{kind} {key} is {amounts} with us, {(found['amount_minor'], found['currency'])} in the world"
    if operation["order_id"] != found["order_id"]:
        yield f"{kind} {key} belongs to {operation['order_id']} with us, to {found['order_id']} in the world"


def _must_be_there(operation: Row, entries: dict[tuple[str, str], Row]) -> bool:
    if operation["state"] != "done":
        return False
    if operation["kind"] == "authorization":
        # One that asked the customer to act is a hold only once he has; `_orders_agree` looks whether he had.
        return (operation["result"] or {}).get("kind") == "PaymentAuthorized"
    if operation["kind"] == "void":
        # What the provider had let go of by itself cannot be given back again.
        held = [e for (kind, _), e in entries.items() if kind == "authorization"]
        return any(e["reference"] == operation["reference"] for e in held)
    return True


def _orders_agree(books: Books, entries: dict[tuple[str, str], Row]) -> Iterator[Finding]:
    """What each order believes of its holds is what the world has."""
    for order in books.orders:
        for authorization in parts(order, "authorizations"):
            key = f"{order['order_id']}:authorize:{authorization['authorization_id']}:1"
            state, entry = authorization.get("state", "pending"), entries.get(("authorization", key))
            if state in HELD and (entry is None or entry["amount_minor"] != authorization["amount_minor"]):
                yield f"{key} is {state} over {authorization['amount_minor']}, the world has {entry}"
            if state in {"declined", "action_required", "pending"} and entry is not None and is_closed(order):
                yield f"{key} is {state}, the world holds {entry['amount_minor']}"
            capture = entries.get(("capture", f"{order['order_id']}:capture:{authorization['authorization_id']}:1"))
            taken = 0 if capture is None else capture["amount_minor"]
            if taken != authorization.get("captured_minor", 0):
                yield f"{key}: {authorization.get('captured_minor', 0)} captured with us, {taken} in the world"
        if not portions(order):
            yield f"{order['order_id']} has no units"
