"""Staff sees what an order's customer was written to about, and never the words or the address."""

from sqlalchemy import text

from db import notices
from db.notices import NewNotice
from tests.api.bodies import order
from tests.api.conftest import Api


async def test_staff_sees_what_was_sent_waits_or_was_given_up(api: Api):
    created = (await api["storefront"].post("/v1/orders", json=order())).json()
    order_id = created["order_id"]
    queued = NewNotice(
        order_id=order_id, sequence=1, occasion="order", kind="order_confirmed", channel="email", locale="zh"
    )
    async with api.sessions.begin() as session:
        await notices.queue(session, [queued])
        await session.execute(
            text("UPDATE notices SET message = jsonb_build_object('to', 'secret@example.org') WHERE order_id = :id"),
            {"id": order_id},
        )
        await notices.give_up(session, queued.notice_id, error="smtp_550")

    seen = await api["support"].get(f"/v1/orders/{order_id}/notices")
    refused = [await api[name].get(f"/v1/orders/{order_id}/notices") for name in ("storefront", "warehouse", "nobody")]
    unknown = await api["operations"].get("/v1/orders/ord_unknown/notices")

    [notice] = seen.json()["items"]
    times = {name: notice.pop(name) for name in ("created_at", "settled_at")}
    assert notice == {
        "notice_id": f"ntc_{order_id.removeprefix('ord_')}_1_email",
        "kind": "order_confirmed",
        "channel": "email",
        "locale": "zh",
        "state": "given_up",
        "sequence": 1,
        "attempts": 0,
        "last_error": "smtp_550",
    }
    assert all(times.values()) and "secret" not in seen.text
    assert [answer.status_code for answer in refused] == [403, 403, 401]
    assert unknown.status_code == 404
