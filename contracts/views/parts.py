"""Parcels, fulfillments, addresses and events as they look from outside; built from values, without I/O."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain import units
from domain.orders import Fulfillment, Order, Parcel, Request, fulfillment_state, parcel_state
from domain.units import Stage
from domain.vocabulary import RequestState


def parcel_view(order: Order, parcel: Parcel) -> dict[str, Any]:
    """One parcel, as the order's and the fulfillment's views show it."""
    contents = units.by_line(order.portions, units.ANYWHERE, parcel_id=parcel.parcel_id)
    return {
        "parcel_id": parcel.parcel_id,
        "parcel_ref": parcel.parcel_ref,
        "state": parcel_state(order, parcel),
        "carrier": parcel.carrier,
        "service": parcel.service,
        "tracking_number": parcel.tracking_number,
        "tracking_status": parcel.tracking_status,
        "weight_g": parcel.weight_g,
        "lines": [{"line_id": line_id, "quantity": quantity} for line_id, quantity in contents.items()],
        "handed_over_at": parcel.handed_over_at,
        "estimated_on": parcel.estimated_on,
        "delivered_at": parcel.delivered_at,
        "label_url": (
            f"/v1/parcels/{parcel.parcel_id}/label" if parcel.tracking_number and not parcel.own_label else None
        ),
        "proof_url": f"/v1/parcels/{parcel.parcel_id}/proof" if parcel.has_proof else None,
    }


def fulfillment_view(
    order: Order,
    fulfillment: Fulfillment,
    *,
    order_ref: str,
    priority: int,
    ship_to: Mapping[str, Any],
    gift: Mapping[str, Any] | None,
    products: Mapping[str, tuple[str, str | None]],
) -> dict[str, Any]:
    """A fulfillment as its warehouse sees it: the units that are still wanted; *products* gives (name, gtin) by sku."""
    gone = units.by_line(order.portions, {Stage.CANCELLED}, fulfillment_id=fulfillment.fulfillment_id)
    return {
        "fulfillment_id": fulfillment.fulfillment_id,
        "order_id": order.order_id,
        "order_ref": order_ref,
        "location_id": fulfillment.location_id,
        "state": fulfillment_state(order, fulfillment),
        "priority": priority,
        "service_level": order.service_level,
        "ship_by": order.ship_by,
        "released_at": fulfillment.released_at,
        "gift": gift,
        "ship_to": dict(ship_to),
        "lines": [
            {
                "line_id": allocation.line_id,
                "sku": allocation.sku,
                "name": products.get(allocation.sku, (allocation.sku, None))[0],
                "gtin": products.get(allocation.sku, (allocation.sku, None))[1],
                "quantity": allocation.quantity - gone.get(allocation.line_id, 0),
            }
            for allocation in fulfillment.allocations
            if allocation.quantity > gone.get(allocation.line_id, 0)
        ],
        "parcels": [parcel_view(order, parcel) for parcel in order.parcels_of(fulfillment.fulfillment_id)],
        "requests": [
            _request_view(request)
            for request in order.requests
            if request.fulfillment_id == fulfillment.fulfillment_id and request.state is RequestState.OPEN
        ],
    }


def _request_view(request: Request) -> dict[str, Any]:
    return {
        "request_id": request.request_id,
        "kind": request.kind,
        "lines": [{"line_id": line.line_id, "quantity": line.quantity} for line in request.lines],
        "due_at": request.due_at,
    }


def ship_to_view(*, name: str | None, phone: str | None, address: Mapping[str, Any]) -> dict[str, Any]:
    """Whom and where the warehouse sends to."""
    return {
        "name": address.get("name") or name,
        "phone": phone,
        "lines": list(address["lines"]),
        "city": address.get("city"),
        "region": address.get("region"),
        "postal_code": address.get("postal_code"),
        "country": address["country"],
    }


def event_view(
    *, sequence: int, kind: str, at: datetime, actor_kind: str, actor_id: str | None, data: Mapping[str, Any]
) -> dict[str, Any]:
    """One event, the same in timeline, stream and webhook."""
    return {
        "sequence": sequence,
        "kind": kind,
        "at": at,
        "actor": {"kind": actor_kind, "id": actor_id},
        "data": dict(data),
    }
