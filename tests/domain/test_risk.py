"""What speaks against an order: every rule at its edge, scores that only grow, a hold from the policy's score on."""

from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import names, risk
from domain.life import apply
from domain.messages import Decision
from domain.orders import Order
from domain.policy import DEFAULT_RULES, Policy, Rules
from domain.risk import Assessment, Circumstances, Past, RiskRule
from domain.steps import next_steps
from domain.vocabulary import EventKind, HoldReason, Role
from domain.waits import waits
from tests.domain import making
from tests.domain.making import NOW

DOCS = (Path(__file__).parents[2] / "docs" / "risk.md").read_text()
QUIET = Circumstances(total_minor=1_000, country="GB")
# Everything speaks against it.
LOUD = Circumstances(
    total_minor=100_000,
    country="GB",
    billing_country="US",
    ip_country="FR",
    past=Past(first_order=True, customer_orders=5, address_orders=5, card_orders=5),
)
PAST = {"customer_orders", "address_orders", "card_orders", "first_order"}


def circumstances(**changes: Any) -> Circumstances:
    """A quiet order with *changes*, some of them in its past."""
    past = {name: value for name, value in changes.items() if name in PAST}
    return replace(QUIET, past=replace(Past(), **past), **{k: v for k, v in changes.items() if k not in PAST})


def weighed(rule: RiskRule, weight: int, rules: Rules = DEFAULT_RULES) -> Rules:
    """*rules* with another weight of *rule*."""
    changed: dict[str, Any] = {f"risk_{rule.value}_weight": weight}
    return replace(rules, **changed)


def spoke(known: Circumstances, rules: Rules = DEFAULT_RULES) -> list[str]:
    """The rules that spoke against it."""
    return [finding.rule.value for finding in risk.assess(known, rules).findings]


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({}, []),
        ({"total_minor": 99_999}, []),
        ({"total_minor": 100_000}, ["amount"]),
        ({"total_minor": 20_000}, []),
        ({"total_minor": 19_999, "first_order": True}, []),
        ({"total_minor": 20_000, "first_order": True}, ["first_order"]),
        ({"total_minor": 100_000, "first_order": True}, ["amount", "first_order"]),
        ({"billing_country": "GB", "ip_country": "GB"}, []),
        ({"billing_country": "US"}, ["billing_country"]),
        ({"ip_country": "US"}, ["ip_country"]),
        ({"billing_country": "US", "ip_country": "US"}, ["billing_country"]),
        ({"billing_country": "US", "ip_country": "GB"}, ["billing_country"]),
        ({"billing_country": "US", "ip_country": "FR"}, ["billing_country", "ip_country"]),
        ({"customer_orders": 4}, []),
        ({"customer_orders": 5}, ["customer_velocity"]),
        ({"address_orders": 4}, []),
        ({"address_orders": 5}, ["address_velocity"]),
        ({"card_orders": 4}, []),
        ({"card_orders": 6}, ["card_velocity"]),
    ],
    ids=str,
)
def test_a_rule_speaks_from_its_limit_on(changes: dict[str, Any], rules: list[str]):
    assert spoke(circumstances(**changes)) == rules


@pytest.mark.parametrize("rule", list(RiskRule))
def test_a_rule_that_weighs_nothing_is_silent_and_any_other_weight_is_what_it_adds(rule: RiskRule):
    heavy = risk.assess(LOUD, weighed(rule, 1_000))

    assert spoke(LOUD) == list(RiskRule)
    assert spoke(LOUD, weighed(rule, 0)) == [other for other in RiskRule if other != rule]
    assert {f.rule: f.weight for f in heavy.findings}[rule] == 1_000
    assert heavy.score == 1_000 + sum(f.weight for f in heavy.findings if f.rule != rule)


def test_every_rule_is_weighed_by_the_policy_and_explained_in_the_docs():
    weights = {f"risk_{rule.value}_weight" for rule in RiskRule}
    limits = {field.name for field in fields(Rules) if field.name.startswith("risk_")} - weights

    assert set(risk.CHECKS) == set(RiskRule)
    assert weights <= {field.name for field in fields(Rules)}
    assert [rule.value for rule in RiskRule if f"| `{rule.value}` |" not in DOCS] == []
    assert [name for name in sorted(limits | weights) if f"`{name}`" not in DOCS] == []


COUNT = st.integers(0, 12)
COUNTRY = st.sampled_from(["GB", "US", "FR"])
SOME_RULES = st.builds(
    lambda weights, limits, hold: replace(
        DEFAULT_RULES,
        risk_hold_score=hold,
        risk_amount_minor=limits[0] * 100,
        risk_first_order_minor=limits[1] * 100,
        risk_customer_velocity_orders=limits[2],
        risk_address_velocity_orders=limits[3],
        risk_card_velocity_orders=limits[4],
        **{f"risk_{rule.value}_weight": weight for rule, weight in zip(RiskRule, weights, strict=True)},
    ),
    st.lists(st.integers(0, 50), min_size=len(RiskRule), max_size=len(RiskRule)),
    st.lists(COUNT, min_size=5, max_size=5),
    st.integers(0, 150),
)
SOME_ORDERS = st.builds(
    Circumstances,
    total_minor=st.integers(0, 1_200),
    country=COUNTRY,
    billing_country=st.none() | COUNTRY,
    ip_country=st.none() | COUNTRY,
    past=st.builds(Past, first_order=st.booleans(), customer_orders=COUNT, address_orders=COUNT, card_orders=COUNT),
)


@given(known=SOME_ORDERS, rules=SOME_RULES, more=st.integers(1, 500), name=st.sampled_from([*sorted(PAST), "total"]))
def test_more_of_anything_never_speaks_for_an_order(known: Circumstances, rules: Rules, more: int, name: str):
    if name == "total":
        worse = replace(known, total_minor=known.total_minor + more)
    elif name == "first_order":
        worse = replace(known, past=replace(known.past, first_order=True))
    else:
        worse = replace(known, past=replace(known.past, **{name: getattr(known.past, name) + more}))

    before, after = risk.assess(known, rules), risk.assess(worse, rules)

    assert {f.rule for f in before.findings} <= {f.rule for f in after.findings}
    assert after.score >= before.score
    assert after.holds or not before.holds


@given(known=SOME_ORDERS, rules=SOME_RULES, rule=st.sampled_from(list(RiskRule)), more=st.integers(1, 50))
def test_more_weight_never_lowers_a_score(known: Circumstances, rules: Rules, rule: RiskRule, more: int):
    weight = risk.weight_of(rule, rules)
    heavier = weighed(rule, weight + more, rules)

    assert risk.assess(known, heavier).score >= risk.assess(known, rules).score


@given(known=SOME_ORDERS, rules=SOME_RULES, lower=st.integers(1, 150))
def test_a_lower_hold_score_never_lets_a_held_order_pass(known: Circumstances, rules: Rules, lower: int):
    if risk.assess(known, rules).holds:
        assert risk.assess(known, replace(rules, risk_hold_score=min(lower, rules.risk_hold_score))).holds


@given(known=SOME_ORDERS, rules=SOME_RULES)
def test_what_is_kept_explains_the_score(known: Circumstances, rules: Rules):
    assessment = risk.assess(known, rules)
    order = risk.assessed(making.make_order(rules=rules), assessment)

    scores = [dict(candidate.scores)["score"] for decision in order.decisions for candidate in decision.candidates]
    assert sum(scores) == assessment.score
    assert bool(order.holds) == (0 < rules.risk_hold_score <= assessment.score)
    assert all(finding.reason in assessment.reasons for finding in assessment.findings)


def new(rules: Rules = DEFAULT_RULES, known: Circumstances = LOUD) -> tuple[Order, Assessment]:
    """An order as intake leaves it."""
    assessment = risk.assess(known, rules)
    return risk.assessed(making.make_order(rules=rules), assessment), assessment


def test_the_default_policy_scores_and_explains_and_holds_nothing():
    order, assessment = new()

    assert assessment.score == sum(risk.weight_of(rule, DEFAULT_RULES) for rule in RiskRule)
    assert order.decisions[0].chosen == "pass"
    assert (order.holds, order.hold_count) == ((), 0)
    assert risk.hold_placed(order, assessment, cause_id="intake", after=1) == ()


def test_an_order_that_nothing_speaks_against_carries_nothing():
    order, _ = new(replace(DEFAULT_RULES, risk_hold_score=1), QUIET)

    assert order == making.make_order(rules=replace(DEFAULT_RULES, risk_hold_score=1))


@pytest.mark.parametrize(("hold_score", "held"), [(29, True), (30, True), (31, False), (0, False)])
def test_an_order_is_held_from_the_score_on(hold_score: int, held: bool):
    order, _ = new(replace(DEFAULT_RULES, risk_hold_score=hold_score), circumstances(total_minor=100_000))

    assert bool(order.holds) is held


def test_a_hold_names_its_owner_its_time_and_its_reasons():
    rules = replace(DEFAULT_RULES, risk_hold_score=50, hold_within=timedelta(hours=3))
    order, assessment = new(rules, circumstances(total_minor=123_400, first_order=True))

    (hold,), (decision,) = order.holds, order.decisions
    (event,) = risk.hold_placed(order, assessment, cause_id="intake", after=1)
    assert (hold.hold_id, order.hold_count) == (names.numbered_hold_id(order.order_id, 1), 1)
    assert (hold.reason, hold.owner, hold.placed_by) == (HoldReason.HIGH_RISK_OF_FRAUD, Role.RISK, "rules")
    assert hold.due_at == NOW + timedelta(hours=3)
    assert decision == Decision(
        kind="risk", subject=order.order_id, at=NOW, chosen="hold", candidates=decision.candidates
    )
    assert {c.choice: dict(c.scores) for c in decision.candidates} == {
        "amount": {"score": 30.0, "total_minor": 123_400.0, "from": 100_000.0},
        "first_order": {"score": 20.0, "total_minor": 123_400.0, "from": 20_000.0},
    }
    assert (event.kind, event.ordinal, event.data["hold_id"]) == (EventKind.HOLD_PLACED, 1, hold.hold_id)
    assert (event.data["score"], event.data["rules"]) == (50, ["amount", "first_order"])
    assert assessment.reasons.splitlines() == [
        "score 50, held from 50",
        "amount 30: it costs 123400, 100000 or more",
        "first_order 20: the customer's first order costs 123400, 20000 or more",
    ]


def test_a_held_order_is_reserved_and_paid_and_waits_for_a_person_of_risk():
    order, _ = new(replace(DEFAULT_RULES, risk_hold_score=1))

    while steps := next_steps(order):
        order = apply(order, making.done(order, next(iter(steps.values()))), NOW).order

    (wait,) = waits(order)
    assert order.fulfillments[0].released_at is None
    assert (wait.owner, wait.next_step, wait.due_at) == (Role.RISK, "release_hold", NOW + timedelta(hours=24))


HOME = {"lines": ["1 High St", "Flat 2"], "postal_code": "LS1 4DY", "city": "Leeds", "country": "GB", "name": "A"}


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"name": "B"}, True),
        ({"lines": ["1, HIGH st.", "flat 2"]}, True),
        ({"lines": ["1 High St Flat 2"]}, True),
        ({"postal_code": "ls14dy"}, True),
        ({"city": "LEEDS"}, True),
        ({"city": None}, True),
        ({"lines": ["1 High St", "Flat 3"]}, False),
        ({"postal_code": "LS1 4DZ"}, False),
        ({"postal_code": None}, False),
        ({"country": "IE"}, False),
    ],
    ids=str,
)
def test_an_address_is_known_again_however_it_is_written(changes: dict[str, Any], same: bool):
    assert (risk.address_fingerprint(HOME | changes) == risk.address_fingerprint(HOME)) is same


def test_a_fingerprint_tells_nothing_by_itself():
    card, address = risk.card_fingerprint("pm_card_visa"), risk.address_fingerprint(HOME)

    assert len(card) == len(address) == risk.FINGERPRINT_BYTES
    assert b"visa" not in card
    assert card != risk.card_fingerprint("pm_card_mastercard")


def test_rules_from_before_are_read_with_the_defaults_that_never_change():
    assert Policy(version=1, rules=DEFAULT_RULES).rules.risk_hold_score == 0
    assert {field.name: field.default for field in fields(Rules) if field.name.startswith("risk_")} == {
        "risk_hold_score": 0,
        "risk_window": timedelta(hours=24),
        "risk_amount_weight": 30,
        "risk_amount_minor": 100_000,
        "risk_first_order_weight": 20,
        "risk_first_order_minor": 20_000,
        "risk_billing_country_weight": 20,
        "risk_ip_country_weight": 20,
        "risk_customer_velocity_weight": 20,
        "risk_customer_velocity_orders": 5,
        "risk_address_velocity_weight": 20,
        "risk_address_velocity_orders": 5,
        "risk_card_velocity_weight": 30,
        "risk_card_velocity_orders": 5,
    }
