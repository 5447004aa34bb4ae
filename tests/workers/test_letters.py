"""Every letter in both languages: complete, escaped, and the same in plain text and HTML."""

from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from domain.notices import Action, Content, Language, NoticeKind
from domain.orders import Parcel
from workers.letters import Addressee, Letter, write

AT = datetime(2026, 11, 29, 18, 0, tzinfo=UTC)
PAGE = "https://shop.example/track/abc"
PAY = "https://pay.example/1?a=1&b=2"
PARCEL = Parcel(
    parcel_id="par_1",
    parcel_ref="A",
    fulfillment_id="ful_1",
    packed_at=AT,
    carrier="swift",
    tracking_number="SW123",
)
ENGLISH = Addressee(
    name="Zoë O'Hara",
    locale="en-GB",
    language=Language.ENGLISH,
    country="GB",
    currency="GBP",
    order_ref="10001",
    product_names={"1": "A mug"},
    page_url=PAGE,
)
CHINESE = replace(ENGLISH, name="王小明", locale="zh-CN", language=Language.CHINESE, country="CN", currency="CNY")


def of(kind: NoticeKind) -> Content:
    """A notice with everything that its kind can tell."""
    everything: dict[NoticeKind, dict[str, Any]] = {
        NoticeKind.ORDER_CONFIRMED: {"lines": (("1", 2),), "deliver_by": AT, "total_minor": 202550},
        NoticeKind.ACTION_NEEDED: {"actions": (Action(url=PAY, due_at=AT),)},
        NoticeKind.PROMISE_CHANGED: {"deliver_by": AT},
        NoticeKind.PART_CANCELLED: {"lines": (("1", 2),), "total_minor": 1000, "holds_money": True},
        NoticeKind.ORDER_CANCELLED: {"reason": "out_of_stock", "holds_money": True},
        NoticeKind.SHIPPED: {"lines": (("1", 2),), "parcels": (PARCEL,), "deliver_by": AT},
        NoticeKind.DELIVERY_FAILED: {"parcels": (PARCEL,)},
        NoticeKind.DELIVERED: {"parcels": (PARCEL,)},
        NoticeKind.REFUND: {"amount_minor": 500},
    }
    return Content(kind=kind, **everything[kind])


class Text(HTMLParser):
    """The words and links of a page, and every element in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words = ""
        self.links: list[str | None] = []
        self.elements: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.links += [value for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize("to", [ENGLISH, CHINESE], ids=["en", "zh"])
@pytest.mark.parametrize("kind", list(NoticeKind))
def test_every_letter_can_be_written_with_and_without_a_page_and_a_name(kind: NoticeKind, to: Addressee):
    letter = write(of(kind), to)
    bare = write(of(kind), replace(to, name=None, page_url=None))

    for each in (letter, bare):
        shown = Text(each.html)
        assert to.order_ref in each.subject and to.order_ref in each.short
        assert each.subject in shown.words
        for paragraph in each.plain.split("\n\n")[1:-1]:
            assert all(" ".join(line.split(": ")[0].split()[2:]) in shown.words for line in paragraph.splitlines())
    assert PAGE in letter.plain and PAGE in Text(letter.html).links
    assert "/track/" not in bare.plain + bare.html + bare.short
    assert f'lang="{to.language}"' in letter.html
    assert (PAY if kind is NoticeKind.ACTION_NEEDED else PAGE) in letter.short


def test_money_and_days_are_written_as_people_there_write_them():
    english, chinese = write(of(NoticeKind.ORDER_CONFIRMED), ENGLISH), write(of(NoticeKind.ORDER_CONFIRMED), CHINESE)

    assert "£2,025.50" in english.plain and "29 November 2026" in english.plain
    # Six in the evening in London is the next day in Shanghai.
    assert "¥2,025.50" in chinese.plain and "2026年11月30日" in chinese.plain
    assert "Hello Zoë," in english.plain and "小明" in chinese.plain and "王" not in chinese.plain


@pytest.mark.parametrize(
    ("currency", "written"), [("JPY", "¥5"), ("KWD", "0.005"), ("EUR", "€0.05")], ids=["none", "three", "two"]
)
def test_a_minor_unit_is_as_small_as_its_currency_says(currency: str, written: str):
    letter = write(Content(kind=NoticeKind.REFUND, amount_minor=5), replace(ENGLISH, currency=currency))

    assert written in letter.subject


def test_nothing_that_people_typed_becomes_html_or_another_line_of_a_header():
    nasty = '<img src=x onerror="alert(1)">'
    to = replace(
        ENGLISH,
        name="<b>Zoë</b>",
        order_ref="1<script>alert(1)</script>",
        product_names={"1": nasty},
        page_url='https://shop.example/track/"><script>',
    )

    letters: list[Letter] = [write(of(kind), to) for kind in NoticeKind]

    for letter in letters:
        assert Text(letter.html).elements.isdisjoint({"script", "img", "b"})
        assert "\n" not in letter.subject
    assert nasty in letters[0].plain
