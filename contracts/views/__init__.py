"""Views that leave the house by more than one door, HTTP, streams and webhooks; built from values, without I/O."""

from contracts.views.orders import ContactData, OrderData, order_links, order_view
from contracts.views.parts import event_view, fulfillment_view, parcel_view, ship_to_view

__all__ = [
    "ContactData",
    "OrderData",
    "event_view",
    "fulfillment_view",
    "order_links",
    "order_view",
    "parcel_view",
    "ship_to_view",
]
