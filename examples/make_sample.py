"""Writes the sample of an invented shop: locations, products, stock and orders, the same bytes every time.

Everything is made up: the shop, its goods, the people and their streets. Mail goes to example.org; telephone numbers
are from the range that Ofcom keeps for drama (https://www.ofcom.org.uk, "telephone numbers for use in TV and radio
drama programmes"). Towns and postal codes exist, so that addresses pass validation.

    python examples/make_sample.py [FOLDER]
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Record = dict[str, Any]
SEED = "doorstep sample 1"

LOCATIONS: Sequence[Record] = (
    {
        "location_id": "SKIPTON",
        "name": "Skipton mill",
        "country": "GB",
        "postal_code": "BD23 1PT",
        "latitude": 53.962,
        "longitude": -2.017,
        "timezone": "Europe/London",
    },
    {
        "location_id": "UTRECHT",
        "name": "Utrecht canal store",
        "country": "NL",
        "postal_code": "3511 AB",
        "latitude": 52.091,
        "longitude": 5.115,
        "timezone": "Europe/Amsterdam",
    },
    {
        "location_id": "KASSEL",
        "name": "Kassel depot",
        "country": "DE",
        "postal_code": "34117",
        "latitude": 51.313,
        "longitude": 9.491,
        "timezone": "Europe/Berlin",
    },
)
EVERYWHERE = tuple(location["location_id"] for location in LOCATIONS)

# sku, name, price in pence, weight_g, length_mm, width_mm, height_mm
GOODS: Sequence[tuple[str, str, int, int, int, int, int]] = (
    ("LAMP-OWL", "Owl bedside lamp", 3450, 900, 260, 180, 180),
    ("LAMP-MOON", "Moon night light", 1995, 420, 180, 180, 180),
    ("MUG-FERN", "Fern enamel mug", 950, 310, 120, 90, 90),
    ("MUG-STAR", "Star enamel mug", 950, 310, 120, 90, 90),
    ("MUG-PLAIN", "Plain stoneware mug", 795, 380, 120, 95, 95),
    ("TEA-MINT", "Mint tea, 20 bags", 425, 60, 140, 70, 70),
    ("TEA-SMOKE", "Smoked tea, 20 bags", 525, 60, 140, 70, 70),
    ("TEAPOT-1L", "One litre teapot", 2850, 1150, 240, 160, 170),
    ("TOWEL-TEA", "Linen tea towel", 895, 120, 300, 220, 20),
    ("TOWEL-BATH", "Waffle bath towel", 2450, 620, 350, 280, 80),
    ("SOAP-OAT", "Oat soap bar", 450, 110, 90, 60, 30),
    ("SOAP-PINE", "Pine soap bar", 450, 110, 90, 60, 30),
    ("CANDLE-S", "Small beeswax candle", 650, 180, 80, 80, 90),
    ("CANDLE-L", "Tall beeswax candle", 1250, 430, 90, 90, 220),
    ("NOTE-A5", "Dotted notebook A5", 1150, 280, 215, 150, 18),
    ("NOTE-A6", "Dotted notebook A6", 795, 150, 155, 110, 15),
    ("PEN-BRASS", "Brass pen", 2600, 45, 150, 30, 30),
    ("INK-BLUE", "Blue ink, 50 ml", 1350, 160, 70, 70, 70),
    ("KITE-RED", "Red pocket kite", 1875, 210, 320, 90, 60),
    ("KITE-BOX", "Box kite", 4200, 640, 900, 120, 100),
    ("PUZZLE-200", "Puzzle, 200 pieces", 1495, 480, 270, 200, 55),
    ("PUZZLE-1K", "Puzzle, 1,000 pieces", 2195, 860, 360, 260, 60),
    ("BLOCKS-50", "Fifty wooden blocks", 3295, 2100, 320, 240, 120),
    ("BEAR-S", "Small felt bear", 1650, 140, 180, 120, 90),
    ("BEAR-L", "Large felt bear", 3950, 560, 380, 260, 200),
    ("SCARF-GREY", "Grey wool scarf", 4450, 240, 300, 220, 50),
    ("SOCKS-2", "Wool socks, two pairs", 1595, 180, 240, 120, 60),
    ("HAT-FISH", "Fisherman's hat", 2750, 130, 250, 220, 60),
    ("APRON-BLUE", "Blue work apron", 3150, 380, 320, 240, 40),
    ("BOARD-OAK", "Oak chopping board", 3650, 1650, 400, 280, 30),
    ("KNIFE-PARE", "Paring knife", 1850, 90, 220, 50, 25),
    ("SPOON-OLIVE", "Olive wood spoon", 875, 70, 310, 60, 30),
    ("BOWL-SALAD", "Salad bowl", 3295, 980, 300, 300, 110),
    ("JAR-1L", "One litre jar", 725, 640, 120, 120, 190),
    ("BASKET-M", "Willow basket", 2995, 720, 400, 300, 200),
    ("CLOCK-DESK", "Desk clock", 3895, 450, 130, 120, 80),
    ("FRAME-A4", "Ash picture frame A4", 2250, 690, 330, 240, 30),
    ("VASE-TALL", "Tall clay vase", 2895, 1350, 150, 150, 320),
    ("SEEDS-BEE", "Seeds for bees", 350, 25, 120, 80, 5),
    ("POT-TERRA", "Terracotta pot", 695, 820, 150, 150, 140),
    # Kept at one place only: orders over both travel as two fulfillments.
    ("MAP-DALES", "Map of the dales", 1275, 110, 240, 130, 15),
    ("HONEY-MOOR", "Moorland honey", 895, 480, 90, 90, 110),
    ("TULIP-25", "Twenty-five tulip bulbs", 1395, 650, 220, 180, 90),
    ("STROOP-10", "Ten syrup waffles", 595, 330, 120, 120, 90),
    # Used only by the orders whose picks fall short or are refused: what those do to stock harms no other order.
    ("PLATE-SET", "Set of six plates", 5450, 1900, 300, 300, 120),
    ("GLASS-4", "Four tumblers", 2650, 1400, 220, 220, 110),
    ("RUG-SMALL", "Small jute rug", 4950, 2300, 620, 160, 160),
    # Sold out: never in stock.
    ("RADIO-KIT", "Crystal radio kit", 3795, 520, 240, 180, 80),
    ("GLOBE-30", "Lit globe, 30 cm", 6995, 1900, 380, 330, 330),
)
PRICES: Mapping[str, int] = {sku: price for sku, _, price, *_ in GOODS}
ONLY_AT: Mapping[str, str] = {
    "MAP-DALES": "SKIPTON",
    "HONEY-MOOR": "SKIPTON",
    "TULIP-25": "UTRECHT",
    "STROOP-10": "UTRECHT",
}
FRAGILE_PICKS = ("PLATE-SET", "GLASS-4", "RUG-SMALL")
SOLD_OUT = ("RADIO-KIT", "GLOBE-30")
ORDINARY = tuple(sku for sku in PRICES if sku not in {*ONLY_AT, *FRAGILE_PICKS, *SOLD_OUT})

PEOPLE = (
    ("Pebble", "Muster"),
    ("Quill", "Sample"),
    ("Fennel", "Placeholder"),
    ("Bramble", "Fixture"),
    ("Tansy", "Example"),
    ("Juniper", "Mockingham"),
    ("Sorrel", "Testwick"),
    ("Clover", "Specimen"),
    ("Thistle", "Dummyweather"),
    ("Rowan", "Madeup"),
    ("Basil", "Fictional"),
    ("Marigold", "Nobody"),
    ("Hazel", "Pretend"),
    ("Comfrey", "Invented"),
    ("Larch", "Notional"),
    ("Saffron", "Imaginary"),
)
STREETS = ("Paper Lane", "Cardboard Row", "Sample Street", "Invention Walk", "Pretend Hill", "Fable Court")


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """Where an invented person lives, and the shop's currency and language there."""

    city: str
    postal_code: str
    country: str
    region: str | None = None
    currency: str = "EUR"
    locale: str = "en-GB"


BRITISH = (
    Town(city="Leeds", postal_code="LS1 4DY", country="GB", currency="GBP"),
    Town(city="Bristol", postal_code="BS1 4ST", country="GB", currency="GBP"),
    Town(city="Cardiff", postal_code="CF10 1EP", country="GB", currency="GBP"),
    Town(city="Norwich", postal_code="NR2 1TF", country="GB", currency="GBP"),
    Town(city="Glasgow", postal_code="G2 1DU", country="GB", currency="GBP"),
    Town(city="Belfast", postal_code="BT1 5GS", country="GB", currency="GBP"),
)
CONTINENTAL = (
    Town(city="Delft", postal_code="2611 GX", country="NL", locale="nl-NL"),
    Town(city="Bremen", postal_code="28195", country="DE", locale="de-DE"),
    Town(city="Lille", postal_code="59800", country="FR", locale="fr-FR"),
    Town(city="Gent", postal_code="9000", country="BE", locale="nl-BE"),
    Town(city="Graz", postal_code="8010", country="AT", locale="de-AT"),
    Town(city="Galway", postal_code="H91 E9YR", country="IE", region="Co. Galway", locale="en-IE"),
    Town(city="Torino", postal_code="10121", country="IT", region="TO", locale="it-IT"),
    Town(city="Valencia", postal_code="46002", country="ES", region="Valencia", locale="es-ES"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A sort of order: how many of it, and what makes it special."""

    name: str
    count: int
    state: str = "delivered"
    outcome: str | None = None
    token: str = "pm_card_visa"
    method: str = "card"
    fronts: Sequence[tuple[str, str]] = ()
    scenario: str | None = None
    skus: Sequence[str] = ()
    lines: int = 0
    quantity: int = 0
    british: bool | None = None
    currency: str | None = None
    captured_known: bool = True
    fields: Mapping[str, Any] = field(default_factory=dict)


SHOPS = (("web", "default"), ("mobile", "default"), ("web", "outlet"), ("hotline", "desk-north"), ("mobile", "tablet"))
STORES = (("store", "store-skipton"), ("store", "store-utrecht"))
MARKETS = (("marketplace", "bazaar"), ("marketplace", "kiosk"), ("marketplace", "agora"))

RECIPES: Sequence[Recipe] = (
    Recipe(name="plain", count=62),
    Recipe(name="store", count=10, fronts=STORES),
    Recipe(name="yen", count=1, currency="JPY", lines=2, fronts=(("web", "default"),)),
    Recipe(name="twice", count=6, lines=3),
    Recipe(name="two-places", count=6, skus=("MAP-DALES", "TULIP-25"), british=True),
    Recipe(name="two-places", count=4, skus=("STROOP-10", "HONEY-MOOR"), british=False),
    Recipe(name="gift", count=4, fields={"gift": {"message": "Many happy returns", "hide_prices": True}}),
    Recipe(name="sold-out", count=5, skus=("RADIO-KIT",), state="rejected", outcome="out_of_stock"),
    Recipe(name="sold-out", count=3, skus=("MUG-FERN", "GLOBE-30"), state="rejected", outcome="out_of_stock"),
    Recipe(name="declined", count=5, token="pm_card_chargeDeclined", state="rejected", outcome="payment_declined"),
    Recipe(
        name="no-funds",
        count=4,
        token="pm_card_chargeDeclinedInsufficientFunds",
        state="rejected",
        outcome="payment_declined",
    ),
    Recipe(name="prepaid", count=26, method="prepaid", fronts=MARKETS),
    Recipe(name="at-the-door", count=10, method="cash_on_delivery"),
    Recipe(name="slow-card", count=3, token="pm_card_slow"),
    Recipe(name="timeout-after", count=3, token="pm_card_timeoutAfter"),
    Recipe(name="short", count=6, scenario="short_pick", skus=FRAGILE_PICKS, quantity=3, captured_known=False),
    Recipe(name="all-short", count=4, scenario="short_pick_all", skus=("GLASS-4",), quantity=2, state="cancelled"),
    Recipe(name="refused", count=4, scenario="refuse", skus=("RUG-SMALL",), quantity=2, state="cancelled"),
    Recipe(name="duplicates", count=6, scenario="duplicates"),
    Recipe(name="shuffled", count=6, scenario="shuffled"),
    Recipe(name="late-scan", count=5, scenario="late_scan"),
    Recipe(name="two-parcels", count=6, scenario="two_parcels", lines=2, quantity=3),
    Recipe(name="own-label", count=4, scenario="own_label"),
    Recipe(name="no-accept", count=4, scenario="no_accept"),
    Recipe(name="second-try", count=3, scenario="delivery_failed"),
)


def number(purpose: str, index: int, below: int) -> int:
    """A number in [0, below) that depends on nothing but its arguments, on any machine and version."""
    digest = hashlib.sha256(f"{SEED}/{purpose}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % below


def pick(options: Sequence[Any], purpose: str, index: int) -> Any:
    """One of *options*, the same every time."""
    return options[number(purpose, index, len(options))]


def make_products() -> Iterator[Record]:
    """Every product of the shop."""
    for sku, name, _, weight, length, width, height in GOODS:
        yield {
            "sku": sku,
            "name": name,
            "weight_g": weight,
            "length_mm": length,
            "width_mm": width,
            "height_mm": height,
        }


def make_stock() -> Iterator[Record]:
    """Stock for several runs of all orders at every place; the sold-out goods have none anywhere."""
    for index, (sku, *_) in enumerate(GOODS):
        if sku in SOLD_OUT:
            continue
        for location_id in (ONLY_AT[sku],) if sku in ONLY_AT else EVERYWHERE:
            quantity = 400 + 10 * number(f"stock {location_id}", index, 20)
            yield {"location_id": location_id, "sku": sku, "quantity": quantity}


def make_orders() -> Iterator[Record]:
    """All orders, the sorts mixed, each with how it must end."""
    sorts = [recipe for recipe in RECIPES for _ in range(recipe.count)]
    mixed = sorted(enumerate(sorts), key=lambda pair: number("mix", pair[0], 1 << 62))
    for index, (_, recipe) in enumerate(mixed):
        yield _order(index, recipe)


def _order(index: int, recipe: Recipe) -> Record:
    town = _town(index, recipe)
    channel, source = pick(recipe.fronts or SHOPS, "front", index)
    currency = recipe.currency or town.currency
    order: Record = {
        "order_ref": f"S-{index + 1:04d}",
        "channel": channel,
        "source": source,
        "currency": currency,
        "service_level": "express" if number("express", index, 5) == 0 else "standard",
        "customer": _customer(index, town),
        "shipping_address": {
            "lines": [f"{1 + number('house', index, 120)} {pick(STREETS, 'street', index)}"],
            "city": town.city,
            "region": town.region,
            "postal_code": town.postal_code,
            "country": town.country,
        },
        "lines": _lines(index, recipe, currency),
        **recipe.fields,
    }
    _add_amounts(index, order)
    order["payments"] = [_payment(index, recipe, source)]
    placed = datetime(2025, 1, 6, 7, 0, tzinfo=UTC) + timedelta(minutes=7 * index)
    order["placed_at"] = placed.isoformat().replace("+00:00", "Z")
    order["metadata"] = {"sort": recipe.name} | ({"scenario": recipe.scenario} if recipe.scenario else {})
    order["expect"] = _expect(order, recipe)
    return order


def _town(index: int, recipe: Recipe) -> Town:
    british = recipe.british if recipe.british is not None else number("abroad", index, 5) < 3
    town: Town = pick(BRITISH if british else CONTINENTAL, "town", index)
    return town


def _customer(index: int, town: Town) -> Record:
    who = number("who", index, 150)
    first, last = PEOPLE[who % len(PEOPLE)]
    line = f"{who:03d}"
    return {
        "customer_ref": f"c-{1000 + who}",
        "name": f"{first} {last}",
        "email": f"{first}.{last}.{who}@example.org".lower(),
        "phone": f"+447700900{line}" if who % 2 else f"+441632960{line}",
        "locale": town.locale,
    }


def _lines(index: int, recipe: Recipe, currency: str) -> list[Record]:
    if recipe.skus:
        skus = list(recipe.skus)
    else:
        count = recipe.lines or 1 + number("lines", index, 4)
        start, step = number("sku", index, len(ORDINARY)), 1 + number("step", index, 8)
        skus = [ORDINARY[(start + step * position) % len(ORDINARY)] for position in range(count)]
    if recipe.name == "twice":
        skus[-1] = skus[0]
    # One yen is the smallest amount of its currency: a mug costs 1,900, not 19.00.
    factor = 2 if currency == "JPY" else 1
    return [
        {
            "line_id": str(position + 1),
            "sku": sku,
            "quantity": recipe.quantity or 1 + number(f"quantity {position}", index, 3),
            "unit_price_minor": PRICES[sku] * factor,
        }
        for position, sku in enumerate(skus)
    ]


def _add_amounts(index: int, order: Record) -> None:
    """Discounts, taxes and shipping for some, and the total by the API's formula for all."""
    lines = order["lines"]
    if number("discount", index, 4) == 0:
        lines[0]["discount_minor"] = lines[0]["quantity"] * lines[0]["unit_price_minor"] // 10
    order["prices_include_tax"] = number("net", index, 6) != 0
    if not order["prices_include_tax"] or number("shown", index, 4) == 0:
        for line in lines:
            line["tax_minor"] = (line["quantity"] * line["unit_price_minor"] - line.get("discount_minor", 0)) // 5
    if number("shipping", index, 3) != 0:
        order["shipping_minor"] = 995 if order["service_level"] == "express" else 495
        if number("free", index, 5) == 0:
            order["shipping_discount_minor"] = order["shipping_minor"]
        elif not order["prices_include_tax"]:
            order["shipping_tax_minor"] = order["shipping_minor"] // 5
    order["total_minor"] = total_of(order)


def total_of(order: Mapping[str, Any]) -> int:
    """The order's total in minor units, by the formula of the HTTP contract."""
    lines = order["lines"]
    goods = sum(line["quantity"] * line["unit_price_minor"] - line.get("discount_minor", 0) for line in lines)
    shipping = order.get("shipping_minor", 0) - order.get("shipping_discount_minor", 0)
    if order.get("prices_include_tax", True):
        return int(goods + shipping)
    taxes = sum(line.get("tax_minor", 0) for line in lines) + order.get("shipping_tax_minor", 0)
    return int(goods + shipping + taxes)


def _payment(index: int, recipe: Recipe, source: str) -> Record:
    if recipe.method == "card":
        return {"method": "card", "token": recipe.token}
    if recipe.method == "prepaid":
        return {"method": "prepaid", "reference": f"{source}-{700000 + index}"}
    return {"method": recipe.method}


def _expect(order: Record, recipe: Recipe) -> Record:
    expect: Record = {"state": recipe.state}
    if recipe.outcome:
        expect["outcome"] = recipe.outcome
    if recipe.captured_known:
        expect["captured_minor"] = order["total_minor"] if recipe.state == "delivered" else 0
    return expect


def write(folder: Path) -> None:
    """Write the four files of the sample into *folder*."""
    records: Mapping[str, Sequence[Record]] = {
        "locations": LOCATIONS,
        "products": tuple(make_products()),
        "stock": tuple(make_stock()),
        "orders": tuple(make_orders()),
    }
    for name, content in records.items():
        lines = (json.dumps(record, ensure_ascii=False, separators=(", ", ": ")) for record in content)
        (folder / f"{name}.jsonl").write_bytes("".join(f"{line}\n" for line in lines).encode())


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
