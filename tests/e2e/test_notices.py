"""Customers on a whole stack: what is in their mailbox and on their telephone, and where its link leads."""

import re
from typing import Any

import httpx

from tests.fixtures import bodies
from tests.fixtures.shop import Shop, View
from tests.fixtures.waiting import until

_LINK = re.compile(r"http://\S+/track/([\w-]+)")


async def arrived(shop: Shop, place: str, to: str, count: int) -> list[dict[str, Any]]:
    """What the customer has, once it is *count* messages."""

    async def look() -> list[dict[str, Any]]:
        answer = await shop.http.get(f"{shop.info['world_url']}/{place}", params={"to": to})
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return found if len(found) >= count else []

    return await until(look, f"{count} messages for the customer")


async def bought(shop: Shop, **customer: Any) -> View:
    """An order that has been delivered, with *customer* changed in it."""
    body = bodies.order([bodies.line(await shop.product(5), 2)])
    body["customer"] |= customer
    order = await shop.order(body)
    return await shop.until_state(order["order_id"], "delivered")


async def test_a_customer_gets_three_mails_whose_link_shows_the_order_and_stays_out_of_the_logs(shop: Shop):
    view = await bought(shop)

    mails = await arrived(shop, "mailbox", view["customer"]["email"], 3)

    for mail, words in zip(mails, ("is confirmed", "is on its way", "was delivered"), strict=True):
        assert words in mail["subject"] and view["order_ref"] in mail["subject"] and mail["copies"] == 1
    links = [_LINK.search(mail["plain"]) for mail in mails]
    [token] = {link[1] for link in links if link is not None}
    assert view["links"]["tracking_page"] == f"/track/{token}"
    page = await shop.http.get(f"{shop.info['api_url']}/track/{token}")
    assert page.status_code == httpx.codes.OK and "Your order was delivered" in page.text
    await shop.http.get(f"{shop.info['api_url']}/track/{token}x")
    await shop.http.post(f"{shop.info['api_url']}/v1/track/{token}/rating", content=b"{")
    logs = {log.name: log.read_bytes() for log in (shop.data / "logs").glob("*")}
    assert logs and not [name for name, content in logs.items() if token.encode() in content]
    kinds = [event["data"]["kind"] for event in await shop.events(view["order_id"]) if event["kind"] == "notice.sent"]
    assert kinds == ["order_confirmed", "shipped", "delivered"]


async def test_a_customer_who_wants_texts_and_only_what_they_need_gets_two_in_their_language(shop: Shop):
    view = await bought(shop, notify="sms", optional_notices=False, locale="zh-CN")

    texts = await arrived(shop, "phone", view["customer"]["phone"], 2)

    assert [
        (text["channel"], words in text["text"]) for text, words in zip(texts, ("已确认", "已发货"), strict=True)
    ] == [
        ("sms", True),
        ("sms", True),
    ]
