"""The paths of orders that nobody changes his mind about: paid, packed, sent, and all that goes wrong on the way."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from contracts import names
from db import inventory
from db.models import Stock
from domain.inventory import StockChange
from domain.orders import Order
from domain.policy import DEFAULT_RULES
from domain.vocabulary import MovementKind, PaymentMethod
from tests.workflows.shop import Shop

ALL = [{"line_id": "1", "quantity": 6}, {"line_id": "2", "quantity": 2}]
SOON = timedelta(milliseconds=700)


async def end(shop: Shop) -> None:
    """Wait until nothing of the order is open."""
    await shop.handle.result()


async def released(shop: Shop) -> Order:
    """The order, once its first warehouse may work on it."""
    return await shop.until(lambda order: order.fulfillments and order.fulfillments[0].released_at, "released")


async def delivered(shop: Shop) -> None:
    """Everything goes well."""
    await shop.place()
    await shop.pack_all()
    await shop.deliver()
    await end(shop)


async def declined(shop: Shop) -> None:
    """The card is refused."""
    shop.payments.answers = ["card_declined"]
    await shop.place()
    await end(shop)


async def second_payment_declined(shop: Shop) -> None:
    """The second of two cards is refused; the first hold is given back."""
    shop.payments.answers = ["yes", "card_declined"]
    await shop.place(payments=[(PaymentMethod.CARD, 1000), (PaymentMethod.CARD, 1224)])
    await end(shop)


async def out_of_stock(shop: Shop) -> None:
    """Nothing is promised."""
    async with shop.sessions.begin() as session:
        await session.execute(update(Stock).where(Stock.sku == shop.sku("A")).values(unavailable=Stock.on_hand))
    await shop.place()
    await end(shop)


async def two_locations(shop: Shop) -> None:
    """Two locations, two holds, two captures."""
    async with shop.sessions.begin() as session:
        await session.execute(update(Stock).where(Stock.sku == shop.sku("B")).values(unavailable=Stock.on_hand))
        change = StockChange(kind=MovementKind.RECEIVED, location_id=shop.sku("LYON"), sku=shop.sku("B"), quantity=5)
        await inventory.book(session, [change], cause=shop.task_queue, actor="test", at=datetime.now(UTC))
    await shop.place()
    await released(shop)
    for number, line in enumerate(ALL, start=1):
        await shop.warehouse("picked", fulfillment=number, lines=[line])
        await shop.warehouse("packed", fulfillment=number)
    await shop.until(
        lambda order: len(order.parcels) == 2 and all(p.tracking_number for p in order.parcels), "labelled"
    )
    for number in (1, 2):
        await shop.warehouse("handed_over", fulfillment=number, parcel_refs=["A"])
        await shop.carrier_says("delivered", parcel=number)
    await end(shop)


async def customer_acts(shop: Shop) -> None:
    """3-D Secure, passed."""
    shop.payments.answers = ["action"]
    await shop.place()
    order = await shop.until(lambda order: order.holds, "held")
    authorization_id = order.authorizations[0].authorization_id
    await shop.signal(names.PAYMENT_FACT, authorization_id=authorization_id, outcome="authorized")
    await shop.pack_all()
    await shop.deliver()
    await end(shop)


async def customer_fails(shop: Shop) -> None:
    """3-D Secure, failed."""
    shop.payments.answers = ["action"]
    await shop.place()
    order = await shop.until(lambda order: order.holds, "held")
    authorization_id = order.authorizations[0].authorization_id
    await shop.signal(
        names.PAYMENT_FACT, authorization_id=authorization_id, outcome="failed", code="authentication_failed"
    )
    await end(shop)


async def customer_never_acts(shop: Shop) -> None:
    """3-D Secure, not answered in time."""
    shop.payments.answers = ["action"]
    await shop.place(rules=replace(DEFAULT_RULES, payment_action_within=SOON))
    await end(shop)


async def provider_away(shop: Shop) -> None:
    """The provider is away longer than the policy's patience, and comes back."""
    shop.payments.down = True
    await shop.place(rules=replace(DEFAULT_RULES, payment_patience=SOON))
    await shop.until(lambda order: order.attention, "a case")
    shop.payments.down = False
    await shop.pack_all()
    await shop.deliver()
    await end(shop)


async def cash_on_delivery(shop: Shop) -> None:
    """Paid at the door."""
    await shop.place(payments=[(PaymentMethod.CASH_ON_DELIVERY, 2224)])
    packed = await shop.pack_all()
    await shop.warehouse("handed_over", parcel_refs=["A"])
    await shop.carrier_says("delivered", collected_minor=packed.parcels[0].collect_minor)
    await end(shop)


async def prepaid(shop: Shop) -> None:
    """Paid at the marketplace."""
    await shop.place(payments=[(PaymentMethod.PREPAID, 2224)])
    await shop.pack_all()
    await shop.deliver()
    await end(shop)


async def short_picked(shop: Shop) -> None:
    """One unit is not found."""
    await shop.place()
    await released(shop)
    await shop.warehouse("picked", lines=[{"line_id": "1", "quantity": 5}, {"line_id": "2", "quantity": 2}])
    await shop.warehouse("short_picked", lines=[{"line_id": "1", "quantity": 1, "reason": "mismatch"}])
    await shop.warehouse("packed")
    await shop.until(lambda order: order.parcels and order.parcels[0].tracking_number, "labelled")
    await shop.deliver()
    await end(shop)


async def nothing_found(shop: Shop) -> None:
    """Not one unit is found."""
    await shop.place()
    await released(shop)
    lines = [
        {"line_id": "1", "quantity": 6, "reason": "damage"},
        {"line_id": "2", "quantity": 2, "reason": "not_in_stock"},
    ]
    await shop.warehouse("short_picked", lines=lines)
    await end(shop)


async def refused(shop: Shop) -> None:
    """The warehouse refuses."""
    await shop.place()
    await released(shop)
    await shop.warehouse("refused", reason="capacity")
    await end(shop)


async def refused_after_packing(shop: Shop) -> None:
    """The warehouse refuses a labelled parcel; the label is given back."""
    await shop.place()
    await shop.pack_all()
    await shop.warehouse("refused", reason="other")
    await end(shop)


async def own_label(shop: Shop) -> None:
    """The warehouse has its own label."""
    await shop.place()
    await released(shop)
    await shop.warehouse("picked", lines=ALL)
    parcel = {"parcel_ref": "A", "lines": ALL, "carrier": "swift", "tracking_number": "OWN-1", "weight_g": 900}
    await shop.warehouse("packed", parcels=[parcel])
    await shop.warehouse("handed_over", parcel_refs=["A"])
    await shop.carrier_says("delivered", number="OWN-1")
    await end(shop)


async def facts_before_their_time(shop: Shop) -> None:
    """Handed over, packed and picked, in that order."""
    await shop.place()
    await released(shop)
    await shop.warehouse("handed_over", parcel_refs=["A"])
    await shop.warehouse("packed")
    await shop.warehouse("picked", lines=ALL)
    await shop.until(lambda order: order.parcels and order.parcels[0].tracking_number, "labelled")
    await shop.carrier_says("delivered")
    await end(shop)


async def two_parcels(shop: Shop) -> None:
    """Two boxes, delivered on their own."""
    await shop.place()
    await released(shop)
    await shop.warehouse("picked", lines=ALL)
    parcels = [{"parcel_ref": "A", "lines": [ALL[0]]}, {"parcel_ref": "B", "lines": [ALL[1]]}]
    await shop.warehouse("packed", parcels=parcels)
    await shop.until(lambda order: all(p.tracking_number for p in order.parcels) and order.parcels, "labelled")
    await shop.warehouse("handed_over", parcel_refs=["A"])
    await shop.carrier_says("delivered", parcel=1)
    await shop.warehouse("handed_over", parcel_refs=["B"])
    await shop.carrier_says("delivered", parcel=2)
    await end(shop)


async def delivery_failed_first(shop: Shop) -> None:
    """Nobody at home the first time."""
    await shop.place()
    await shop.pack_all()
    await shop.warehouse("handed_over", parcel_refs=["A"])
    await shop.carrier_says("delivery_failed", reason="nobody_home")
    await shop.until(lambda order: order.attention, "a case")
    await shop.carrier_says("delivered")
    await end(shop)


async def lost(shop: Shop) -> None:
    """The carrier loses the parcel; the order waits for a person."""
    await shop.place()
    await shop.pack_all()
    await shop.warehouse("handed_over", parcel_refs=["A"])
    await shop.carrier_says("lost")
    await shop.until(lambda order: order.attention, "a case")


async def sent_back(shop: Shop) -> None:
    """The parcel comes back; the order waits for a person."""
    await shop.place()
    await shop.pack_all()
    await shop.warehouse("handed_over", parcel_refs=["A"])
    await shop.carrier_says("return_to_sender")
    await shop.carrier_says("returned")
    await shop.until(lambda order: order.attention, "a case")


async def label_refused(shop: Shop) -> None:
    """No carrier takes the parcel; the order waits for a person."""
    shop.carrier.refused = "too_heavy"
    await shop.place()
    await released(shop)
    await shop.warehouse("picked", lines=ALL)
    await shop.warehouse("packed")
    await shop.until(lambda order: order.attention, "a case")


async def capture_refused(shop: Shop) -> None:
    """The goods left and the money cannot be taken; the order waits for a person."""
    shop.payments.capture_refused = "card_declined"
    await shop.place()
    await shop.pack_all()
    await shop.deliver()
    await shop.until(lambda order: any(case.code == "capture_failed" for case in order.attention), "a case")


async def warehouse_silent(shop: Shop) -> None:
    """The warehouse does not accept in time, and then does."""
    await shop.place(rules=replace(DEFAULT_RULES, accept_within=SOON))
    await shop.until(lambda order: order.attention, "a case")
    await shop.pack_all()
    await shop.deliver()
    await end(shop)


async def continued_as_new(shop: Shop) -> None:
    """A run that ends at its first quiet point; the next one goes on."""
    await shop.place(continue_after=1)
    await shop.pack_all()
    await shop.deliver()
    await end(shop)
