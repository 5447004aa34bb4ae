"""Where a customer pays or authenticates: a small page, and the same for tests without a browser."""

import html
from typing import Literal

from devstack.world.payments.intents import KIND as INTENT
from devstack.world.payments.intents import Intents
from devstack.world.payments.records import Record
from devstack.world.payments.sessions import KIND as SESSION
from devstack.world.payments.sessions import Sessions
from devstack.world.store import Store

Outcome = Literal["succeeded", "failed"]
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Pay</title><style>body{{font:16px system-ui;max-width:26rem;margin:4rem auto;padding:0 1rem}}
button{{font:inherit;padding:.6rem 1.2rem;margin-right:.6rem}}</style>
<h1>{title}</h1><p>{amount}</p>{actions}</html>"""
BUTTONS = """<form method="post"><button name="outcome" value="succeeded">Pay</button>
<button name="outcome" value="failed">Refuse</button></form>"""


class Pages:
    """What waits for a customer, by Stripe's id or by ours."""

    def __init__(self, *, store: Store, intents: Intents, sessions: Sessions) -> None:
        self._store = store
        self._intents = intents
        self._sessions = sessions

    def find(self, id: str) -> list[Record]:
        """The intents and sessions of a payment, an authorization or a Stripe id, oldest first; empty when unknown."""
        own = [record for kind in (INTENT, SESSION) if (record := self._store.get(kind, id)) is not None]
        tags = [f"{name}={id}" for name in ("payment_id", "authorization_id")]
        return own or [record for kind in (INTENT, SESSION) for tag in tags for record in self._store.tagged(kind, tag)]

    def complete(self, id: str, outcome: Outcome) -> Record | None:
        """What was waiting under *id* after the customer acted, None when nothing waits."""
        waiting = [record for record in self.find(id) if record["status"] in ("requires_action", "open")]
        if not waiting:
            return None
        record = waiting[-1]
        with self._store.transaction():
            if record["object"] == SESSION:
                self._sessions.complete(record, succeeded=outcome == "succeeded")
            elif outcome == "succeeded":
                self._intents.authenticated(record)
            else:
                self._intents.failed(
                    record,
                    code="payment_intent_authentication_failure",
                    decline_code=None,
                    message="The provided PaymentMethod has failed authentication.",
                )
        return record

    def page(self, id: str) -> str | None:
        """The page of one intent or session, None when there is none."""
        found = self.find(id)
        if not found:
            return None
        record = found[-1]
        amount = record.get("amount_total", record.get("amount"))
        words = f"{amount} {record['currency'].upper()} (minor units), order {record['metadata'].get('order_id', '-')}"
        waits = record["status"] in ("requires_action", "open")
        title = "Please confirm this payment" if waits else f"This payment is {record['status']}"
        return PAGE.format(title=html.escape(title), amount=html.escape(words), actions=BUTTONS if waits else "")
