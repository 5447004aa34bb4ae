"""What is sold, where it lies, and to whom it is promised. Tables only; no queries."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Float,
    Identity,
    Index,
    SmallInteger,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Json


class Product(Base):
    """What can be sold."""

    __tablename__ = "products"

    sku: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    gtin: Mapped[str | None]
    weight_g: Mapped[int]
    length_mm: Mapped[int]
    width_mm: Mapped[int]
    height_mm: Mapped[int]
    requires_shipping: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    fast_moving: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    safety_stock: Mapped[int] = mapped_column(server_default=text("0"))
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Location(Base):
    """A place that holds stock."""

    __tablename__ = "locations"

    location_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    country: Mapped[str]
    postal_code: Mapped[str]
    city: Mapped[str | None]
    address_lines: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    latitude: Mapped[float] = mapped_column(Float)
    longitude: Mapped[float] = mapped_column(Float)
    timezone: Mapped[str] = mapped_column(server_default=text("'UTC'"))
    priority: Mapped[int] = mapped_column(server_default=text("0"))
    active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Stock(Base):
    """What one location holds of one sku; never oversold."""

    __tablename__ = "stock"
    __table_args__ = (
        CheckConstraint("reserved >= 0", name="stock_reserved_not_negative"),
        CheckConstraint("unavailable >= 0", name="stock_unavailable_not_negative"),
        CheckConstraint("reserved + unavailable <= on_hand", name="stock_not_oversold"),
        Index("stock_by_sku", "sku"),
    )

    location_id: Mapped[str] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(primary_key=True)
    on_hand: Mapped[int] = mapped_column(server_default=text("0"))
    reserved: Mapped[int] = mapped_column(server_default=text("0"))
    unavailable: Mapped[int] = mapped_column(server_default=text("0"))


class StockMovement(Base):
    """Why a stock row changed; append-only, once per cause."""

    __tablename__ = "stock_movements"
    __table_args__ = (
        UniqueConstraint("cause", "kind", "location_id", "sku", name="stock_movements_once"),
        Index("stock_movements_by_stock", "sku", "location_id", "movement_id"),
    )

    movement_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    location_id: Mapped[str]
    sku: Mapped[str]
    kind: Mapped[str]
    quantity: Mapped[int]
    cause: Mapped[str]
    actor: Mapped[str]
    at: Mapped[datetime]


class StockReference(Base):
    """A receipt or count that was booked under its own reference, once."""

    __tablename__ = "stock_references"

    kind: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(primary_key=True)
    content_hash: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Reservation(Base):
    """Stock promised to one order line at one location; ``quantity`` is what is still promised."""

    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint("quantity >= 0", name="reservations_not_negative"),
        Index("reservations_by_stock", "location_id", "sku", postgresql_where=text("quantity > 0")),
    )

    order_id: Mapped[str] = mapped_column(primary_key=True)
    fulfillment_id: Mapped[str] = mapped_column(primary_key=True)
    line_id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str]
    sku: Mapped[str]
    quantity: Mapped[int]


class Backorder(Base):
    """Units of one order line that wait for stock; a row goes when the last of them is served or given up."""

    __tablename__ = "backorders"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="backorders_positive"),
        Index("backorders_in_turn", "sku", text("priority DESC"), "received_at", "order_id", "line_id"),
    )

    order_id: Mapped[str] = mapped_column(primary_key=True)
    line_id: Mapped[str] = mapped_column(primary_key=True)
    sku: Mapped[str]
    quantity: Mapped[int]
    priority: Mapped[int] = mapped_column(SmallInteger)
    received_at: Mapped[datetime]
    queued_by: Mapped[str]


class StepMark(Base):
    """A step of our own that was done, with its result, or undone before it could be: whichever came first."""

    __tablename__ = "step_marks"

    step_key: Mapped[str] = mapped_column(primary_key=True)
    undone: Mapped[bool] = mapped_column(Boolean)
    result: Mapped[Json | None]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
