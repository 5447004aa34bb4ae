"""The world's own side of payments: customers who act, signed events, bad parameters, and what survives."""

import sqlite3

import httpx
import pytest
import stripe

from providers.payment import (
    ActionRequired,
    Authorized,
    Declined,
    StripePayments,
    Voided,
)

from .money import held, keys, wanted
from .stage import STRIPE_KEY, STRIPE_SECRET, FakeApi, World, WorldProcess


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
