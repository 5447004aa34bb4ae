"""Which events call for which letter, to whom it goes, and what it says of the order as it stands."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.messages import PaymentActionRequired, PaymentDeclined
from domain.notices import (
    MOST_ATTEMPTS,
    OPTIONAL,
    RULES,
    Action,
    Content,
    Language,
    NoticeChannel,
    NoticeKind,
    Reach,
    choose_channel,
    content,
    first_name,
    language_of,
    occasion,
    rule_for,
    wait_after,
)
from domain.orders import Order
from domain.steps import AuthorizePayment, ReserveStock
from domain.vocabulary import EventKind, TrackingStatus
from tests.domain import making
from tests.domain.making import NOW, Carrier, Warehouse
from tests.domain.story import Story, handed_over, released

EMAIL, SMS, MESSENGER = NoticeChannel.EMAIL, NoticeChannel.SMS, NoticeChannel.MESSENGER
ALL = frozenset(NoticeChannel)
BOTH = Reach(has_email=True, has_phone=True)
PARCEL = "par_t_1"


def say(kind: NoticeKind, order: Order, told: tuple[Content, ...] = (), **data: object) -> Content | None:
    """What a notice says now."""
    return content(kind, order, data, told=[earlier.facts for earlier in told], now=NOW)


@pytest.mark.parametrize(
    ("event", "data", "kind"),
    [
        ("order.confirmed", {}, NoticeKind.ORDER_CONFIRMED),
        ("payment.action_required", {"payment_id": "pay_1"}, NoticeKind.ACTION_NEEDED),
        ("order.promise_changed", {}, NoticeKind.PROMISE_CHANGED),
        ("fulfillment.short_picked", {}, NoticeKind.PART_CANCELLED),
        ("fulfillment.refused", {}, NoticeKind.PART_CANCELLED),
        ("cancellation.decided", {}, NoticeKind.PART_CANCELLED),
        ("stock.unreserved", {"reason": "payment_declined"}, NoticeKind.PART_CANCELLED),
        ("stock.unreserved", {"reason": "out_of_stock"}, None),
        ("order.cancelled", {}, NoticeKind.ORDER_CANCELLED),
        ("order.rejected", {}, NoticeKind.ORDER_CANCELLED),
        ("fulfillment.handed_over", {}, NoticeKind.SHIPPED),
        ("order.shipped", {}, NoticeKind.SHIPPED),
        ("parcel.tracked", {"status": "delivery_failed"}, NoticeKind.DELIVERY_FAILED),
        ("parcel.tracked", {"status": "delivery_failed", "late": True}, None),
        ("parcel.tracked", {"status": "in_transit"}, None),
        ("parcel.delivered", {}, NoticeKind.DELIVERED),
        ("payment.refunded", {"amount_minor": 5}, NoticeKind.REFUND),
        ("fulfillment.handed_over", {"after_end": True}, None),
        ("order.received", {}, None),
        ("notice.sent", {"kind": "delivered"}, None),
    ],
)
def test_the_rules_say_what_each_event_calls_for(event: str, data: dict[str, object], kind: NoticeKind | None):
    rule = rule_for(event, data)

    assert (rule and rule.kind) == kind


def test_every_rule_names_a_word_of_the_vocabulary_and_every_kind_has_a_rule():
    told_of_later = {"payment.refunded"}

    assert {rule.event for rule in RULES} <= {kind.value for kind in EventKind} | told_of_later
    assert {rule.kind for rule in RULES} == set(NoticeKind)


def test_what_is_said_once_per_order_parcel_or_event():
    def of(event: str, **data: object) -> str:
        rule = rule_for(event, data)
        assert rule is not None
        return occasion(rule, 7, data)

    assert of("order.confirmed") == "order"
    assert of("parcel.delivered", parcel_id=PARCEL) == PARCEL
    assert of("parcel.tracked", status="delivery_failed", parcel_id=PARCEL) == "event 7"


@pytest.mark.parametrize(
    ("notify", "has_email", "has_phone", "served", "channel"),
    [
        (None, True, True, ALL, EMAIL),
        (None, False, True, ALL, SMS),
        (None, False, False, ALL, None),
        ("email", True, True, ALL, EMAIL),
        ("sms", True, True, ALL, SMS),
        ("messenger", True, True, ALL, MESSENGER),
        ("sms", True, False, ALL, EMAIL),
        ("email", False, True, ALL, SMS),
        ("messenger", True, True, frozenset({EMAIL}), EMAIL),
        ("email", True, True, frozenset({SMS, MESSENGER}), SMS),
        ("email", True, False, frozenset({SMS, MESSENGER}), None),
        (None, True, True, frozenset(), None),
    ],
)
def test_the_preferred_channel_is_taken_if_it_is_served_and_reaches_the_customer(
    notify: str | None,
    has_email: bool,
    has_phone: bool,
    served: frozenset[NoticeChannel],
    channel: NoticeChannel | None,
):
    reach = Reach(has_email=has_email, has_phone=has_phone, notify=notify)

    assert choose_channel(NoticeKind.SHIPPED, reach, served) is channel


def test_who_wants_no_optional_notices_still_gets_what_they_need():
    reach = replace(BOTH, optional_notices=False)

    silent = {kind for kind in NoticeKind if choose_channel(kind, reach, ALL) is None}

    assert silent == OPTIONAL == {NoticeKind.DELIVERED}


@pytest.mark.parametrize(
    ("locale", "language"),
    [("zh", "zh"), ("zh-CN", "zh"), ("zh_Hant_HK", "zh"), ("ZH-tw", "zh"), ("en-GB", "en"), ("de", "en"), (None, "en")],
)
def test_chinese_in_any_form_is_chinese_and_all_else_english(locale: str | None, language: str):
    assert language_of(locale) is Language(language)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("Zoë O'Hara", "Zoë"),
        ("Roe, Jane", "Jane"),
        ("王小明", "小明"),
        ("王明", "明"),
        ("欧阳小明", "小明"),
        ("Cher", "Cher"),
        ("", None),
        (None, None),
        ("https://win.example now", None),
        ("www.win.example", None),
        ("<script>alert(1)</script>", None),
        ("x" * 41, None),
        (",", None),
    ],
)
def test_customers_are_greeted_by_their_first_name_and_never_by_an_advertisement(name: str | None, first: str | None):
    assert first_name(name) == first


def test_waits_double_up_to_an_hour_and_end():
    waits = [wait_after(attempts) for attempts in range(1, MOST_ATTEMPTS + 1)]

    assert waits[:3] == [timedelta(seconds=5), timedelta(seconds=10), timedelta(seconds=20)]
    assert waits[-2:] == [timedelta(hours=1), None]


def test_the_confirmation_names_goods_total_and_day():
    order = released().order

    told = say(NoticeKind.ORDER_CONFIRMED, order)

    assert told is not None
    assert (told.lines, told.total_minor, told.deliver_by) == ((("1", 6), ("2", 2)), 2224, order.deliver_by)


def test_a_payment_to_confirm_is_told_with_its_link_while_it_waits():
    story = Story(making.make_order())
    story.send(making.done(story.order, story.step(ReserveStock)))
    step = story.step(AuthorizePayment)
    due = NOW + timedelta(hours=1)
    story.send(
        PaymentActionRequired(
            step_key=step.key,
            authorization_id=step.authorization_id,
            reference="pi_1",
            url="https://pay.example/1",
            expires_at=due,
        )
    )

    told = say(NoticeKind.ACTION_NEEDED, story.order, payment_id="pay_t_1")

    assert told is not None and told.actions == (Action(url="https://pay.example/1", due_at=due),)
    assert say(NoticeKind.ACTION_NEEDED, story.order, payment_id="pay_t_9") is None
    assert content(NoticeKind.ACTION_NEEDED, story.order, {"payment_id": "pay_t_1"}, told=[], now=due) is None


def test_a_refused_order_is_told_as_cancelled_and_never_as_confirmed():
    story = Story(making.make_order())
    story.send(making.done(story.order, story.step(ReserveStock)))
    step = story.step(AuthorizePayment)
    story.send(PaymentDeclined(step_key=step.key, authorization_id=step.authorization_id, code="card_declined"))

    told = say(NoticeKind.ORDER_CANCELLED, story.order)

    assert told is not None and (told.reason, told.holds_money) == ("payment_declined", True)
    assert say(NoticeKind.ORDER_CONFIRMED, story.order) is None
    assert say(NoticeKind.ORDER_CANCELLED, released().order) is None


def test_each_cancelled_unit_is_told_once():
    story, warehouse = released(), Warehouse()
    before = story.order
    story.send(warehouse.accepts(), warehouse.misses({"1": 2}))

    first = say(NoticeKind.PART_CANCELLED, story.order)
    assert first is not None
    again = say(NoticeKind.PART_CANCELLED, story.order, (first,))
    story.send(warehouse.misses({"1": 1, "2": 1}))
    second = say(NoticeKind.PART_CANCELLED, story.order, (first,))

    assert say(NoticeKind.PART_CANCELLED, before) is None
    assert first.lines == (("1", 2),)
    assert again is None
    assert second is not None and second.lines == (("1", 1), ("2", 1))


def test_each_parcel_that_left_is_told_once_with_what_is_in_it():
    story, warehouse = released(), Warehouse()
    story.send(
        warehouse.accepts(),
        warehouse.picks({"1": 6, "2": 2}),
        warehouse.packs({"A": {"1": 6}, "B": {"2": 2}}, own_label=True),
        warehouse.hands_over("A"),
    )
    first = say(NoticeKind.SHIPPED, story.order)
    assert first is not None
    story.send(warehouse.hands_over("B"))
    second = say(NoticeKind.SHIPPED, story.order, (first,))
    assert second is not None
    third = say(NoticeKind.SHIPPED, story.order, (first, second))

    assert [(parcel.parcel_ref, parcel.tracking_number) for parcel in first.parcels] == [("A", "OWN-A")]
    assert (first.lines, second.lines, third) == ((("1", 6),), (("2", 2),), None)
    assert say(NoticeKind.SHIPPED, released().order) is None


def test_a_failed_delivery_is_no_news_once_the_parcel_has_arrived():
    story, carrier = handed_over(), Carrier()
    story.send(carrier.says(TrackingStatus.DELIVERY_FAILED))

    failed = say(NoticeKind.DELIVERY_FAILED, story.order, parcel_id=PARCEL)
    story.send(carrier.says(TrackingStatus.DELIVERED))

    assert failed is not None and [parcel.parcel_id for parcel in failed.parcels] == [PARCEL]
    assert say(NoticeKind.DELIVERY_FAILED, story.order, parcel_id=PARCEL) is None
    assert say(NoticeKind.DELIVERED, story.order, parcel_id=PARCEL) is not None
    assert say(NoticeKind.DELIVERED, story.order, parcel_id="par_t_9") is None


def test_a_changed_promise_is_told_once_per_day_promised():
    order = released().order
    first = say(NoticeKind.PROMISE_CHANGED, order)
    assert first is not None

    later = say(NoticeKind.PROMISE_CHANGED, replace(order, deliver_by=order.deliver_by + timedelta(days=3)), (first,))

    assert say(NoticeKind.PROMISE_CHANGED, order, (first,)) is None
    assert later is not None and later.deliver_by == order.deliver_by + timedelta(days=3)


def test_a_refund_says_how_much_and_nothing_without_an_amount():
    order = released().order

    told = say(NoticeKind.REFUND, order, amount_minor=250)

    assert told is not None and told.amount_minor == 250
    assert say(NoticeKind.REFUND, order) is None
