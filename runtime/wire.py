"""How values travel to the engine and back: dataclasses as small JSON, what equals its default left out."""

from dataclasses import is_dataclass
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
)


class SmallJson(PydanticJSONPlainPayloadConverter):
    """Pydantic's JSON without fields that equal their default, which halves an order's start; reading fills them in.

    A default on the wire must therefore never change.
    """

    def to_payload(self, value: Any) -> Payload | None:
        """*value* as JSON."""
        if not is_dataclass(value) or isinstance(value, type):
            return super().to_payload(value)
        data = _adapter(type(value)).dump_json(value, exclude_defaults=True)
        return Payload(metadata={"encoding": self.encoding.encode()}, data=data)

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """The value in *payload*.

        The SDK keeps its adapters per converter and makes a converter per workflow run, which built every schema anew for
        every order: 6 % of the worker's CPU (2026-11-22).
        """
        return _adapter(Any if type_hint is None else type_hint).validate_json(payload.data)


@lru_cache(maxsize=256)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


class WireConverter(CompositePayloadConverter):
    """The SDK's converters, with ours for JSON."""

    def __init__(self) -> None:
        small = SmallJson()
        super().__init__(
            *(
                small if isinstance(converter, JSONPlainPayloadConverter) else converter
                for converter in DefaultPayloadConverter.default_encoding_payload_converters
            )
        )


data_converter = DataConverter(payload_converter_class=WireConverter)
