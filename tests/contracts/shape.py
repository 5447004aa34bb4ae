"""What of a wire dataclass must never change: its fields, their types and their defaults, and those of all it holds."""

from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from typing import Any, get_args, get_type_hints

# Field name -> its type, and its default when it has one.
Shape = dict[str, dict[str, str]]


def shape(kind: type) -> Shape:
    """The fields of *kind*."""
    hints = get_type_hints(kind)
    return {field.name: _field(field, hints[field.name]) for field in fields(kind)}


def _field(field: "Field[Any]", hint: Any) -> dict[str, str]:
    told = {"type": written(hint)}
    if field.default is not MISSING:
        told["default"] = repr(field.default.value if isinstance(field.default, StrEnum) else field.default)
    elif field.default_factory is not MISSING:
        told["default"] = repr(field.default_factory())
    return told


def written(hint: Any) -> str:
    """A type as a person would write it."""
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    return str(hint).replace("typing.", "").replace("domain.", "").replace("datetime.", "")


def words(kind: type[StrEnum]) -> Shape:
    """The values of *kind*: one that was written once must be known for ever."""
    return {member.value: {"type": "word", "default": ""} for member in kind}


def parts_of(kind: type) -> Iterator[type]:
    """*kind* and every dataclass and closed set of words that it holds, each once."""
    todo: list[Any] = [kind]
    done: set[Any] = set()
    while todo:
        hint = todo.pop(0)
        if hint in done:
            continue
        done.add(hint)
        if is_dataclass(hint) and isinstance(hint, type):
            yield hint
            todo += get_type_hints(hint).values()
        elif isinstance(hint, type) and issubclass(hint, StrEnum):
            yield hint
        todo += get_args(hint)


def breaks(old: Shape, new: Shape) -> list[str]:
    """Why values of the *old* shape would be read wrongly by the *new* one, or the other way round; empty when they are not."""
    found = []
    for name, told in old.items():
        if name not in new:
            found.append(f"{name} is gone")
        elif new[name] != told:
            found.append(f"{name} was {told} and is {new[name]}")
    found += [f"{name} is new and has no default" for name in new if name not in old and "default" not in new[name]]
    return found
