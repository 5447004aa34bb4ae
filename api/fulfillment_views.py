"""How a fulfillment looks to its warehouse: what to pick, where to send it, by when; no reading, no payment data."""

from api.schemas.views import FulfillmentView
from api.views import parcel_view
from db.reading.fulfillments import StoredFulfillment
from domain.orders import fulfillment_state


def fulfillment_view(stored: StoredFulfillment) -> FulfillmentView:
    """The fulfillment with everything that api.md names."""
    order = stored.order
    fulfillment = order.fulfillment(stored.fulfillment_id)
    address = stored.address
    gift = stored.gift
    return {
        "fulfillment_id": fulfillment.fulfillment_id,
        "order_id": order.order_id,
        "order_ref": stored.order_ref,
        "location_id": fulfillment.location_id,
        "state": fulfillment_state(order, fulfillment),
        "priority": stored.priority,
        "service_level": order.service_level,
        "ship_by": stored.ship_by,
        "released_at": stored.released_at,
        "gift": None
        if gift is None
        else {"message": gift.get("message"), "hide_prices": gift.get("hide_prices", False)},
        "ship_to": {
            "name": stored.recipient,
            "phone": stored.phone,
            "lines": address["lines"],
            "city": address.get("city"),
            "region": address.get("region"),
            "postal_code": address.get("postal_code"),
            "country": address["country"],
        },
        "lines": [
            {
                "line_id": allocation.line_id,
                "sku": allocation.sku,
                "name": stored.names[allocation.line_id],
                "gtin": stored.gtins.get(allocation.sku),
                "quantity": allocation.quantity,
            }
            for allocation in fulfillment.allocations
        ],
        "parcels": [parcel_view(order, parcel) for parcel in order.parcels_of(fulfillment.fulfillment_id)],
        "requests": [],
    }
