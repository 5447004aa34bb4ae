"""The tables; every promise that a row can keep by itself is a constraint here. No queries."""

from db.models.access import ApiKey, IdempotencyKey, PolicyVersion
from db.models.base import Base, Json
from db.models.orders import FulfillmentRow, OrderArchive, OrderContact, OrderEvent, OrderRow, ParcelRow, PaymentToken
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
from db.models.stock import Location, Product, Reservation, StepMark, Stock, StockMovement, StockReference

__all__ = [
    "ApiKey",
    "Base",
    "Document",
    "FulfillmentRow",
    "Heartbeat",
    "IdempotencyKey",
    "InboxFact",
    "Json",
    "Location",
    "Operation",
    "OrderArchive",
    "OrderContact",
    "OrderEvent",
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
