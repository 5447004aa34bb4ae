"""An order as its customer sees it by the link: built from what is stored, with everything personal left out; no reading."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from api.schemas.tracking import ScanView, TrackedOrderView, TrackedParcelView, TrackedProofView
from db.intake import Contact
from db.reading.orders import StoredOrder
from db.tracking_page import Progress, ProofOf, Scan
from domain import units
from domain.notices import acting, first_name, language_of
from domain.orders import Parcel, parcel_state
from domain.tracking_page import impersonal, may_rate, shown_state, steps
from domain.units import Stage
from domain.vocabulary import ParcelState, TrackingStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """Everything that a view by link is made from."""

    stored: StoredOrder
    progress: Progress
    scans: Sequence[Scan]
    proofs: Mapping[str, ProofOf]


def tracked_view(tracked: Tracked, *, own: str, now: datetime) -> TrackedOrderView:
    """The order by its link; *own* is the path of the view itself."""
    stored, progress = tracked.stored, tracked.progress
    order, contact = stored.order, stored.contact
    names = _product_names(stored)
    cancelled = units.by_line(order.portions, {Stage.CANCELLED})
    return {
        "order_ref": stored.order_ref,
        "state": shown_state(order),
        "version": stored.sequence,
        "language": language_of(contact.locale),
        "customer": {"first_name": first_name(contact.name), "town": contact.shipping_address.get("city")},
        "received_at": order.received_at,
        "promise": {
            "deliver_by": order.deliver_by,
            "first_deliver_by": order.first_deliver_by or order.deliver_by,
        },
        "steps": [{"step": step.step, "state": step.state, "at": step.at} for step in steps(order, progress.reached)],
        "actions": [{"type": "pay", "url": action.url, "due_at": action.due_at} for _, action in acting(order, now)],
        "lines": [
            {
                "name": names[line.line_id],
                "quantity": line.quantity,
                "cancelled": cancelled.get(line.line_id, 0),
            }
            for line in order.lines
        ],
        "parcels": [
            _parcel(tracked, parcel, number, own=own)
            for number, parcel in enumerate(order.parcels, start=1)
            if parcel_state(order, parcel) is not ParcelState.CANCELLED
        ],
        "may": {"ask": True, "rate": progress.score is None and may_rate(order)},
        "rating": progress.score,
    }


def _product_names(stored: StoredOrder) -> dict[str, str]:
    named = {line["line_id"]: line["name"] for line in stored.request["lines"]}
    return {line.line_id: named.get(line.line_id, line.sku) for line in stored.order.lines}


def _parcel(tracked: Tracked, parcel: Parcel, number: int, *, own: str) -> TrackedParcelView:
    order, names = tracked.stored.order, _product_names(tracked.stored)
    contents = units.by_line(order.portions, units.ANYWHERE, parcel_id=parcel.parcel_id)
    return {
        "number": number,
        "carrier": parcel.carrier,
        "tracking_number": parcel.tracking_number,
        "state": parcel_state(order, parcel),
        "status": parcel.tracking_status,
        "estimated_on": parcel.estimated_on,
        "delivered_at": parcel.delivered_at,
        "lines": [{"name": names[line_id], "quantity": quantity} for line_id, quantity in contents.items()],
        "events": _scans(tracked, parcel),
        "proof": _proof(tracked.proofs.get(parcel.parcel_id), f"{own}/parcels/{number}/photo"),
    }


def _scans(tracked: Tracked, parcel: Parcel) -> list[ScanView]:
    private = _private(tracked.stored.contact)
    return [
        {"status": TrackingStatus(scan.status), "at": scan.at, "location": impersonal(scan.location, private)}
        for scan in tracked.scans
        if scan.parcel_id == parcel.parcel_id
    ]


def _proof(proof: ProofOf | None, photo_url: str) -> TrackedProofView | None:
    if proof is None:
        return None
    return {"is_signed": proof.is_signed, "photo_url": None if proof.photo_key is None else photo_url}


def _private(contact: Contact) -> list[str | None]:
    """What a place must not name: the town is known, the rest of the address and the person are not."""
    address = contact.shipping_address
    people = [name for full in (contact.name, address.get("name")) for name in (full or "").split()]
    return [*people, *address["lines"], address.get("postal_code"), contact.phone, contact.email]
