"""The Temporal client that every process shares: converter, connection, search attributes."""

import asyncio

import structlog
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from contracts import names
from runtime.settings import Settings
from runtime.wire import data_converter

log = structlog.get_logger(__name__)

_TYPES = {
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "KeywordList": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
    "Datetime": IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
    "Int": IndexedValueType.INDEXED_VALUE_TYPE_INT,
}


async def connect(settings: Settings) -> Client:
    """A client that connects when it is first used, so that a process starts while the engine is away."""
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        data_converter=data_converter,
        lazy=True,
    )


async def connect_now(settings: Settings) -> Client:
    """A connected client, as workers need it; tries until the engine answers."""
    pause = 0.2
    while True:
        try:
            return await Client.connect(
                settings.temporal_address,
                namespace=settings.temporal_namespace,
                data_converter=data_converter,
            )
        except RuntimeError as error:
            log.info("engine_not_reached", address=settings.temporal_address, error=str(error)[:200], again_in=pause)
            await asyncio.sleep(pause)
            pause = min(5.0, pause * 2)


async def ensure_search_attributes(client: Client) -> None:
    """Create the search attributes that are missing; those that are there stay.

    ``--search-attribute`` of the development server works only when a namespace is first made, so this goes through the
    operator API at every start.

    Raises:
        RPCError: the engine refused.
    """
    operator = client.operator_service
    known = await operator.list_search_attributes(ListSearchAttributesRequest(namespace=client.namespace))
    missing = {
        name: _TYPES[kind] for name, kind in names.SEARCH_ATTRIBUTES.items() if name not in known.custom_attributes
    }
    if not missing:
        return
    try:
        await operator.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
