"""One full and one least value of every dataclass on the wire; in the full one no field equals its default."""

from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from contracts.orders import Move, OrderInput
from domain import messages, steps
from domain.commands import CommandOutcome
from domain.orders import Order

AT = datetime(2026, 1, 5, 9, 30, 15, 250000, tzinfo=UTC)
STEPS: tuple[type, ...] = get_args(steps.Step)
MESSAGES: tuple[type, ...] = get_args(messages.Message)
WIRE: tuple[type, ...] = (*MESSAGES, *STEPS, CommandOutcome, OrderInput, Move, Order)


def full(kind: type) -> Any:
    """A *kind* in which every field is set, and differs from its default."""
    hints = get_type_hints(kind)
    made = kind(**{field.name: _value(hints[field.name], field.name) for field in fields(kind)})
    for field in fields(kind):
        assert getattr(made, field.name) != field.default, f"{kind.__name__}.{field.name} is its default"
    return made


def least(kind: type) -> Any:
    """A *kind* with nothing but what it must have."""
    hints = get_type_hints(kind)
    needed = [f for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    return kind(**{field.name: _value(hints[field.name], field.name, least=True) for field in needed})


def _value(hint: Any, name: str, *, least: bool = False) -> Any:
    """A value of the type *hint*, the same every time."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        return _value(next(arg for arg in args if arg is not NoneType), name, least=least)
    if origin is tuple:
        parts = args[:1] if args[-1] is Ellipsis else args
        return () if least and args[-1] is Ellipsis else tuple(_value(part, name, least=least) for part in parts)
    if origin is dict:
        return {} if least else {"one": 1, "two": ["b", None]}
    if is_dataclass(hint):
        assert isinstance(hint, type)
        return globals()["least" if least else "full"](hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return list(hint)[1]
    return _plain(hint, name)


def _plain(hint: Any, name: str) -> Any:
    values: dict[Any, Any] = {
        str: f"a {name}",
        int: 7,
        float: 1.5,
        bool: name not in {"allow_split", "restock", "refund"},
        datetime: AT,
        date: AT.date(),
        timedelta: timedelta(days=2, minutes=30),
    }
    return values[hint]
