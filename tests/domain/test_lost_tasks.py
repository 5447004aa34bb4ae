"""A workflow task that is lost after its write forgets what it decided; what the world said meanwhile is applied first."""

from datetime import timedelta

from domain.messages import PaymentActionRequired, PaymentFact, StockReserved
from domain.orders import order_state
from domain.steps import AuthorizePayment, ReserveStock
from domain.vocabulary import OrderState, TrackingStatus
from tests.domain import making
from tests.domain.making import CARD, NOW, PREPAID, Carrier, Warehouse
from tests.domain.story import Story

ALL = {"1": 6, "2": 2}


def whole_story(story: Story) -> Story:
    """All that warehouse and carrier say, of a fulfillment that the order does not know to be released."""
    warehouse, carrier = Warehouse(), Carrier()
    return story.send(
        warehouse.accepts(),
        warehouse.picks(ALL),
        warehouse.packs({"A": ALL}, own_label=True),
        warehouse.hands_over("A"),
        carrier.says(TrackingStatus.IN_TRANSIT),
        carrier.says(TrackingStatus.DELIVERED),
    )


def test_facts_of_a_release_that_was_forgotten_wait_for_it():
    for payments in ([(CARD, 2224)], [(PREPAID, 2224)]):
        story = whole_story(Story(making.make_order(payments=payments)))

        story.finish_steps()

        assert order_state(story.order) is OrderState.DELIVERED
        assert (story.cases(), story.order.parked) == ([], ())


def test_facts_of_a_release_that_was_forgotten_after_the_reservation_wait_for_it():
    story = Story(making.make_order())
    story.send(making.reserved(story.order, story.step(ReserveStock)))

    whole_story(story).finish_steps()

    assert order_state(story.order) is OrderState.DELIVERED
    assert story.cases() == []


def test_what_the_customer_did_is_kept_until_it_is_known_that_he_must():
    story = Story(making.make_order())
    reserved = making.reserved(story.order, story.step(ReserveStock))
    assert isinstance(reserved, StockReserved)
    story.send(reserved)
    asked = story.step(AuthorizePayment)
    paid = PaymentFact(
        id="payment:stripe/evt_1",
        authorization_id=asked.authorization_id,
        outcome="authorized",
        occurred_at=NOW,
        reference="pi_1",
        expires_at=NOW + timedelta(days=7),
    )

    story.send(
        paid,
        PaymentActionRequired(
            step_key=asked.key,
            authorization_id=asked.authorization_id,
            reference="pi_1",
            url="https://pay.example/1",
            expires_at=NOW + timedelta(days=1),
        ),
    )

    assert order_state(story.order) is OrderState.FULFILLING
    assert (story.order.holds, story.order.parked) == ((), ())
