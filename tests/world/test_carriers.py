"""The carriers through our adapter: zones, weights and cut-offs decide; a key buys one label."""

from dataclasses import replace
from datetime import UTC, date, datetime

import httpx
import pytest

from devstack.world.carriers.tariffs import TARIFFS, offers
from providers.carrier import Address, Carrier, HttpCarrier, Shipment
from providers.errors import ProviderRejected, ProviderUnavailable
from providers.payment import PaymentProvider, StripePayments

from .stage import FakeApi, World

LEEDS = Address(name="Shop", lines=("1 Dock Rd",), city="Leeds", postal_code="LS9 0PX", country="GB")
READER = Address(name="Zoë (A) Reader", lines=("1 High St",), city="Leeds", postal_code="LS1 4DY", country="GB")
# A Monday morning.
MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)


def shipment(**changes: object) -> Shipment:
    """A light parcel within Britain."""
    parcel = Shipment(
        reference="par_1",
        order_id="ord_1",
        origin=LEEDS,
        destination=READER,
        weight_g=900,
        service_level="standard",
        currency="GBP",
        ship_at=MONDAY,
    )
    return replace(parcel, **changes)  # type: ignore[arg-type]


async def test_the_adapters_are_what_the_activities_ask_for(swift: HttpCarrier, payments: StripePayments) -> None:
    carrier: Carrier = swift
    provider: PaymentProvider = payments

    assert await carrier.find_label(reference="par_1") is None
    assert await provider.find_authorization(customer_id="cus_unknown", authorization_id="aut_1") is None


async def test_prices_and_days_come_from_the_tariff(swift: HttpCarrier, parcelway: HttpCarrier) -> None:
    fast, slow = await swift.rates(shipment()), await parcelway.rates(shipment())

    assert [(rate.service, rate.price_minor, rate.estimated_on) for rate in fast] == [
        ("standard", 790, date(2026, 11, 24)),
        ("express", 1090, date(2026, 11, 24)),
    ]
    assert [(rate.price_minor, rate.transit_days, rate.estimated_on) for rate in slow] == [
        (390, 3, date(2026, 11, 26)),
    ]


@pytest.mark.parametrize(
    ("carrier", "country", "weight_g", "days"),
    [
        ("swift", "GB", 20_000, 1),
        ("swift", "GB", 20_001, None),
        ("swift", "FR", 900, 3),
        ("swift", "AU", 900, None),
        ("parcelway", "GB", 30_000, 3),
        ("parcelway", "GB", 30_001, None),
        ("parcelway", "FR", 900, 5),
        ("parcelway", "AU", 900, 9),
    ],
)
def test_zones_and_weights_decide_what_is_served(carrier: str, country: str, weight_g: int, days: int | None) -> None:
    found = offers(TARIFFS[carrier], origin="GB", destination=country, weight_g=weight_g, ship_at=MONDAY)

    assert [offer.transit_days for offer in found][:1] == ([] if days is None else [days])


@pytest.mark.parametrize(
    ("hour", "day", "estimated_on"),
    [
        (16, 23, date(2026, 11, 24)),
        (17, 23, date(2026, 11, 25)),
        (9, 28, date(2026, 12, 1)),
        (17, 27, date(2026, 12, 1)),
    ],
)
def test_what_comes_after_the_cut_off_leaves_the_next_working_day(hour: int, day: int, estimated_on: date) -> None:
    ship_at = datetime(2026, 11, day, hour, tzinfo=UTC)

    found = offers(TARIFFS["swift"], origin="GB", destination="GB", weight_g=900, ship_at=ship_at)

    assert found[0].estimated_on == estimated_on


async def test_a_repeated_key_buys_one_label(world: World, swift: HttpCarrier) -> None:
    first = await swift.buy_label(key="l1", shipment=shipment(), service="standard")
    second = await swift.buy_label(key="l1", shipment=shipment(), service="standard")

    assert first == second
    assert first.pdf.startswith(b"%PDF") and first.tracking_number.encode() in first.pdf
    assert b"Zoe [A] Reader" in first.pdf
    [entry] = world.ledger(kind="label")
    assert (entry["key"], entry["reference"], entry["amount_minor"], entry["order_id"]) == (
        "l1",
        first.reference,
        790,
        "ord_1",
    )


async def test_a_label_is_found_by_its_parcel_until_it_is_void(world: World, swift: HttpCarrier) -> None:
    label = await swift.buy_label(key="l1", shipment=shipment(), service="standard")
    found = await swift.find_label(reference="par_1")

    for key in ("v1", "v1", "v2"):
        await swift.void_label(key=key, reference=label.reference)

    assert found == label
    assert await swift.find_label(reference="par_1") is None
    assert await swift.find_label(reference="par_2") is None
    assert [entry["key"] for entry in world.ledger(kind="label_void")] == ["v1"]


async def test_refusals_are_definite(swift: HttpCarrier) -> None:
    await swift.buy_label(key="l1", shipment=shipment(), service="standard")

    with pytest.raises(ProviderRejected, match="idempotency_mismatch"):
        await swift.buy_label(key="l1", shipment=shipment(weight_g=901), service="standard")
    with pytest.raises(ProviderRejected, match="not_served"):
        await swift.buy_label(key="l2", shipment=shipment(weight_g=20_001), service="standard")
    with pytest.raises(ProviderRejected, match="not_found"):
        await swift.void_label(key="v1", reference="lbl_unknown")


@pytest.mark.parametrize(
    "knobs", [{"fail_next": 1, "fail_status": 503}, {"timeout_before_next": 1}, {"timeout_after_next": 1}]
)
async def test_an_outage_is_an_exception_and_the_retry_buys_one_label(
    world: World, swift: HttpCarrier, knobs: dict[str, int]
) -> None:
    world.control(carriers=knobs)

    with pytest.raises(ProviderUnavailable) as outage:
        await swift.buy_label(key="l1", shipment=shipment(), service="standard")
    await swift.buy_label(key="l1", shipment=shipment(), service="standard")

    assert outage.value.retry_after == (1.0 if "fail_status" in knobs else None)
    assert len(world.ledger(kind="label")) == 1


async def test_scenarios_of_the_order_refuse_or_lose_the_label(
    lively: World, api: FakeApi, http: httpx.AsyncClient
) -> None:
    swift = HttpCarrier("swift", f"{lively.url}/carriers/swift", http)
    api.metadata = {"scenario": "label_refused"}
    with pytest.raises(ProviderRejected, match="address_not_served"):
        await swift.buy_label(key="l1", shipment=shipment(), service="standard")

    api.metadata = {"scenario": "label_timeout_after"}
    with pytest.raises(ProviderUnavailable):
        await swift.buy_label(key="l2", shipment=shipment(order_id="ord_2"), service="standard")
    label = await swift.buy_label(key="l2", shipment=shipment(order_id="ord_2"), service="standard")

    assert await swift.find_label(reference="par_1") == label
    assert [entry["key"] for entry in lively.ledger(kind="label")] == ["l2"]
