"""The closed sets of words that tables, JSON, code, logs and search attributes share; a value outside them is refused."""

from enum import StrEnum


class Channel(StrEnum):
    """The kind of front door through which an order came."""

    WEB = "web"
    MOBILE = "mobile"
    HOTLINE = "hotline"
    MARKETPLACE = "marketplace"
    STORE = "store"


class OrderKind(StrEnum):
    """Why an order exists."""

    SALE = "sale"
    EXCHANGE = "exchange"
    REPLACEMENT = "replacement"


class OrderState(StrEnum):
    """Where an order stands; derived from buckets, payment and outcome, never set."""

    RECEIVED = "received"
    CONFIRMED = "confirmed"
    FULFILLING = "fulfilling"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    UNDELIVERABLE = "undeliverable"


class Bucket(StrEnum):
    """Where a unit of an order line is; every unit is in exactly one."""

    OPEN = "open"
    BACKORDERED = "backordered"
    RESERVED = "reserved"
    AT_WAREHOUSE = "at_warehouse"
    PACKED = "packed"
    IN_TRANSIT = "in_transit"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    LOST = "lost"
    SENDING_BACK = "sending_back"
    SENT_BACK = "sent_back"
    RETURNING = "returning"
    RETURNED = "returned"


class RejectReason(StrEnum):
    """Why a check refused an order."""

    PAYMENT_DECLINED = "payment_declined"
    PAYMENT_EXPIRED = "payment_expired"
    OUT_OF_STOCK = "out_of_stock"
    FRAUD = "fraud"
    ADDRESS_UNUSABLE = "address_unusable"
    INVALID = "invalid"
    EXPIRED = "expired"


class CancelReason(StrEnum):
    """Why units were cancelled."""

    CUSTOMER = "customer"
    DECLINED = "declined"
    FRAUD = "fraud"
    INVENTORY = "inventory"
    SUPPORT = "support"
    EXPIRED = "expired"
    OTHER = "other"


class CancellationState(StrEnum):
    """How far a cancellation got."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    DONE = "done"


class RequestKind(StrEnum):
    """What a warehouse is asked to do with goods that it has begun to work on."""

    CANCEL = "cancel"
    HOLD = "hold"
    CHANGE_ADDRESS = "change_address"


class RequestState(StrEnum):
    """How far a request to a warehouse got; one that nobody answered in time counts as refused."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    WITHDRAWN = "withdrawn"


class HoldDecision(StrEnum):
    """What a person decides about a hold."""

    RELEASE = "release"
    REJECT = "reject"


class Fix(StrEnum):
    """How a person settles an attention case."""

    RETRY = "retry"
    CANCEL = "cancel"
    MARK_DELIVERED = "mark_delivered"
    MARK_LOST = "mark_lost"
    WAIT_LONGER = "wait_longer"
    RELEASE = "release"
    APPROVE = "approve"
    DECLINE = "decline"
    WRITE_OFF = "write_off"
    ASSIGN = "assign"
    CLOSE = "close"


class HoldReason(StrEnum):
    """Why an order must not go to the warehouse yet."""

    HIGH_RISK_OF_FRAUD = "high_risk_of_fraud"
    INCORRECT_ADDRESS = "incorrect_address"
    AWAITING_PAYMENT = "awaiting_payment"
    AWAITING_RETURN_ITEMS = "awaiting_return_items"
    AWAITING_CUSTOMER_ANSWER = "awaiting_customer_answer"
    INVENTORY_OUT_OF_STOCK = "inventory_out_of_stock"
    UNKNOWN_DELIVERY_DATE = "unknown_delivery_date"
    SCHEDULED = "scheduled"
    RECALL = "recall"
    CUSTOMER_REQUEST = "customer_request"
    OTHER = "other"


class ServiceLevel(StrEnum):
    """How fast the customer was promised the goods."""

    STANDARD = "standard"
    EXPRESS = "express"


class DeliveryMethod(StrEnum):
    """Where the customer takes the goods."""

    HOME = "home"
    PICKUP_POINT = "pickup_point"
    STORE = "store"


class FulfillmentState(StrEnum):
    """Where a fulfillment stands; with several parcels the least advanced live unit counts."""

    PLANNED = "planned"
    RELEASED = "released"
    ACCEPTED = "accepted"
    PICKED = "picked"
    PACKED = "packed"
    HANDED_OVER = "handed_over"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    UNDELIVERABLE = "undeliverable"


class ParcelState(StrEnum):
    """What we did with a parcel."""

    PACKED = "packed"
    LABELLED = "labelled"
    HANDED_OVER = "handed_over"
    DELIVERED = "delivered"
    SENT_BACK = "sent_back"
    LOST = "lost"
    CANCELLED = "cancelled"


class WarehouseFactKind(StrEnum):
    """What a warehouse reports, in the past tense."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    PICKED = "picked"
    SHORT_PICKED = "short_picked"
    PACKED = "packed"
    HANDED_OVER = "handed_over"
    REQUEST_ACCEPTED = "request_accepted"
    REQUEST_REFUSED = "request_refused"


class ShortReason(StrEnum):
    """Why a warehouse could not serve units; each changes stock in its own way."""

    NOT_IN_STOCK = "not_in_stock"
    MISMATCH = "mismatch"
    DAMAGE = "damage"
    CAPACITY = "capacity"
    OTHER = "other"


class MovementKind(StrEnum):
    """What changed a stock row."""

    RECEIVED = "received"
    RESERVED = "reserved"
    UNRESERVED = "unreserved"
    SHIPPED = "shipped"
    ADJUSTED = "adjusted"
    COUNTED = "counted"
    RESTOCKED = "restocked"
    QUARANTINED = "quarantined"
    SCRAPPED = "scrapped"


class TrackingStatus(StrEnum):
    """What a carrier reports of a parcel."""

    PENDING = "pending"
    PICKED_UP = "picked_up"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    READY_FOR_PICKUP = "ready_for_pickup"
    ON_HOLD = "on_hold"
    DELIVERY_DELAYED = "delivery_delayed"
    DELIVERY_FAILED = "delivery_failed"
    RETURN_TO_SENDER = "return_to_sender"
    RETURNED = "returned"
    DELIVERED = "delivered"
    LOST = "lost"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Party(StrEnum):
    """Who is responsible for a delivery incident."""

    CARRIER = "carrier"
    RETAILER = "retailer"
    CONSIGNEE = "consignee"
    CUSTOMS = "customs"
    WEATHER = "weather"
    OTHER = "other"


class PaymentMethod(StrEnum):
    """How an order is paid."""

    CARD = "card"
    WALLET = "wallet"
    PREPAID = "prepaid"
    CASH_ON_DELIVERY = "cash_on_delivery"
    STORE_CREDIT = "store_credit"


class PaymentState(StrEnum):
    """Where a payment stands."""

    PENDING = "pending"
    ACTION_REQUIRED = "action_required"
    AUTHORIZED = "authorized"
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    DECLINED = "declined"
    EXPIRED = "expired"
    VOIDED = "voided"


class OperationKind(StrEnum):
    """An effect in the outside world that must happen once; the first five are the payment ledger's."""

    AUTHORIZATION = "authorization"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    DISPUTE = "dispute"
    LABEL = "label"
    LABEL_VOID = "label_void"


class OperationState(StrEnum):
    """How far an effect in the outside world got."""

    SENDING = "sending"
    DONE = "done"
    FAILED = "failed"


class ActorKind(StrEnum):
    """Who caused an event."""

    CUSTOMER = "customer"
    SUPPORT = "support"
    WAREHOUSE = "warehouse"
    CARRIER = "carrier"
    PAYMENT = "payment"
    OPERATIONS = "operations"
    SYSTEM = "system"


class Role(StrEnum):
    """Who owns a step."""

    CUSTOMER = "customer"
    SUPPORT = "support"
    RISK = "risk"
    PAYMENTS = "payments"
    INVENTORY = "inventory"
    WAREHOUSE = "warehouse"
    DISPATCH = "dispatch"
    CARRIER_DESK = "carrier_desk"
    RETURNS_DESK = "returns_desk"
    OPERATIONS = "operations"
    ENGINEERING = "engineering"


class Scope(StrEnum):
    """What an API key may do."""

    STOREFRONT = "storefront"
    WAREHOUSE = "warehouse"
    CARRIER = "carrier"
    SUPPORT = "support"
    OPERATIONS = "operations"
    ADMIN = "admin"


class EventKind(StrEnum):
    """What happened; timeline, streams, webhooks, audit and figures read the same words."""

    ORDER_RECEIVED = "order.received"
    ORDER_CONFIRMED = "order.confirmed"
    ORDER_REJECTED = "order.rejected"
    ORDER_FULFILLING = "order.fulfilling"
    ORDER_SHIPPED = "order.shipped"
    ORDER_DELIVERED = "order.delivered"
    ORDER_CANCELLED = "order.cancelled"
    ORDER_UNDELIVERABLE = "order.undeliverable"
    ORDER_AMENDED = "order.amended"
    ORDER_NOTE_ADDED = "order.note_added"
    ORDER_PROMISE_CHANGED = "order.promise_changed"
    PAYMENT_ACTION_REQUIRED = "payment.action_required"
    PAYMENT_AUTHORIZED = "payment.authorized"
    PAYMENT_DECLINED = "payment.declined"
    PAYMENT_CAPTURED = "payment.captured"
    PAYMENT_VOIDED = "payment.voided"
    HOLD_PLACED = "hold.placed"
    HOLD_RELEASED = "hold.released"
    CANCELLATION_REQUESTED = "cancellation.requested"
    CANCELLATION_DECIDED = "cancellation.decided"
    STOCK_RESERVED = "stock.reserved"
    STOCK_UNRESERVED = "stock.unreserved"
    STOCK_BACKORDERED = "stock.backordered"
    FULFILLMENT_RELEASED = "fulfillment.released"
    FULFILLMENT_ACCEPTED = "fulfillment.accepted"
    FULFILLMENT_REFUSED = "fulfillment.refused"
    FULFILLMENT_PICKED = "fulfillment.picked"
    FULFILLMENT_SHORT_PICKED = "fulfillment.short_picked"
    FULFILLMENT_PACKED = "fulfillment.packed"
    FULFILLMENT_HANDED_OVER = "fulfillment.handed_over"
    FULFILLMENT_CANCELLED = "fulfillment.cancelled"
    REQUEST_SENT = "request.sent"
    REQUEST_ANSWERED = "request.answered"
    PARCEL_LABELLED = "parcel.labelled"
    PARCEL_TRACKED = "parcel.tracked"
    PARCEL_DELIVERED = "parcel.delivered"
    PARCEL_LOST = "parcel.lost"
    PARCEL_SENT_BACK = "parcel.sent_back"
    ATTENTION_OPENED = "attention.opened"
    ATTENTION_REMINDED = "attention.reminded"
    ATTENTION_RESOLVED = "attention.resolved"
    NOTICE_SENT = "notice.sent"
