"""Checkout sessions: a page where the customer pays; its intent is made when somebody tries to."""

import time

from devstack.world.answers import Answer
from devstack.world.config import WorldConfig
from devstack.world.control import PaymentFaults
from devstack.world.deliveries import Deliveries, Job
from devstack.world.ledger import Ledger
from devstack.world.payments import records
from devstack.world.payments.events import Events
from devstack.world.payments.intents import Intents, currency_of, whole_amount
from devstack.world.payments.records import Record, shown
from devstack.world.payments.refusals import illegal, invalid, missing
from devstack.world.store import Store

KIND = "checkout.session"
JOB = "session_expiry"


class Sessions:
    """Every method but `expire_when_due` runs inside the transaction of its request."""

    def __init__(
        self,
        *,
        store: Store,
        ledger: Ledger,
        events: Events,
        intents: Intents,
        deliveries: Deliveries,
        faults: PaymentFaults,
        config: WorldConfig,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._events = events
        self._intents = intents
        self._deliveries = deliveries
        self._faults = faults
        self._config = config
        deliveries.handle(JOB, self.expire_when_due)

    def create(self, key: str, params: Record) -> Answer:
        """A new open session."""
        if params.get("mode") != "payment" or not params.get("success_url"):
            raise invalid("mode=payment and a success_url are wanted.", param="mode")
        if (customer := params.get("customer")) and self._store.get("customer", customer) is None:
            raise missing("customer", customer, param="customer", status=400)
        amount, currency = _total(params)
        expires_at = int(time.time() + self._faults.session_life_seconds)
        session = records.new_session(
            params, amount=amount, currency=currency, expires_at=expires_at, world_url=self._config.url, key=key
        )
        self._put(session)
        self._deliveries.plan(Job(id=session["id"], kind=JOB, due_at=expires_at, body={}))
        return Answer(200, shown(session))

    def retrieve(self, id: str, params: Record) -> Answer:
        """One session."""
        return Answer(200, shown(self.required(id)))

    def list(self, params: Record) -> Answer:
        """The sessions of a customer, newest first."""
        found = self._store.children(KIND, params.get("customer") or "")
        return Answer(200, records.listing(found, url="/v1/checkout/sessions", params=params))

    def expire(self, key: str, id: str, params: Record) -> Answer:
        """Nobody can pay any more."""
        session = self.required(id)
        if session["status"] != "open":
            raise illegal(f"Only open sessions can be expired; this one is {session['status']}.")
        self._ledger.append(
            "void",
            key=key,
            reference=session["id"],
            order_id=session["metadata"].get("order_id"),
            amount_minor=0,
            currency=session["currency"],
        )
        self._close(session, key)
        return Answer(200, shown(session))

    async def expire_when_due(self, job: Job) -> None:
        """A session that nobody paid ends by itself."""
        with self._store.transaction():
            session = self.required(job.id)
            if session["status"] == "open":
                self._close(session, None)

    def _close(self, session: Record, key: str | None) -> None:
        session |= {"status": "expired", "url": None}
        self._put(session)
        if session["_intent"] is not None:
            self._intents.release(self._intents.required(session["_intent"]), key=None, reason="abandoned")
        self._events.emit("checkout.session.expired", shown(session), key=key)

    def complete(self, session: Record, *, succeeded: bool) -> None:
        """The customer has tried to pay with a card that works, or with one that does not."""
        intent = self._intent(session)
        token = "pm_card_visa" if succeeded else "pm_card_chargeDeclined"
        session["_intent"] = intent["id"]
        if succeeded:
            session |= {"status": "complete", "payment_intent": intent["id"], "url": None}
            session["payment_status"] = "unpaid" if intent["capture_method"] == "manual" else "paid"
            intent["_session"] = None
        self._put(session)
        self._intents.store(intent)
        self._intents.confirm(session["_key"], intent["id"], {"payment_method": token})
        if succeeded:
            self._events.emit("checkout.session.completed", shown(session), key=session["_key"])

    def _intent(self, session: Record) -> Record:
        if session["_intent"] is not None:
            return self._intents.required(session["_intent"])
        params = session["_intent_data"] | {"currency": session["currency"], "customer": session["customer"]}
        intent = records.new_intent(params, amount=session["amount_total"], key=session["_key"])
        return intent | {"_session": session["id"]}

    def required(self, id: str) -> Record:
        """The session *id*."""
        session = self._store.get(KIND, id)
        if session is None:
            raise missing("checkout.session", id, param="session")
        return session

    def _put(self, session: Record) -> None:
        self._store.put(KIND, session, parent=session["customer"])
        for name, value in session["metadata"].items():
            self._store.tag(f"{name}={value}", session["id"])


def _total(params: Record) -> tuple[int, str]:
    items = params.get("line_items")
    if not isinstance(items, list) or not items:
        raise invalid("line_items are missing.", param="line_items", code="parameter_missing")
    prices = [
        item["price_data"] for item in items if isinstance(item, dict) and isinstance(item.get("price_data"), dict)
    ]
    if len(prices) != len(items):
        raise invalid("Every line item wants price_data.", param="line_items")
    counts = [whole_amount(item.get("quantity", "1"), "line_items[quantity]") for item in items]
    amounts = [whole_amount(price.get("unit_amount"), "line_items[price_data][unit_amount]") for price in prices]
    return sum(count * amount for count, amount in zip(counts, amounts, strict=True)), currency_of(prices[0])
