"""Which state may follow which, and why: tables that tests walk and that draw ``docs/lifecycle.md``; nothing is moved here.

States are derived, never set (``domain.orders``, ``domain.payments``), so these tables say what the rules come to. One
message can pass through several states at once: a late pick lets the packing and the hand-over that waited for it follow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.vocabulary import FulfillmentState, OrderState, ParcelState, PaymentState


@dataclass(frozen=True, slots=True)
class Why:
    """What leads from one state to the next; *later*: promised by the vocabulary, and nothing leads there yet."""

    text: str
    later: bool = False


# State -> the states that may follow it; None is the beginning.
Table = Mapping[StrEnum | None, Mapping[StrEnum, Why]]

ORDER: Table = {
    None: {OrderState.RECEIVED: Why("taken, archived and announced in one transaction")},
    OrderState.RECEIVED: {
        OrderState.CONFIRMED: Why("stock is reserved and its money is held"),
        OrderState.REJECTED: Why("stock falls short, the payment is declined or expires"),
        OrderState.CANCELLED: Why("cancelled by a person before it was confirmed"),
    },
    OrderState.CONFIRMED: {
        OrderState.FULFILLING: Why("its fulfillments are released to their warehouses"),
        OrderState.RECEIVED: Why("the hold of money ran out before the release, and is asked for anew"),
        OrderState.REJECTED: Why("a hold on the order ends in a refusal"),
        OrderState.CANCELLED: Why("cancelled by a person before the release, or no warehouse can serve it"),
    },
    OrderState.FULFILLING: {
        OrderState.SHIPPED: Why("the last live unit was handed over"),
        OrderState.DELIVERED: Why("the last live unit is delivered by its first scan, and no money is owed"),
        OrderState.CANCELLED: Why("every unit was refused or not found"),
        OrderState.CONFIRMED: Why("every fulfillment was refused and the order is sourced again"),
        OrderState.UNDELIVERABLE: Why("what left never arrived and the rest was cancelled", later=True),
    },
    OrderState.SHIPPED: {
        OrderState.DELIVERED: Why("every live unit arrived and the money is settled"),
        OrderState.UNDELIVERABLE: Why("nothing arrived, and what was lost or sent back is settled", later=True),
    },
    OrderState.DELIVERED: {},
    OrderState.CANCELLED: {},
    OrderState.REJECTED: {},
    OrderState.UNDELIVERABLE: {},
}

_JUMP = "its less advanced units were refused or not found"
_FOUND = "a parcel given up for lost turns up"

FULFILLMENT: Table = {
    None: {FulfillmentState.PLANNED: Why("sourcing chose its location")},
    FulfillmentState.PLANNED: {
        FulfillmentState.RELEASED: Why("its money is held and no hold stands"),
        FulfillmentState.CANCELLED: Why("the order is rejected"),
    },
    FulfillmentState.RELEASED: {
        FulfillmentState.ACCEPTED: Why("the warehouse accepts, or begins without saying so"),
        FulfillmentState.PICKED: Why("everything is picked, which says that it was accepted"),
        FulfillmentState.REFUSED: Why("the warehouse refuses it whole"),
        FulfillmentState.CANCELLED: Why("nothing of it is found"),
    },
    FulfillmentState.ACCEPTED: {
        FulfillmentState.PICKED: Why("every live unit is picked"),
        FulfillmentState.REFUSED: Why("the warehouse refuses it after all"),
        FulfillmentState.CANCELLED: Why("nothing of it is found"),
        FulfillmentState.PACKED: Why(_JUMP),
        FulfillmentState.HANDED_OVER: Why(_JUMP),
        FulfillmentState.DELIVERED: Why(_JUMP),
        FulfillmentState.UNDELIVERABLE: Why(_JUMP),
    },
    FulfillmentState.PICKED: {
        FulfillmentState.PACKED: Why("every live unit is packed"),
        FulfillmentState.REFUSED: Why("the warehouse refuses it after all"),
        FulfillmentState.CANCELLED: Why("what was picked is found missing"),
        FulfillmentState.HANDED_OVER: Why(_JUMP),
        FulfillmentState.DELIVERED: Why(_JUMP),
        FulfillmentState.UNDELIVERABLE: Why(_JUMP),
    },
    FulfillmentState.PACKED: {
        FulfillmentState.HANDED_OVER: Why("its last parcel left, or is scanned by the carrier"),
        FulfillmentState.REFUSED: Why("the warehouse refuses it after all"),
        FulfillmentState.CANCELLED: Why("the warehouse accepts its cancellation"),
        FulfillmentState.DELIVERED: Why(_JUMP),
        FulfillmentState.UNDELIVERABLE: Why(_JUMP),
    },
    FulfillmentState.HANDED_OVER: {
        FulfillmentState.DELIVERED: Why(
            "its last parcel under way is delivered, or given up while another was delivered"
        ),
        FulfillmentState.UNDELIVERABLE: Why("its last parcel is lost or back, and none was delivered"),
    },
    FulfillmentState.DELIVERED: {FulfillmentState.HANDED_OVER: Why(_FOUND)},
    FulfillmentState.UNDELIVERABLE: {
        FulfillmentState.HANDED_OVER: Why(_FOUND),
        FulfillmentState.DELIVERED: Why(_FOUND),
    },
    FulfillmentState.CANCELLED: {FulfillmentState.REFUSED: Why("the warehouse refuses what it had not found")},
    FulfillmentState.REFUSED: {},
}

PARCEL: Table = {
    None: {
        ParcelState.PACKED: Why("packed; we buy its label"),
        ParcelState.LABELLED: Why("packed with the warehouse's own label"),
    },
    ParcelState.PACKED: {
        ParcelState.LABELLED: Why("a carrier sold the label"),
        ParcelState.HANDED_OVER: Why("it left before we knew its label"),
        ParcelState.CANCELLED: Why("all that is in it was refused"),
    },
    ParcelState.LABELLED: {
        ParcelState.HANDED_OVER: Why("handed over, or scanned by the carrier"),
        ParcelState.CANCELLED: Why("all that is in it was refused"),
    },
    ParcelState.HANDED_OVER: {
        ParcelState.DELIVERED: Why("the carrier delivered it"),
        ParcelState.SENT_BACK: Why("it is back at the house"),
        ParcelState.LOST: Why("the carrier gives it up"),
    },
    ParcelState.LOST: {
        ParcelState.HANDED_OVER: Why("it is scanned again"),
        ParcelState.DELIVERED: Why("it was delivered after all"),
        ParcelState.SENT_BACK: Why("it is back at the house after all"),
    },
    ParcelState.DELIVERED: {},
    ParcelState.SENT_BACK: {},
    ParcelState.CANCELLED: {},
}

PAYMENT: Table = {
    None: {
        PaymentState.PENDING: Why("card or wallet: the provider has not answered for every part"),
        PaymentState.AUTHORIZED: Why("prepaid or cash on delivery: no provider is asked"),
    },
    PaymentState.PENDING: {
        PaymentState.AUTHORIZED: Why("every part of it is held"),
        PaymentState.ACTION_REQUIRED: Why("the customer must act"),
        PaymentState.DECLINED: Why("the provider refuses"),
        PaymentState.VOIDED: Why("the order ended while it was being asked for"),
    },
    PaymentState.ACTION_REQUIRED: {
        PaymentState.AUTHORIZED: Why("the customer acted"),
        PaymentState.PENDING: Why("the customer acted, and other parts are still asked for"),
        PaymentState.DECLINED: Why("the customer failed to authenticate"),
        PaymentState.VOIDED: Why("the customer did not act in time"),
        PaymentState.EXPIRED: Why("the provider's own link ran out", later=True),
    },
    PaymentState.AUTHORIZED: {
        PaymentState.PARTIALLY_CAPTURED: Why("part of the goods left"),
        PaymentState.CAPTURED: Why("all that will leave has left"),
        PaymentState.VOIDED: Why("nothing left, and the hold is given back"),
        PaymentState.PENDING: Why("the hold ran out before the release, and is asked for anew"),
        PaymentState.EXPIRED: Why("the hold ran out after the release", later=True),
    },
    PaymentState.PARTIALLY_CAPTURED: {PaymentState.CAPTURED: Why("the rest left, or its hold is given back")},
    PaymentState.CAPTURED: {},
    PaymentState.DECLINED: {},
    PaymentState.EXPIRED: {},
    PaymentState.VOIDED: {},
}

TABLES: Mapping[str, Table] = {
    "Order": ORDER,
    "Fulfillment": FULFILLMENT,
    "Parcel": PARCEL,
    "Payment": PAYMENT,
}
