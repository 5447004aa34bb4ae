"""The Stripe adapter against the world: each key has one effect, refusals are results, outages are exceptions."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from providers.errors import ProviderRejected, ProviderUnavailable
from providers.payment import (
    Authorized,
    Captured,
    CaptureRefused,
    Declined,
    Refunded,
    RefundRefused,
    StripePayments,
    Voided,
)

from .money import held, keys, wanted
from .stage import STRIPE_KEY, World


async def test_a_repeated_authorization_holds_money_once(world: World, payments: StripePayments) -> None:
    request = await wanted(payments)

    first, second = await payments.authorize(request), await payments.authorize(request)

    assert first == second
    assert isinstance(first, Authorized)
    assert timedelta(days=6) < first.expires_at - datetime.now(UTC) < timedelta(days=8)
    [entry] = world.ledger(order_id="ord_1")
    assert entry | {"at": ""} == {
        "kind": "authorization",
        "key": request.key,
        "reference": first.reference,
        "amount_minor": 2025,
        "currency": "GBP",
        "order_id": "ord_1",
        "at": "",
    }


async def test_fifty_simultaneous_requests_with_one_key_hold_money_once(world: World, payments: StripePayments) -> None:
    request = await wanted(payments, token="pm_card_slow")

    outcomes = await asyncio.gather(*(payments.authorize(request) for _ in range(50)), return_exceptions=True)

    assert all(isinstance(outcome, Authorized | ProviderUnavailable) for outcome in outcomes)
    assert keys(world, "authorization") == [request.key]


async def test_a_key_with_other_parameters_is_a_mismatch(payments: StripePayments) -> None:
    request = await wanted(payments)
    await payments.authorize(request)

    with pytest.raises(ProviderRejected) as refusal:
        await payments.authorize(await wanted(payments, amount_minor=1, customer_id=request.customer_id))

    assert refusal.value.code == "idempotency_mismatch"


async def test_a_key_older_than_its_life_is_forgotten(world: World, payments: StripePayments) -> None:
    request = await wanted(payments)
    first = await payments.authorize(request)
    world.control(payments={"key_life_seconds": 0})

    second = await payments.authorize(request)

    assert first != second
    assert keys(world, "authorization") == [request.key, request.key]


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_unheard_of", "resource_missing"),
    ],
)
async def test_a_decline_is_a_result_and_no_effect(
    world: World, payments: StripePayments, token: str, code: str
) -> None:
    request = await wanted(payments, token=token)

    outcomes = [await payments.authorize(request) for _ in range(2)]

    assert [outcome.code for outcome in outcomes if isinstance(outcome, Declined)] == [code, code]
    assert world.ledger() == []
    found = await payments.find_authorization(customer_id=request.customer_id, authorization_id="aut_1")
    assert found == (outcomes[0] if code != "resource_missing" else None)


async def test_money_is_captured_once_and_the_rest_released(world: World, payments: StripePayments) -> None:
    reference = (await held(payments)).reference

    first = await payments.capture(key="c1", reference=reference, amount_minor=2000)
    again = await payments.capture(key="c1", reference=reference, amount_minor=2000)
    other = await payments.capture(key="c2", reference=reference, amount_minor=25)

    assert first == again == Captured(reference=reference, amount_minor=2000)
    assert other == CaptureRefused(code="already_captured")
    assert keys(world, "capture") == ["c1"]
    assert await payments.read_authorization(reference=reference) == first


async def test_no_more_is_captured_than_is_held(world: World, payments: StripePayments) -> None:
    reference = (await held(payments)).reference

    outcome = await payments.capture(key="c1", reference=reference, amount_minor=2026)

    assert outcome == CaptureRefused(code="amount_too_large")
    assert keys(world, "capture") == []


async def test_a_capture_can_be_refused_by_the_card(payments: StripePayments) -> None:
    reference = (await held(payments, token="pm_card_captureFails")).reference

    outcome = await payments.capture(key="c1", reference=reference, amount_minor=2025)

    assert outcome == CaptureRefused(code="card_declined")


async def test_a_hold_that_ran_out_cannot_be_captured(world: World, payments: StripePayments) -> None:
    world.control(payments={"authorization_life_seconds": 0})
    reference = (await held(payments)).reference

    outcome = await payments.capture(key="c1", reference=reference, amount_minor=2025)

    assert isinstance(outcome, CaptureRefused)
    assert outcome.code in ("charge_expired_for_capture", "payment_intent_unexpected_state")
    assert await payments.read_authorization(reference=reference) == Voided(reference=reference)


async def test_a_void_releases_once_and_repeats_as_success(world: World, payments: StripePayments) -> None:
    reference = (await held(payments)).reference

    outcomes = [await payments.void(key=key, reference=reference) for key in ("v1", "v1", "v2")]

    assert outcomes == [Voided(reference=reference)] * 3
    assert keys(world, "void") == ["v1"]


async def test_what_was_captured_cannot_be_voided(payments: StripePayments) -> None:
    reference = (await held(payments)).reference
    await payments.capture(key="c1", reference=reference, amount_minor=2025)

    with pytest.raises(ProviderRejected) as refusal:
        await payments.void(key="v1", reference=reference)

    assert refusal.value.code == "already_captured"


async def test_refunds_never_exceed_what_was_captured(world: World, payments: StripePayments) -> None:
    reference = (await held(payments)).reference
    await payments.capture(key="c1", reference=reference, amount_minor=2000)

    first = await payments.refund(key="r1", reference=reference, amount_minor=1500)
    again = await payments.refund(key="r1", reference=reference, amount_minor=1500)
    beyond = await payments.refund(key="r2", reference=reference, amount_minor=501)
    rest = await payments.refund(key="r3", reference=reference, amount_minor=500)
    none = await payments.refund(key="r4", reference=reference, amount_minor=1)

    assert isinstance(first, Refunded)
    assert first == again
    assert beyond == RefundRefused(code="amount_too_large")
    assert isinstance(rest, Refunded)
    assert none == RefundRefused(code="charge_already_refunded")
    assert [(entry["key"], entry["amount_minor"]) for entry in world.ledger(kind="refund")] == [
        ("r1", 1500),
        ("r3", 500),
    ]


async def test_an_unknown_reference_is_rejected(payments: StripePayments) -> None:
    with pytest.raises(ProviderRejected) as refusal:
        await payments.capture(key="c1", reference="pi_unknown", amount_minor=1)

    assert refusal.value.code == "resource_missing"


async def test_a_saved_method_can_be_charged_again_and_an_unsaved_one_cannot(payments: StripePayments) -> None:
    customer = await payments.create_customer(key="customer", order_id="ord_1")
    saved = await held(payments, customer_id=customer, save_method=True)
    unsaved = await held(payments, customer_id=customer, key="k2", authorization_id="aut_2")

    second = await held(
        payments,
        customer_id=customer,
        key="k3",
        authorization_id="aut_3",
        token=None,
        saved_method_id=saved.saved_method_id,
    )

    assert saved.saved_method_id is not None
    assert unsaved.saved_method_id is None
    assert second.reference != saved.reference


async def test_a_payment_method_of_nobody_is_used_once(world: World, payments: StripePayments) -> None:
    minted = httpx.post(
        f"{world.url}/v1/payment_methods",
        data={"type": "card", "card[token]": "pm_card_visa"},
        headers={"authorization": f"Bearer {STRIPE_KEY}"},
        trust_env=False,
    ).json()

    await held(payments, token=minted["id"])
    outcome = await payments.authorize(await wanted(payments, key="k2", token=minted["id"]))

    assert outcome == Declined(code="payment_method_unusable", reference=None)


async def test_an_authorization_is_found_by_customer_at_once(payments: StripePayments) -> None:
    request = await wanted(payments)
    outcome = await payments.authorize(request)

    found = await payments.find_authorization(customer_id=request.customer_id, authorization_id="aut_1")
    other = await payments.find_authorization(customer_id=request.customer_id, authorization_id="aut_2")

    assert found == outcome
    assert other is None


async def test_search_lags_behind(world: World, payments: StripePayments) -> None:
    await held(payments)
    query = {"query": "metadata['order_id']:'ord_1'"}
    headers = {"authorization": f"Bearer {STRIPE_KEY}"}
    url = f"{world.url}/v1/payment_intents/search"

    early = httpx.get(url, params=query, headers=headers, trust_env=False).json()
    world.control(payments={"search_lag_seconds": 0})
    late = httpx.get(url, params=query, headers=headers, trust_env=False).json()

    assert (len(early["data"]), len(late["data"])) == (0, 1)


async def test_a_time_out_after_the_work_leaves_one_effect(world: World, payments: StripePayments) -> None:
    request = await wanted(payments, token="pm_card_timeoutAfter")

    with pytest.raises(ProviderUnavailable):
        await payments.authorize(request)
    assert keys(world, "authorization") == [request.key]
    outcome = await payments.authorize(request)

    assert isinstance(outcome, Authorized)
    assert keys(world, "authorization") == [request.key]


async def test_a_time_out_before_the_work_leaves_none(world: World, payments: StripePayments) -> None:
    request = await wanted(payments, token="pm_card_timeoutBefore")

    with pytest.raises(ProviderUnavailable):
        await payments.authorize(request)
    assert keys(world, "authorization") == []
    outcome = await payments.authorize(request)

    assert isinstance(outcome, Authorized)


@pytest.mark.parametrize(
    "knobs",
    [{"fail_next": 1}, {"fail_next": 1, "fail_status": 429}, {"timeout_before_next": 1}, {"timeout_after_next": 1}],
)
async def test_outages_are_exceptions_and_the_retry_works(
    world: World, payments: StripePayments, knobs: dict[str, int]
) -> None:
    request = await wanted(payments)
    world.control(payments=knobs)

    with pytest.raises(ProviderUnavailable) as outage:
        await payments.authorize(request)
    outcome = await payments.authorize(request)

    assert outage.value.retry_after == (1.0 if knobs.get("fail_status") == 429 else None)
    assert isinstance(outcome, Authorized)
    assert keys(world, "authorization") == [request.key]


async def test_a_world_that_is_down_gives_no_answer(world: World, payments: StripePayments) -> None:
    request = await wanted(payments)
    world.control(payments={"down": True})

    with pytest.raises(ProviderUnavailable):
        await payments.authorize(request)
    world.control(payments={"down": False})

    assert isinstance(await payments.authorize(request), Authorized)


async def test_a_wrong_key_is_an_outage_not_a_refusal(world: World) -> None:
    stranger = StripePayments(key="sk_test_wrong", url=world.url)

    with pytest.raises(ProviderUnavailable):
        await stranger.create_customer(key="k", order_id="ord_1")

    await stranger.close()
