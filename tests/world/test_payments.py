"""The Stripe adapter against the world: each key has one effect, refusals are results, outages are exceptions."""

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import stripe

from providers.errors import ProviderRejected, ProviderUnavailable
from providers.payment import (
    ActionRequired,
    Authorize,
    Authorized,
    Captured,
    CaptureRefused,
    Declined,
    Refunded,
    RefundRefused,
    StripePayments,
    Voided,
)

from .stage import STRIPE_KEY, STRIPE_SECRET, FakeApi, World, WorldProcess


async def wanted(payments: StripePayments, **changes: Any) -> Authorize:
    """An authorization of 20.25 pounds for a new provider customer."""
    fields: dict[str, Any] = {
        "key": "ord_1:authorize:ful_1:1",
        "order_id": "ord_1",
        "payment_id": "pay_1",
        "authorization_id": "aut_1",
        "amount_minor": 2025,
        "currency": "GBP",
        "token": "pm_card_visa",
    } | changes
    if "customer_id" not in fields:
        fields["customer_id"] = await payments.create_customer(key=f"customer:{fields['key']}", order_id="ord_1")
    return Authorize(**fields)


async def held(payments: StripePayments, **changes: Any) -> Authorized:
    """A successful authorization."""
    outcome = await payments.authorize(await wanted(payments, **changes))
    assert isinstance(outcome, Authorized)
    return outcome


def keys(world: World, kind: str) -> list[str]:
    """The keys of one kind of effect."""
    return [entry["key"] for entry in world.ledger(kind=kind)]


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


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
async def test_an_authentication_ends_as_the_customer_says(
    world: World, payments: StripePayments, outcome: str
) -> None:
    request = await wanted(payments, token="pm_card_authenticationRequired", save_method=True)
    action = await payments.authorize(request)
    assert isinstance(action, ActionRequired)
    assert "<button" in httpx.get(action.url, trust_env=False).text
    assert world.ledger() == []

    completed = httpx.post(f"{world.url}/payments/pay_1/complete", json={"outcome": outcome}, trust_env=False)

    assert completed.status_code == 200
    result = await payments.read_authorization(reference=action.reference)
    if outcome == "succeeded":
        assert isinstance(result, Authorized)
        assert keys(world, "authorization") == [request.key]
    else:
        assert result == Declined(code="payment_intent_authentication_failure", reference=action.reference)
        assert world.ledger() == []


async def test_a_link_is_paid_and_then_names_its_intent(world: World, payments: StripePayments) -> None:
    request = await wanted(payments, token=None, save_method=True)
    action = await payments.authorize(request)
    assert isinstance(action, ActionRequired)
    assert await payments.find_authorization(customer_id=request.customer_id, authorization_id="aut_1") == action

    httpx.post(action.url, data={"outcome": "failed"}, trust_env=False)
    assert await payments.find_authorization(customer_id=request.customer_id, authorization_id="aut_1") == action
    httpx.post(action.url, data={"outcome": "succeeded"}, trust_env=False)

    result = await payments.read_authorization(reference=action.reference)
    assert isinstance(result, Authorized)
    assert result.reference.startswith("pi_")
    assert result.saved_method_id is not None
    assert await payments.find_authorization(customer_id=request.customer_id, authorization_id="aut_1") == result
    assert keys(world, "authorization") == [request.key]


async def test_a_link_that_was_voided_cannot_be_paid(world: World, payments: StripePayments) -> None:
    action = await payments.authorize(await wanted(payments, token=None))
    assert isinstance(action, ActionRequired)

    outcomes = [await payments.void(key="v1", reference=action.reference) for _ in range(2)]
    paid = httpx.post(f"{world.url}/payments/pay_1/complete", json={"outcome": "succeeded"}, trust_env=False)

    assert outcomes == [Voided(reference=action.reference)] * 2
    assert paid.status_code == 409
    assert await payments.read_authorization(reference=action.reference) == Voided(reference=action.reference)


async def test_voiding_a_link_that_was_paid_gives_the_hold_back(world: World, payments: StripePayments) -> None:
    action = await payments.authorize(await wanted(payments, token=None))
    assert isinstance(action, ActionRequired)
    httpx.post(f"{world.url}/payments/aut_1/complete", json={"outcome": "succeeded"}, trust_env=False)

    await payments.void(key="v1", reference=action.reference)

    [void] = world.ledger(kind="void")
    assert (void["key"], void["amount_minor"]) == ("v1", 2025)


async def test_events_are_signed_as_stripe_signs_and_repeated_until_taken(lively: World, api: FakeApi) -> None:
    api.away = 2
    payments = StripePayments(key=STRIPE_KEY, url=lively.url)
    reference = (await held(payments)).reference
    await payments.capture(key="c1", reference=reference, amount_minor=2025)
    await payments.refund(key="r1", reference=reference, amount_minor=25)
    await payments.close()

    await api.until(lambda: len(api.stripe_events) == 3)

    events = [stripe.Webhook.construct_event(body, sent, STRIPE_SECRET) for body, sent in api.stripe_events]
    assert {event.type for event in events} == {
        "payment_intent.amount_capturable_updated",
        "payment_intent.succeeded",
        "charge.refunded",
    }
    assert {event.data.object["metadata"]["authorization_id"] for event in events} == {"aut_1"}


@pytest.mark.parametrize(
    ("path", "form", "code"),
    [
        ("payment_intents", {"payment_method_types[]": "card"}, "payment_method_types_no_longer_supported"),
        ("payment_intents", {"colour": "red"}, "parameter_unknown"),
        ("payment_intents", {"metadata": "word"}, None),
        ("payment_intents", {"amount": "1.5", "currency": "gbp"}, None),
        ("payment_intents", {"amount": "1", "currency": "pounds"}, None),
        ("customers", {"metadata[a][b]": "deep"}, None),
        ("payment_methods", {"type": "card", "card": "4242"}, None),
        ("checkout/sessions", {"mode": "payment", "success_url": "x", "payment_intent_data[colour]": "red"}, None),
        ("checkout/sessions", {"mode": "payment", "success_url": "x", "line_items[0][quantity]": "1"}, None),
        ("refunds", {"amount": "1"}, "parameter_missing"),
    ],
)
async def test_parameters_that_stripe_does_not_take_are_refused_and_not_kept(
    world: World, path: str, form: dict[str, str], code: str | None
) -> None:
    headers = {"authorization": f"Bearer {STRIPE_KEY}", "idempotency-key": "k"}
    url = f"{world.url}/v1/{path}"

    answer = httpx.post(url, data=form, headers=headers, trust_env=False)
    again = httpx.post(url, data=form, headers=headers, trust_env=False)

    assert answer.status_code == again.status_code == 400
    assert code in (None, answer.json()["error"].get("code"))
    assert "idempotent-replayed" not in again.headers


async def test_basic_authorization_works_and_unknown_paths_do_not(world: World) -> None:
    known = httpx.post(f"{world.url}/v1/customers", auth=(STRIPE_KEY, ""), trust_env=False)
    wrong = httpx.post(f"{world.url}/v1/customers", auth=("sk_other", ""), trust_env=False)
    unknown = httpx.post(f"{world.url}/v1/prices", auth=(STRIPE_KEY, ""), trust_env=False)

    assert [answer.status_code for answer in (known, wrong, unknown)] == [200, 401, 404]


async def test_the_ledger_cannot_be_changed(world: World, payments: StripePayments) -> None:
    await held(payments)

    with sqlite3.connect(world.folder / "world" / "world.sqlite3") as db:
        for statement in ("UPDATE ledger SET amount_minor = 0", "DELETE FROM ledger"):
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(statement)

    assert [entry["amount_minor"] for entry in world.ledger()] == [2025]


async def test_ledger_and_answers_survive_kill_minus_nine(process: WorldProcess) -> None:
    payments = StripePayments(key=STRIPE_KEY, url=process.url)
    request = await wanted(payments)
    first = await payments.authorize(request)
    before = process.ledger()

    process.kill()
    process.start()

    assert await payments.authorize(request) == first
    assert process.ledger() == before
    await payments.close()
