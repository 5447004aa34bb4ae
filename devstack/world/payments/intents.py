"""Payment intents: one attempt, held or taken at once, captured once, cancelled, found again."""

import re
import time
from collections.abc import Mapping
from typing import Any

from devstack.world.answers import Answer
from devstack.world.config import WorldConfig
from devstack.world.control import DAY, PaymentFaults
from devstack.world.deliveries import Deliveries, Job
from devstack.world.ledger import Ledger
from devstack.world.payments import records
from devstack.world.payments.cards import CARDS, Card
from devstack.world.payments.events import Events
from devstack.world.payments.methods import Methods
from devstack.world.payments.records import Record, shown
from devstack.world.payments.refusals import Refusal, card_error, illegal, invalid, missing
from devstack.world.store import Store

KIND = "payment_intent"
JOB = "authorization_expiry"
CANCELLABLE = ("requires_payment_method", "requires_capture", "requires_confirmation", "requires_action")
LARGEST_AMOUNT = 999_999_999_999
MESSAGES = {
    "card_declined": "Your card was declined.",
    "expired_card": "Your card has expired.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
}


class Intents:
    """Every method runs inside the transaction of its request."""

    def __init__(
        self,
        *,
        store: Store,
        ledger: Ledger,
        events: Events,
        methods: Methods,
        deliveries: Deliveries,
        faults: PaymentFaults,
        config: WorldConfig,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._events = events
        self._methods = methods
        self._deliveries = deliveries
        self._faults = faults
        self._config = config
        deliveries.handle(JOB, self.expire_when_due)

    def create(self, key: str, params: Record) -> Answer:
        """A new intent, tried at once when `confirm` says so."""
        amount = whole_amount(params.get("amount"), "amount")
        currency_of(params)
        if params.get("capture_method") not in (None, "manual", "automatic", "automatic_async"):
            raise invalid("Invalid capture_method", param="capture_method")
        if (customer := params.get("customer")) and self._store.get("customer", customer) is None:
            raise missing("customer", customer, param="customer", status=400)
        intent = records.new_intent(params, amount=amount, key=key)
        if params.get("confirm") != "true":
            return self._saved(intent, params)
        method = self._methods.usable(params.get("payment_method"), customer)
        return self._attempt(intent, method, params)

    def confirm(self, key: str, id: str, params: Record) -> Answer:
        """An existing intent is tried with a payment method."""
        intent = self.required(id)
        if intent["status"] not in ("requires_payment_method", "requires_confirmation"):
            raise self._unexpected(intent, "confirm")
        method = self._methods.usable(params.get("payment_method") or intent["payment_method"], intent["customer"])
        return self._attempt(intent | {"_key": key}, method, params)

    def capture(self, key: str, id: str, params: Record) -> Answer:
        """Money is taken once; what is held beyond it is released."""
        intent = self.required(id)
        if intent["status"] != "requires_capture":
            raise self._unexpected(intent, "capture")
        amount = intent["amount_capturable"]
        if params.get("amount_to_capture") is not None:
            amount = whole_amount(params["amount_to_capture"], "amount_to_capture")
        if amount > intent["amount_capturable"]:
            raise illegal("The amount to capture is greater than the amount held.", code="amount_too_large")
        charge = self.charge_of(intent)
        if charge["payment_method_details"]["card"]["capture_before"] <= time.time():
            self.release(intent, key=None, reason="automatic")
            return illegal("The hold on this charge has expired.", code="charge_expired_for_capture").answer
        method = self._store.get("payment_method", intent["payment_method"]) or {}
        if CARDS[method["_token"]].capture_fails:
            return card_error(MESSAGES["card_declined"], code="card_declined", decline_code=None, intent=shown(intent))
        self._take(intent, charge, amount, key)
        return self._saved(intent, params)

    def cancel(self, key: str, id: str, params: Record) -> Answer:
        """The hold is given back."""
        intent = self.required(id)
        if intent["status"] not in CANCELLABLE:
            raise self._unexpected(intent, "cancel")
        if intent["_session"] is not None and intent["status"] != "requires_capture":
            raise illegal("This PaymentIntent belongs to an open Checkout Session; expire the session instead.")
        self.release(intent, key=key, reason=params.get("cancellation_reason"))
        return self._saved(intent, params)

    def release(self, intent: Record, *, key: str | None, reason: str | None) -> None:
        """*intent* ends; with a *key* somebody asked for it, and the ledger has a void."""
        if key is not None:
            self._enter("void", intent, key, intent["amount_capturable"])
        changes = {"status": "canceled", "amount_capturable": 0, "next_action": None, "canceled_at": int(time.time())}
        intent |= changes | {"cancellation_reason": reason}
        self.store(intent)
        self._events.emit("payment_intent.canceled", shown(intent), key=key)

    async def expire_when_due(self, job: Job) -> None:
        """A hold that nobody captured ends by itself."""
        with self._store.transaction():
            intent = self.required(job.body["id"])
            if intent["status"] == "requires_capture":
                self.release(intent, key=None, reason="automatic")

    def retrieve(self, id: str, params: Record) -> Answer:
        """One intent."""
        return Answer(200, self._expanded(self.required(id), params.get("expand")))

    def list(self, params: Record) -> Answer:
        """The intents of a customer, newest first, at once."""
        found = self._store.children(KIND, params.get("customer") or "")
        page = records.listing(found, url="/v1/payment_intents", params=params)
        expand = [field.removeprefix("data.") for field in params.get("expand") or []]
        return Answer(200, page | {"data": [self._expanded(intent, expand) for intent in page["data"]]})

    def search(self, params: Record) -> Answer:
        """Intents by metadata; what is younger than the lag is not found yet, as with Stripe."""
        clauses = re.findall(r"""metadata\[['"](\w+)['"]\]\s*:\s*['"]([^'"]*)['"]""", params.get("query") or "")
        if not clauses:
            raise invalid("The query cannot be read.", param="query")
        old_enough = time.time() - self._faults.search_lag_seconds
        found = [
            intent
            for intent in self._store.tagged(KIND, "=".join(clauses[0]))
            if all(intent["metadata"].get(name) == value for name, value in clauses) and intent["created"] <= old_enough
        ]
        page = records.listing(found, url="/v1/payment_intents/search", params=params)
        return Answer(200, page | {"object": "search_result", "next_page": None})

    def required(self, id: str) -> Record:
        """The intent *id*."""
        intent = self._store.get(KIND, id)
        if intent is None:
            raise missing("payment_intent", id, param="intent")
        return intent

    def charge_of(self, intent: Record) -> Record:
        """The latest charge of an intent that has one."""
        charge = self._store.get("charge", intent["latest_charge"])
        assert charge is not None, "an intent's charge is written with it"
        return charge

    def store(self, intent: Record) -> None:
        """*intent* is found by id, customer and metadata."""
        self._store.put(KIND, intent, parent=intent["customer"])
        for name, value in intent["metadata"].items():
            self._store.tag(f"{name}={value}", intent["id"])

    def authenticated(self, intent: Record) -> None:
        """The customer has proved to own the card: the money is held."""
        method = self._store.get("payment_method", intent["payment_method"])
        assert method is not None, "an intent's method is written with it"
        method["_authenticated"] = True
        self._hold(intent, method)
        self.store(intent)

    def failed(self, intent: Record, *, code: str, decline_code: str | None, message: str) -> None:
        """The attempt ended without money; another method may be tried."""
        error = {"type": "card_error", "code": code, "decline_code": decline_code, "message": message}
        intent |= {"status": "requires_payment_method", "last_payment_error": error, "next_action": None}
        self.store(intent)
        self._events.emit("payment_intent.payment_failed", shown(intent), key=intent["_key"])

    def _attempt(self, intent: Record, method: Record, params: Record) -> Answer:
        card = CARDS[method["_token"]]
        intent |= {"payment_method": method["id"], "last_payment_error": None}
        intent["_return_url"] = params.get("return_url") or intent["_return_url"]
        if refused := self._refused(card, method, off_session=params.get("off_session") == "true"):
            code, decline_code = refused
            charge = records.new_charge(intent, method, life_seconds=0)
            charge |= {"status": "failed", "paid": False, "failure_code": code}
            self._store.put("charge", charge, parent=intent["id"])
            intent["latest_charge"] = charge["id"]
            self.failed(intent, code=code, decline_code=decline_code, message=MESSAGES[code])
            return card_error(MESSAGES[code], code=code, decline_code=decline_code, intent=shown(intent))
        if card.authenticate and not method["_authenticated"]:
            page = {"url": f"{self._config.url}/pay/{intent['id']}", "return_url": intent["_return_url"]}
            intent |= {
                "status": "requires_action",
                "next_action": {"type": "redirect_to_url", "redirect_to_url": page},
            }
            self._store.put("payment_method", method | {"_used": True}, parent=method["customer"])
            self._events.emit("payment_intent.requires_action", shown(intent), key=intent["_key"])
        else:
            self._hold(intent, method)
        return self._saved(intent, params)

    @staticmethod
    def _refused(card: Card, method: Record, *, off_session: bool) -> tuple[str, str | None] | None:
        if card.decline is not None:
            return card.decline
        if card.authenticate and off_session and not method["_authenticated"]:
            return "authentication_required", "authentication_required"
        return None

    def _hold(self, intent: Record, method: Record) -> None:
        charge = records.new_charge(intent, method, life_seconds=self._faults.authorization_life_seconds)
        self._methods.use(method, customer=intent["customer"], attach=intent["setup_future_usage"] is not None)
        intent |= {
            "status": "requires_capture",
            "amount_capturable": intent["amount"],
            "latest_charge": charge["id"],
            "next_action": None,
        }
        self._store.put("charge", charge, parent=intent["id"])
        self._enter("authorization", intent, intent["_key"], intent["amount"])
        if self._faults.authorization_life_seconds <= DAY:
            # Only a shortened life runs out while somebody watches; a capture looks at the date in any case.
            due_at = time.time() + self._faults.authorization_life_seconds
            self._deliveries.plan(Job(id=f"expiry:{intent['id']}", kind=JOB, due_at=due_at, body={"id": intent["id"]}))
        if intent["capture_method"] == "manual":
            self._events.emit("payment_intent.amount_capturable_updated", shown(intent), key=intent["_key"])
        else:
            self._take(intent, charge, intent["amount"], intent["_key"])

    def _take(self, intent: Record, charge: Record, amount: int, key: str) -> None:
        intent |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
        charge |= {"captured": True, "amount_captured": amount}
        self._store.put("charge", charge, parent=intent["id"])
        self._enter("capture", intent, key, amount)
        self._events.emit("payment_intent.succeeded", shown(intent), key=key)

    def _enter(self, kind: Any, intent: Record, key: str, amount: int) -> None:
        self._ledger.append(
            kind,
            key=key,
            reference=intent["id"],
            order_id=intent["metadata"].get("order_id"),
            amount_minor=amount,
            currency=intent["currency"],
        )

    def _saved(self, intent: Record, params: Record) -> Answer:
        self.store(intent)
        return Answer(200, self._expanded(intent, params.get("expand")))

    def _expanded(self, intent: Record, expand: Any) -> Record:
        view = shown(intent)
        if "latest_charge" in (expand or []) and view["latest_charge"] is not None:
            view["latest_charge"] = shown(self.charge_of(intent))
        return view

    def _unexpected(self, intent: Record, verb: str) -> Refusal:
        return illegal(
            f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}.",
            code="payment_intent_unexpected_state",
            payment_intent=shown(intent),
        )


def whole_amount(text: Any, param: str) -> int:
    """A positive amount in minor units."""
    if not isinstance(text, str) or not re.fullmatch(r"\d{1,12}", text) or not 0 < int(text) <= LARGEST_AMOUNT:
        raise invalid(f"Invalid positive integer: {param}", param=param)
    return int(text)


def currency_of(params: Mapping[str, Any], name: str = "currency") -> str:
    """Three small letters."""
    currency = params.get(name)
    if not isinstance(currency, str) or not re.fullmatch(r"[a-z]{3}", currency):
        raise invalid(f"Invalid currency: {currency}", param=name)
    return currency
