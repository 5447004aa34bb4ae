"""Refunds: taken money given back, never more than was taken."""

from devstack.world.answers import Answer
from devstack.world.ledger import Ledger
from devstack.world.payments import records
from devstack.world.payments.events import Events
from devstack.world.payments.intents import Intents, whole_amount
from devstack.world.payments.records import Record, shown
from devstack.world.payments.refusals import illegal, invalid, missing
from devstack.world.store import Store

KIND = "refund"


class Refunds:
    """Every method runs inside the transaction of its request."""

    def __init__(self, *, store: Store, ledger: Ledger, events: Events, intents: Intents) -> None:
        self._store = store
        self._ledger = ledger
        self._events = events
        self._intents = intents

    def create(self, key: str, params: Record) -> Answer:
        """Money of a captured intent or charge is given back."""
        charge = self._charge(params)
        left = charge["amount_captured"] - charge["amount_refunded"]
        amount = left if params.get("amount") is None else whole_amount(params["amount"], "amount")
        if not charge["captured"]:
            raise illegal("This charge was not captured, cancel the PaymentIntent instead.", code="charge_not_captured")
        if left == 0:
            raise illegal("The charge has already been refunded.", code="charge_already_refunded")
        if amount > left:
            raise illegal("Refund amount is greater than unrefunded amount on charge.", code="amount_too_large")
        refund = records.new_refund(charge, params, amount=amount)
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
        self._store.put("charge", charge, parent=charge["payment_intent"])
        self._store.put(KIND, refund, parent=charge["payment_intent"])
        self._ledger.append(
            "refund",
            key=key,
            reference=refund["id"],
            order_id=charge["metadata"].get("order_id"),
            amount_minor=amount,
            currency=charge["currency"],
        )
        self._events.emit("charge.refunded", shown(charge), key=key)
        return Answer(200, refund)

    def retrieve(self, id: str, params: Record) -> Answer:
        """One refund."""
        refund = self._store.get(KIND, id)
        if refund is None:
            raise missing("refund", id)
        return Answer(200, refund)

    def list(self, params: Record) -> Answer:
        """The refunds of an intent or charge, newest first."""
        charge = self._charge(params)
        found = self._store.children(KIND, charge["payment_intent"])
        return Answer(200, records.listing(found, url="/v1/refunds", params=params))

    def _charge(self, params: Record) -> Record:
        if id := params.get("charge"):
            charge = self._store.get("charge", id)
            if charge is None:
                raise missing("charge", id, param="charge")
            return charge
        if not params.get("payment_intent"):
            raise invalid("A payment_intent or a charge is wanted.", param="payment_intent", code="parameter_missing")
        intent = self._intents.required(params["payment_intent"])
        if intent["latest_charge"] is None:
            raise illegal("This PaymentIntent does not have a successful charge to refund.")
        return self._intents.charge_of(intent)
