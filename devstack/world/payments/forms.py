"""Stripe's form encoding: `a[b][0]=c` as nested values."""

from typing import Any
from urllib.parse import parse_qsl


def parse(body: str) -> dict[str, Any]:
    """The nested parameters of a form or a query; `name[]` and `name[0]` make lists."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(body, keep_blank_values=True):
        _set(tree, _path(name), value)
    lists: dict[str, Any] = {name: _listed(value) for name, value in tree.items()}
    return lists


def _path(name: str) -> list[str]:
    head, *rest = name.split("[")
    return [head, *(part.removesuffix("]") for part in rest)]


def _set(tree: dict[str, Any], path: list[str], value: str) -> None:
    *parents, last = path
    for part in parents:
        below = tree.setdefault(part, {})
        if not isinstance(below, dict):
            return
        tree = below
    tree[last or str(len(tree))] = value


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(name.isdigit() for name in value):
        return [_listed(item) for _, item in sorted(value.items(), key=lambda pair: int(pair[0]))]
    return {name: _listed(item) for name, item in value.items()}
