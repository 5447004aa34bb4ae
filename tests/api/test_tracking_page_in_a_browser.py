"""The tracking page in a real browser of a telephone's size: it renews itself, takes a question and a rating, and fits."""

import struct
from pathlib import Path

from domain.vocabulary import TrackingStatus
from tests.api.conftest import Api
from tests.api.tracked import placed, scan, served
from tests.fixtures.browser import HEIGHT, WIDTH, Phone, open_phone

HEADLINE = "document.querySelector('h1').textContent"
CONTRAST = """
[...document.querySelectorAll('h1, h2, h3, p, li, label, a, button, span, time')].filter(e => e.offsetParent
  && !e.closest('.hidden') && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())).map(e => {
  const part = n => n <= .03928 ? n / 12.92 : ((n + .055) / 1.055) ** 2.4;
  const light = c => { const v = c.match(/[\\d.]+/g).slice(0, 3).map(n => part(n / 255));
    return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
  let at = e; while (at && getComputedStyle(at).backgroundColor === 'rgba(0, 0, 0, 0)') at = at.parentElement;
  const [a, b] = [light(getComputedStyle(e).color), light(getComputedStyle(at || document.body).backgroundColor)];
  return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.textContent.trim().slice(0, 40)];
}).filter(([ratio]) => ratio < 4.5)
"""
SMALL = """
[...document.querySelectorAll('button, .button, .scores span')].filter(e => e.offsetParent)
  .filter(e => e.getBoundingClientRect().height < 40).map(e => e.textContent)
"""
UNNAMED = """
[...document.querySelectorAll('input, textarea')].filter(e => !e.labels.length).map(e => e.outerHTML)
  .concat([...document.querySelectorAll('[aria-labelledby]')]
    .filter(e => !document.getElementById(e.getAttribute('aria-labelledby'))).map(e => e.id))
"""


async def test_a_phone_shows_the_page_live_and_what_is_said_there_arrives(api: Api, database_url: str, tmp_path: Path):
    desk, token = await placed(api)

    async with served(database_url) as browser, open_phone(tmp_path / "profile") as phone:
        await phone.open(f"{browser.base_url}/track/{token}")
        await phone.until("document.getElementById('link').textContent.startsWith('Live')")
        assert await phone.ask(HEADLINE) == "We have your order"
        await phone.ask("document.getElementById('ask-text').focus()")
        await desk.confirm()
        await phone.until(f"{HEADLINE} === 'We are getting your order ready'")
        await desk.ship()
        await phone.until(f"{HEADLINE} === 'Your order is on its way'")
        await scan(api, desk, "in_transit", location="Leeds hub")
        await phone.until("document.getElementById('parcels').textContent.includes('Leeds hub')")
        await _fits(phone, tmp_path / "on-its-way.png")
        await _ask(phone)
        await scan(api, desk, "delivered")
        await phone.until(
            f"document.querySelector('.badge').textContent === '{TrackingStatus.DELIVERED.value.title()}'"
        )
        await phone.until("document.querySelector('[data-send=rating]')")
        await _fits(phone, tmp_path / "delivered.png")
        await _rate(phone)
        await phone.open(f"{browser.base_url}/track/{token}?lang=zh", dark=True)
        await phone.until("document.getElementById('link').textContent.length > 1")
        assert await phone.ask("document.documentElement.lang") == "zh"
        await _fits(phone, tmp_path / "dark.png")
        assert phone.complaints == []

    notes = await api.rows("SELECT text, actor_kind FROM order_notes WHERE order_id = :id", id=desk.order.order_id)
    [rating] = await api.rows("SELECT score, text FROM delivery_ratings WHERE order_id = :id", id=desk.order.order_id)
    assert [tuple(note) for note in notes] == [("Is it the blue one?", "customer")]
    assert tuple(rating) == (4, None)


async def _fits(phone: Phone, file: Path) -> None:
    """Nothing sticks out, is too pale, too small for a finger or without a name; the picture is as wide as the screen."""
    picture = await phone.shoot(file)
    width, height = struct.unpack(">II", picture[16:24])

    assert picture.startswith(b"\x89PNG") and width == 2 * WIDTH and height >= 2 * HEIGHT
    assert await phone.ask("document.documentElement.scrollWidth") == WIDTH
    assert await phone.ask(CONTRAST) == []
    assert await phone.ask(SMALL) == []
    assert await phone.ask(UNNAMED) == []


async def _ask(phone: Phone) -> None:
    await phone.ask("document.getElementById('ask-text').value = 'Is it the blue one?'")
    await phone.ask("document.querySelector('[data-send=questions] button').click()")
    await phone.until("document.body.textContent.includes('Thank you, we have your question')")


async def _rate(phone: Phone) -> None:
    await phone.ask("document.querySelector('[name=score][value=\"4\"]').click()")
    await phone.ask("document.querySelector('[data-send=rating] button').click()")
    await phone.until("document.body.textContent.includes('Thank you for your rating')")


async def test_what_somebody_is_writing_is_not_taken_away(api: Api, database_url: str, tmp_path: Path):
    desk, token = await placed(api)
    await desk.confirm()
    await desk.ship()
    await scan(api, desk, "delivered")

    async with served(database_url) as browser, open_phone(tmp_path / "profile") as phone:
        await phone.open(f"{browser.base_url}/track/{token}")
        await phone.until("document.getElementById('link').textContent.startsWith('Live')")
        await phone.ask("document.getElementById('rate-text').focus()")
        await phone.ask("document.getElementById('rate-text').value = 'It was'")
        rated = await browser.post(f"/v1/track/{token}/rating", json={"score": 2})
        await scan(api, desk, "in_transit", location="Leeds hub")
        await phone.until("document.getElementById('parcels').textContent.includes('Leeds hub')")

        assert rated.is_success
        assert await phone.ask("document.getElementById('rate-text')?.value") == "It was"
