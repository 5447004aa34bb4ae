"""Labels: bought, found, voided. Every method runs inside the transaction of its request."""

import base64
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from devstack.world.answers import Answer
from devstack.world.carriers.paper import label_pdf, label_words
from devstack.world.carriers.tariffs import CURRENCY, Offer, Tariff, offers
from devstack.world.ledger import Ledger
from devstack.world.store import Store

KIND = "label"


class Labels:
    """The labels of every carrier."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger

    def rates(self, tariff: Tariff, shipment: Mapping[str, Any]) -> Answer:
        """What each service would cost."""
        return Answer(200, {"rates": [_rate(offer) for offer in _offers(tariff, shipment)]})

    def buy(self, tariff: Tariff, key: str, shipment: Mapping[str, Any], service: str) -> Answer:
        """A new label, when the carrier takes the parcel."""
        offer = next((offer for offer in _offers(tariff, shipment) if offer.service == service), None)
        if offer is None:
            return refused("not_served", "This service does not take that parcel there.")
        label = self.make(tariff, shipment, offer)
        self._enter("label", key, label)
        return Answer(201, self._view(label))

    def make(self, tariff: Tariff, shipment: Mapping[str, Any], offer: Offer) -> dict[str, Any]:
        """A label that exists, whoever paid for it."""
        number = f"{tariff.prefix}{secrets.randbelow(10**11):011d}{shipment['origin']['country']}"
        label = _rate(offer) | {
            "id": f"lbl_{secrets.token_hex(12)}",
            "carrier": tariff.name,
            "tracking_number": number,
            "reference": shipment["reference"],
            "order_id": shipment["order_id"],
            "voided": False,
            "collected": False,
            "shipment": dict(shipment),
        }
        self._store.put(KIND, label, parent=f"{tariff.name}:{shipment['reference']}")
        self._store.tag(f"tracking={number}", label["id"])
        return label

    def of_parcel(self, tariff: Tariff, reference: str) -> Answer:
        """Every label of one parcel, oldest first."""
        found = self._store.children(KIND, f"{tariff.name}:{reference}")
        return Answer(200, {"labels": [self._view(label) for label in found]})

    def void(self, tariff: Tariff, key: str, id: str) -> Answer:
        """The label counts no more; one that is void already stays so, and one that was used cannot be."""
        label = self._store.get(KIND, id)
        if label is None or label["carrier"] != tariff.name:
            return refused("not_found", "No such label.", status=404)
        if label["collected"]:
            return refused("already_collected", "The parcel has been collected.", status=409)
        if not label["voided"]:
            label["voided"] = True
            self._store.put(KIND, label)
            self._enter("label_void", key, label)
        return Answer(200, {"label_id": id, "voided": True})

    def tracked(self, tracking_number: str) -> dict[str, Any] | None:
        """The label with that tracking number."""
        found = self._store.tagged(KIND, f"tracking={tracking_number}")
        return found[-1] if found else None

    def collected(self, label: dict[str, Any]) -> None:
        """The carrier has the parcel."""
        self._store.put(KIND, label | {"collected": True})

    def _enter(self, kind: Any, key: str, label: Mapping[str, Any]) -> None:
        self._ledger.append(
            kind,
            key=key,
            reference=label["id"],
            order_id=label["order_id"],
            amount_minor=label["price_minor"],
            currency=label["currency"],
        )

    def _view(self, label: Mapping[str, Any]) -> dict[str, Any]:
        pdf = label_pdf(label_words(label, label["shipment"]))
        shown = {name: label[name] for name in SHOWN}
        return shown | {"label_id": label["id"], "pdf_base64": base64.b64encode(pdf).decode("ascii")}


SHOWN = (
    "carrier",
    "service",
    "tracking_number",
    "reference",
    "price_minor",
    "currency",
    "transit_days",
    "estimated_on",
    "voided",
)


def refused(code: str, message: str, *, status: int = 422, stored: bool = True) -> Answer:
    """A carrier's no."""
    return Answer(status, {"code": code, "message": message}, stored=stored)


def _offers(tariff: Tariff, shipment: Mapping[str, Any]) -> list[Offer]:
    return offers(
        tariff,
        origin=shipment["origin"]["country"],
        destination=shipment["destination"]["country"],
        weight_g=shipment["weight_g"],
        ship_at=datetime.fromisoformat(shipment["ship_at"]),
    )


def _rate(offer: Offer) -> dict[str, Any]:
    return {
        "service": offer.service,
        "price_minor": offer.price_minor,
        "currency": CURRENCY,
        "transit_days": offer.transit_days,
        "estimated_on": offer.estimated_on.isoformat(),
    }
