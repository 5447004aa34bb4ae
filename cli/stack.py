"""Which running stack a command talks to: found from its data folder or an address, never started here."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

DEFAULT_DATA = Path(".doorstep")
KEY_VARIABLE = "DOORSTEP_KEY"


class StackNotFoundError(Exception):
    """No stack where one was looked for; the message is one line for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Where a stack answers and which keys open it."""

    api_url: str
    keys: Mapping[str, str] = field(repr=False)
    single_key: str | None = field(default=None, repr=False)
    temporal_ui_url: str | None = None
    file: Path | None = None

    def key(self, role: str) -> str:
        """The API key for *role* (``storefront``, ``operations`` ...); the one key of ``--api`` serves every role.

        Raises:
            StackNotFoundError: the stack file holds no key for the role.
        """
        key = self.single_key or self.keys.get(role)
        if not key:
            raise StackNotFoundError(f"{self.name} holds no key for {role}")
        return key

    @property
    def name(self) -> str:
        """What a person calls this stack: its file, else its address."""
        return str(self.file) if self.file else self.api_url

    @property
    def option(self) -> str:
        """The command-line words that name this stack again; empty where the default finds it."""
        if self.file is None:
            return f"--api {self.api_url}"
        return "" if self.file.parent == DEFAULT_DATA else f"--data {self.file.parent}"


def find(*, data: Path | None = None, api: str | None = None, environ: Mapping[str, str] = os.environ) -> Stack:
    """The stack that ``--api`` (with the key in the environment) or ``--data`` names.

    Raises:
        StackNotFoundError: both are given, there is no readable stack file, or no key.
    """
    if api is None:
        return _from_folder(data or DEFAULT_DATA)
    if data is not None:
        raise StackNotFoundError("give --data or --api, not both")
    key = environ.get(KEY_VARIABLE, "").strip()
    if not key:
        raise StackNotFoundError(f"--api needs an API key in the environment variable {KEY_VARIABLE}")
    return Stack(api_url=_address(api), keys={}, single_key=key)


def from_mapping(content: Mapping[str, Any], *, file: Path | None = None) -> Stack:
    """The stack that the content of a stack.json describes.

    Raises:
        StackNotFoundError: it names no address of the API, or no keys.
    """
    keys = content.get("keys")
    if not isinstance(content.get("api_url"), str) or not isinstance(keys, Mapping):
        raise StackNotFoundError(f"{file or 'the stack'} does not say where the API is and which keys open it")
    ui = content.get("temporal_ui_url")
    return Stack(
        api_url=_address(content["api_url"]),
        keys={str(role): str(key) for role, key in keys.items()},
        temporal_ui_url=str(ui) if ui else None,
        file=file,
    )


def _from_folder(data: Path) -> Stack:
    file = data / "stack.json"
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise StackNotFoundError(f"nothing runs on {data} (no {file}); start it: doorstep up --data {data}") from None
    except (OSError, ValueError) as error:
        raise StackNotFoundError(f"{file} cannot be read: {error}") from error
    if not isinstance(content, Mapping):
        raise StackNotFoundError(f"{file} does not describe a stack")
    return from_mapping(content, file=file)


def _address(text: str) -> str:
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL as error:
        raise StackNotFoundError(f"{text!r} is not an address: {error}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise StackNotFoundError(f"{text!r} is not an address; it looks like http://127.0.0.1:8700")
    return str(url).rstrip("/")
