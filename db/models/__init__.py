"""The tables; every promise that a row can keep by itself is a constraint here. No queries."""

from db.models.access import ApiKey, IdempotencyKey, PolicyVersion
from db.models.base import Base, Json
from db.models.notices import DeliveryRating, FeedCursor, Notice
from db.models.orders import (
    FulfillmentRow,
    OrderArchive,
    OrderContact,
    OrderEvent,
    OrderNote,
    OrderRow,
    ParcelRow,
    PaymentToken,
)
from db.models.outside import (
    Document,
    Heartbeat,
    InboxFact,
    Operation,
    OutboxRow,
    Proof,
    TrackingEvent,
    WebhookDelivery,
    WebhookEndpoint,
)
from db.models.stock import Backorder, Location, Product, Reservation, StepMark, Stock, StockMovement, StockReference

__all__ = [
    "ApiKey",
    "Backorder",
    "Base",
    "DeliveryRating",
    "Document",
    "FeedCursor",
    "FulfillmentRow",
    "Heartbeat",
    "IdempotencyKey",
    "InboxFact",
    "Json",
    "Location",
    "Notice",
    "Operation",
    "OrderArchive",
    "OrderContact",
    "OrderEvent",
    "OrderNote",
    "OrderRow",
    "OutboxRow",
    "ParcelRow",
    "PaymentToken",
    "PolicyVersion",
    "Product",
    "Proof",
    "Reservation",
    "StepMark",
    "Stock",
    "StockMovement",
    "StockReference",
    "TrackingEvent",
    "WebhookDelivery",
    "WebhookEndpoint",
]
