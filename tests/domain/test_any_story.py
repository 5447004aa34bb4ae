"""Whatever happens in whatever order, the rules hold after every single message."""

from random import Random

from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

from domain.orders import closed
from domain.steps import AuthorizePayment, next_steps
from domain.vocabulary import PaymentState
from tests.domain import chance, making
from tests.domain.rules import check_collections
from tests.domain.story import Story

# The seed names the story: what fails is found again by it, and a smaller number is no smaller story.
FOUND = settings(deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
SEEDS = st.integers(0, 2**32)


@settings(FOUND, max_examples=300)
@given(seed=SEEDS)
def test_the_rules_hold_after_every_message_of_any_story(seed: int):
    note(f"seed {seed}")

    story = chance.live(Random(seed))

    check_collections(story.order)


@settings(FOUND, max_examples=100)
@given(seed=SEEDS)
def test_a_closed_order_stays_closed_whatever_is_still_said(seed: int):
    note(f"seed {seed}")
    random = Random(seed)
    story = chance.live(random, most=100)
    if not closed(story.order):
        return
    teller = chance.Teller(random, story)

    for _ in range(10):
        story.send(teller.fact())

    assert closed(story.order)


def test_a_payment_under_way_is_not_given_up_because_another_needs_the_customer():
    """Three parts on one card: the second asks for the customer while the third is already on the wire."""
    parts = [("LEEDS", {"1": 1}), ("DERBY", {"1": 1}), ("YORK", {"1": 1})]
    story = Story(making.make_order(lines=[("1", "A", 3, 300)]))
    story.send(making.done(story.order, next(iter(next_steps(story.order).values())), parts=parts))
    story.send(making.done(story.order, story.step(AuthorizePayment)))
    second, third = (step for step in next_steps(story.order).values() if isinstance(step, AuthorizePayment))

    story.send(chance.action_required(second, story.now))

    assert third.key in next_steps(story.order)
    story.send(making.done(story.order, third)).wait_until_due().finish_steps()
    assert {a.state for a in story.order.authorizations} == {PaymentState.VOIDED}
    assert closed(story.order)
