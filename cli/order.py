"""One order's whole story in the terminal: where it stands, its lines, money, parcels, decisions and events."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cli.client import Client, read_json, reason
from cli.following import outcome_of, waits_of
from cli.text import clean, clock, moment, money, plain, short_data, state_text, until

ROLE = "support"
View = Mapping[str, Any]


class OrderNotFoundError(Exception):
    """No such order for this key; the message is one line for a person."""


async def load(client: Client, name: str) -> tuple[View, list[View]]:
    """The order that an id or an order_ref names, with all its events.

    Raises:
        OrderNotFoundError: there is none, or the API refuses to show it.
    """
    view = await _view(client, name)
    events: list[View] = []
    cursor: str | None = None
    while True:
        params: dict[str, Any] = {"limit": 200} | ({"cursor": cursor} if cursor else {})
        response = await client.get(f"/v1/orders/{view['order_id']}/events", role=ROLE, params=params)
        page = read_json(response)
        if not response.is_success or not isinstance(page, Mapping):
            raise OrderNotFoundError(f"the events of {clean(name)} cannot be read: {reason(response)}")
        events += _dicts(page.get("items"))
        cursor = page.get("next_cursor")
        if not cursor:
            return view, events


async def _view(client: Client, name: str) -> View:
    if name.startswith("ord_"):
        response = await client.get(f"/v1/orders/{quote(name, safe='')}", role=ROLE)
        view = read_json(response)
        if response.is_success and isinstance(view, Mapping):
            return view
        if response.status_code not in {httpx.codes.NOT_FOUND, httpx.codes.UNPROCESSABLE_ENTITY}:
            raise OrderNotFoundError(f"{clean(name)} cannot be read: {reason(response)}")
    response = await client.get("/v1/orders", role=ROLE, params={"order_ref": name, "limit": 200})
    page = read_json(response)
    if not response.is_success or not isinstance(page, Mapping):
        raise OrderNotFoundError(f"{clean(name)} cannot be looked up: {reason(response)}")
    found = _dicts(page.get("items"))
    if not found:
        raise OrderNotFoundError(f"no order {clean(name)} on {client.stack.name}")
    if len(fronts := {(view.get("channel"), view.get("source")) for view in found}) > 1:
        ids = ", ".join(f"{clean(view['order_id'])} ({clean(view.get('channel'))})" for view in found)
        raise OrderNotFoundError(f"{len(fronts)} front doors have an order {clean(name)}: {ids}")
    response = await client.get(f"/v1/orders/{found[0]['order_id']}", role=ROLE)
    view = read_json(response)
    return view if response.is_success and isinstance(view, Mapping) else found[0]


def render(view: View, events: Sequence[View], now: datetime | None = None) -> RenderableType:
    """The whole story, sections without content left out; data is shown cleaned, never as markup."""
    at = now or datetime.now(UTC)
    sections: list[tuple[str, RenderableType | None]] = [
        ("", _header(view, at)),
        ("needs attention", _attention(view, at)),
        ("holds", _holds(view, at)),
        ("lines", _lines(view)),
        ("payments", _payments(view)),
        ("fulfillments", _fulfillments(view)),
        ("cancellations", _cancellations(view)),
        ("decisions", _decisions(view)),
        ("events", _events(events)),
    ]
    parts: list[RenderableType] = []
    for title, body in sections:
        if body is None:
            continue
        if title:
            parts += [Text(), Text(title, style="bold"), Padding(body, (0, 0, 0, 2), expand=False)]
        else:
            parts.append(body)
    return Group(*parts)


def _dicts(value: object) -> list[View]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _table(*headings: str, right: Iterable[str] = ()) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    return table


def _header(view: View, now: datetime) -> RenderableType:
    head = Text.assemble(
        (clean(view.get("order_id", "")), "bold"),
        f"  {clean(view.get('order_ref', ''))}  ",
        state_text(view.get("state")),
    )
    if (why := outcome_of(view)) is not None:
        head.append(f" ({clean(why)})")
    front = f"{clean(view.get('channel', '-'))}/{clean(view.get('source', '-'))}"
    facts = _table("", "")
    facts.show_header = False
    facts.add_row(
        "from", f"{front}  {clean(view.get('service_level', '-'))}  priority {clean(view.get('priority', '-'))}"
    )
    facts.add_row("received", f"{clock(view.get('received_at'))}  changed {clock(view.get('changed_at'))}")
    for wait in waits_of(view) or [{}]:
        facts.add_row("waits for", _wait(wait, now))
    promise = view.get("promise")
    if isinstance(promise, Mapping):
        ship, deliver = clock(promise.get("ship_by")), clock(promise.get("deliver_by"))
        facts.add_row("promise", f"ship by {ship}  deliver by {deliver}")
    if view.get("replaces"):
        facts.add_row("replaces", clean(view["replaces"]))
    links = view.get("links")
    if isinstance(links, Mapping) and links.get("temporal"):
        facts.add_row("workflow", clean(links["temporal"]))
    return Group(head, facts)


def _wait(wait: View, now: datetime) -> Text:
    if not wait:
        return Text("nothing")
    due = wait.get("due_at")
    at = moment(due)
    person = f" ({clean(wait['person'])})" if wait.get("person") else ""
    text = Text(f"{clean(wait.get('next_step', '-'))} by {clean(wait.get('owner', '-'))}{person}")
    text.append(f"  {clean(wait.get('subject', ''))}  due {clock(due)} ")
    return text.append(f"({until(due, now)})", style="red" if at is not None and at < now else "")


def _attention(view: View, now: datetime) -> Table | None:
    cases = _dicts(view.get("attention"))
    if not cases:
        return None
    table = _table("code", "subject", "owner", "due", "cause", "fixes")
    for case in cases:
        fixes = ", ".join(clean(fix.get("fix", "")) for fix in _dicts(case.get("fixes")))
        due = until(case.get("due_at"), now)
        cells = (plain(case.get("code", ""), "red"), plain(case.get("subject", "")), plain(case.get("owner", "")))
        table.add_row(*cells, due, plain(case.get("cause") or ""), fixes)
    return table


def _holds(view: View, now: datetime) -> Table | None:
    holds = _dicts(view.get("holds"))
    if not holds:
        return None
    table = _table("hold", "reason", "owner", "due", "note")
    for hold in holds:
        cells = (plain(hold.get("hold_id", "")), plain(hold.get("reason", "")), plain(hold.get("owner", "")))
        table.add_row(*cells, until(hold.get("due_at"), now), plain(hold.get("note") or ""))
    return table


def _lines(view: View) -> Table | None:
    lines = _dicts(view.get("lines"))
    if not lines:
        return None
    table = _table("line", "sku", "name", "price", "units", right=("price",))
    for line in lines:
        buckets = line.get("quantities")
        units = clean(line.get("quantity", "-"))
        if isinstance(buckets, Mapping):
            units = ", ".join(
                f"{clean(count)} {clean(name)}" for name, count in buckets.items() if count and name != "ordered"
            )
        price = money(line.get("unit_price_minor"), view.get("currency", ""))
        cells = (plain(line.get("line_id", "")), plain(line.get("sku", "")), plain(line.get("name") or ""))
        table.add_row(*cells, price, plain(units))
    return table


def _payments(view: View) -> RenderableType | None:
    currency, amounts = view.get("currency", ""), view.get("amounts")
    table = _table("payment", "method", "state", "amount", "", right=("amount",))
    for payment in _dicts(view.get("payments")):
        cells = (plain(payment.get(name, "")) for name in ("payment_id", "method", "state"))
        amount = money(payment.get("amount_minor"), currency)
        table.add_row(*cells, amount, plain(payment.get("decline_code") or "", "red"))
    parts: list[RenderableType] = [table] if table.row_count else []
    if isinstance(amounts, Mapping):
        named = [(name, amounts.get(f"{name}_minor")) for name in _SUMS]
        sums = [f"{name} {money(amount, currency)}" for name, amount in named if amount is not None]
        parts.append(Text("  ".join(sums)))
    return Group(*parts) if parts else None


_SUMS = ("total", "authorized", "captured", "refunded")


def _fulfillments(view: View) -> RenderableType | None:
    fulfillments = _dicts(view.get("fulfillments"))
    if not fulfillments:
        return None
    table = _table("", "state", "carrier", "tracking", "status", "handed over", "delivered")
    for fulfillment in fulfillments:
        where = f"{clean(fulfillment.get('fulfillment_id', ''))} at {clean(fulfillment.get('location_id', ''))}"
        table.add_row(where, plain(fulfillment.get("state", "")), "", "", "", "", "")
        for parcel in _dicts(fulfillment.get("parcels")):
            carrier = f"{clean(parcel.get('carrier') or '-')} {clean(parcel.get('service') or '')}".strip()
            table.add_row(
                f"  parcel {clean(parcel.get('parcel_ref') or parcel.get('parcel_id', ''))}",
                plain(parcel.get("state", "")),
                carrier,
                plain(parcel.get("tracking_number") or "-"),
                plain(parcel.get("tracking_status") or "-"),
                clock(parcel.get("handed_over_at")),
                clock(parcel.get("delivered_at")),
            )
    return table


def _cancellations(view: View) -> Table | None:
    cancellations = _dicts(view.get("cancellations"))
    if not cancellations:
        return None
    table = _table("cancellation", "state", "reason", "actor")
    for entry in cancellations:
        table.add_row(*(plain(entry.get(name) or "-") for name in ("cancellation_id", "state", "reason", "actor")))
    return table


def _decisions(view: View) -> Table | None:
    decisions = _dicts(view.get("decisions"))
    if not decisions:
        return None
    table = _table("decision", "at", "chosen", "candidates")
    for decision in decisions:
        chosen, candidates = decision.get("chosen"), decision.get("candidates")
        shown = short_data(chosen, limit=80) if isinstance(chosen, Mapping) else clean(_joined(chosen), limit=80)
        count = str(len(candidates)) if isinstance(candidates, list) else "-"
        table.add_row(plain(decision.get("kind", "")), clock(decision.get("at")), Text(shown), count)
    return table


def _joined(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return "-" if value is None else str(value)


def _events(events: Sequence[View]) -> Table | None:
    if not events:
        return None
    table = _table("#", "at", "event", "actor", "data", right=("#",))
    for event in events:
        style = "bold" if str(event.get("kind", "")).startswith("order.") else ""
        table.add_row(
            plain(event.get("sequence", "")),
            clock(event.get("at")),
            plain(event.get("kind", ""), style),
            plain(actor_of(event)),
            Text(short_data(event.get("data"))),
        )
    return table


def actor_of(event: View) -> str:
    """Who caused an event, ``kind:id`` where the API gives both."""
    actor = event.get("actor")
    if isinstance(actor, Mapping):
        parts = [actor.get(name) for name in ("kind", "type", "role", "id")]
        return ":".join(str(part) for part in parts if part)
    return str(actor or "")
