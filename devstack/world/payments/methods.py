"""Customers and payment methods: a method is used once unless it belongs to a customer."""

from typing import Any

from devstack.world.answers import Answer
from devstack.world.payments import records
from devstack.world.payments.cards import CARDS
from devstack.world.payments.records import Record, shown
from devstack.world.payments.refusals import illegal, invalid, missing
from devstack.world.store import Store

KIND = "payment_method"


class Methods:
    """Every method runs inside the transaction of its request."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create_customer(self, key: str, params: Record) -> Answer:
        """A new customer."""
        customer = records.new_customer(params)
        self._store.put("customer", customer)
        return Answer(200, customer)

    def retrieve_customer(self, id: str, params: Record) -> Answer:
        """One customer."""
        customer = self._store.get("customer", id)
        if customer is None:
            raise missing("customer", id)
        return Answer(200, customer)

    def create(self, key: str, params: Record) -> Answer:
        """A payment method minted from a test card, to be used once or attached."""
        token = (params.get("card") or {}).get("token")
        if params.get("type") != "card" or token not in CARDS:
            raise invalid("A card with a test token is wanted.", param="card")
        method = records.new_method(token)
        self._store.put(KIND, method)
        return Answer(200, shown(method))

    def attach(self, key: str, id: str, params: Record) -> Answer:
        """The method belongs to a customer from now on; a test card is minted first."""
        customer = params.get("customer")
        if not customer or self._store.get("customer", customer) is None:
            raise missing("customer", str(customer), param="customer", status=400)
        method = self.usable(id, customer)
        self.use(method, customer=customer, attach=True, used=False)
        return Answer(200, shown(method))

    def retrieve(self, id: str, params: Record) -> Answer:
        """One payment method."""
        method = self._store.get(KIND, id)
        if method is None:
            raise missing("PaymentMethod", id)
        return Answer(200, shown(method))

    def list(self, params: Record) -> Answer:
        """The methods of a customer, newest first."""
        customer = params.get("customer") or ""
        found = self._store.tagged(KIND, f"attached={customer}")
        return Answer(200, records.listing(found, url="/v1/payment_methods", params=params))

    def usable(self, id: Any, customer: str | None) -> Record:
        """The method to charge: a test card becomes a new one.

        Raises:
            Refusal: unknown, another customer's, or used before without belonging to a customer.
        """
        if not isinstance(id, str) or not id:
            raise invalid("A payment method is missing.", param="payment_method", code="parameter_missing")
        if id in CARDS:
            return records.new_method(id)
        method = self._store.get(KIND, id)
        if method is None:
            raise missing("PaymentMethod", id, param="payment_method", status=400)
        if method["customer"] is not None and method["customer"] != customer:
            raise illegal("The PaymentMethod belongs to another customer.", param="payment_method")
        if method["customer"] is None and method["_used"]:
            raise illegal(
                "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment,"
                " and may not be used again.",
                param="payment_method",
            )
        return method

    def use(self, method: Record, *, customer: str | None, attach: bool, used: bool = True) -> None:
        """*method* was charged; with *attach* it belongs to *customer*."""
        method["_used"] = method["_used"] or used
        if attach and customer is not None:
            method["customer"] = customer
        self._store.put(KIND, method)
        if method["customer"] is not None:
            self._store.tag(f"attached={method['customer']}", method["id"])
