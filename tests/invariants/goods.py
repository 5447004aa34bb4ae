"""What must be true of goods and labels: the stock ledger adds up at every step, a parcel has one live label at most."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import groupby

from tests.invariants.books import LEFT, Books, Finding, Row, count, parts

# What one unit of a movement adds to on_hand, reserved, unavailable: the checker's own table, not the program's.
DELTAS: Mapping[str, tuple[int, int, int]] = {
    "received": (1, 0, 0),
    "reserved": (0, 1, 0),
    "unreserved": (0, -1, 0),
    "shipped": (-1, -1, 0),
    "adjusted": (1, 0, 0),
    "counted": (1, 0, 0),
    "restocked": (1, 0, 0),
    "quarantined": (0, 0, 1),
    "scrapped": (-1, 0, -1),
}

Place = tuple[str, str]


def the_stock_ledger_adds_up(books: Books) -> Iterator[Finding]:
    """Invariant 4: at every prefix of the ledger, and at its end."""
    by_place: dict[Place, list[Row]] = defaultdict(list)
    for movement in books.movements:
        by_place[movement["location_id"], movement["sku"]].append(movement)
    rows = {(row["location_id"], row["sku"]): row for row in books.stock}
    promised = Counter[Place]()
    for reservation in books.reservations:
        promised[reservation["location_id"], reservation["sku"]] += reservation["quantity"]
    for place in sorted({*by_place, *rows, *promised}):
        figures = (0, 0, 0)
        # The movements of one cause are one booking.
        for cause, together in groupby(by_place[place], key=lambda movement: str(movement["cause"])):
            for movement in together:
                figures = _after(figures, movement)
            yield from _is_possible(place, figures, after=cause)
        yield from _is_the_row(place, figures, rows.get(place), promised[place])


def _after(figures: tuple[int, int, int], movement: Row) -> tuple[int, int, int]:
    delta, quantity = DELTAS[movement["kind"]], movement["quantity"]
    on_hand, reserved, unavailable = (figure + one * quantity for figure, one in zip(figures, delta, strict=True))
    return on_hand, reserved, unavailable


def _is_possible(place: Place, figures: tuple[int, int, int], *, after: str) -> Iterator[Finding]:
    on_hand, reserved, unavailable = figures
    if min(figures) < 0 or reserved + unavailable > on_hand:
        yield f"{place} after {after}: {on_hand} on hand, {reserved} reserved, {unavailable} unavailable"


def _is_the_row(place: Place, figures: tuple[int, int, int], row: Row | None, promised: int) -> Iterator[Finding]:
    stored = (0, 0, 0) if row is None else (row["on_hand"], row["reserved"], row["unavailable"])
    if stored != figures:
        yield f"{place}: the row says {stored}, its movements add up to {figures}"
    if stored[1] != promised:
        yield f"{place}: {stored[1]} reserved, the live reservations are {promised}"


def what_left_was_shipped(books: Books) -> Iterator[Finding]:
    """Invariant 6, goods: per order and sku, shipped from stock is what left, and no more than was ordered."""
    shipped = Counter[tuple[str, str]]()
    for movement in books.movements:
        if movement["kind"] == "shipped":
            shipped[movement["cause"].split("/", 1)[0], movement["sku"]] += movement["quantity"]
    for order in books.orders:
        ordered, left = Counter[str](), Counter[str]()
        for line in parts(order, "lines"):
            ordered[line["sku"]] += line["quantity"]
            left[line["sku"]] += count(order, LEFT, line_id=line["line_id"])
        for sku in ordered:
            moved = shipped[order["order_id"], sku]
            if moved != left[sku] or moved > ordered[sku]:
                yield f"{order['order_id']} {sku}: {ordered[sku]} ordered, {left[sku]} left, {moved} shipped"


def every_parcel_has_one_live_label_at_most(books: Books) -> Iterator[Finding]:
    """Invariant 6, labels: bought is what parcels bear and what was voided; both sides agree key by key."""
    for order in books.orders:
        order_id = order["order_id"]
        bought = books.of_order(order_id, "label")
        voided = {entry["reference"] for entry in books.of_order(order_id, "label_void")}
        live = Counter(entry["key"].split(":")[2] for entry in bought if entry["reference"] not in voided)
        wanted = Counter(
            parcel["parcel_id"]
            for parcel in parts(order, "parcels")
            if parcel.get("tracking_number") and not parcel.get("own_label") and not parcel.get("label_voided")
        )
        if live != wanted:
            yield f"{order_id}: live labels {dict(live)}, parcels that bear one {dict(wanted)}"
        if voided - {entry["reference"] for entry in bought}:
            yield f"{order_id}: a label was voided that was never bought"
    yield from _label_operations_agree(books)


def _label_operations_agree(books: Books) -> Iterator[Finding]:
    ours = {order["order_id"] for order in books.orders}
    for kind in ("label", "label_void"):
        done = {o["key"] for o in books.operations if o["kind"] == kind and o["state"] == "done"}
        seen = {e["key"] for e in books.entries if e["kind"] == kind}
        yield from (f"we have {kind} {key}, the world has not" for key in sorted(done - seen))
        theirs = sorted(key for key in seen - done if key.split(":", 1)[0] in ours)
        yield from (f"the world has {kind} {key}, we have not" for key in theirs)
