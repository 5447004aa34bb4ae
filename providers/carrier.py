"""A carrier: what our activities ask of it, and carriers that speak plain JSON over HTTP behind it."""

import base64
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from http import HTTPStatus
from typing import Any, Protocol, cast

import httpx

from providers.errors import ProviderRejected, ProviderUnavailable, retry_after_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a parcel comes from or goes to; personal data, so it never shows in a repr."""

    name: str = field(repr=False)
    lines: tuple[str, ...] = field(repr=False)
    city: str = field(repr=False)
    region: str | None = field(default=None, repr=False)
    postal_code: str | None = field(default=None, repr=False)
    country: str
    phone: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """One parcel to carry; *reference* is its parcel id, *collect_minor* what to collect at the door."""

    reference: str
    order_id: str
    origin: Address
    destination: Address
    weight_g: int
    length_mm: int | None = None
    width_mm: int | None = None
    height_mm: int | None = None
    service_level: str
    collect_minor: int | None = None
    currency: str
    ship_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What one service of a carrier costs, in the carrier's currency, and the day it promises."""

    carrier: str
    service: str
    price_minor: int
    currency: str
    transit_days: int
    estimated_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A bought label; *reference* is the carrier's name for it."""

    carrier: str
    service: str
    reference: str
    tracking_number: str
    price_minor: int
    currency: str
    estimated_on: date
    pdf: bytes = field(repr=False)


class Carrier(Protocol):
    """Effects carry our key and happen once however often they are repeated with that key.

    Raises:
        ProviderUnavailable: the outcome is unknown; repeat with the same key.
        ProviderRejected: a definite refusal.
    """

    async def rates(self, shipment: Shipment) -> list[Rate]:
        """Every service that can carry *shipment*; empty when the zone or the weight is not served."""
        ...

    async def buy_label(self, *, key: str, shipment: Shipment, service: str) -> Label:
        """The label that was bought under *key*."""
        ...

    async def void_label(self, *, key: str, reference: str) -> None:
        """The label is void; one that was void already is a success.

        Raises:
            ProviderRejected: the carrier has collected the parcel, or does not know the label.
        """
        ...

    async def find_label(self, *, reference: str) -> Label | None:
        """The live label of the parcel *reference*, None when there is none."""
        ...


class HttpCarrier:
    """`Carrier` over HTTP: `/rates`, `/labels`, `/labels/{reference}/void` under *url*."""

    def __init__(self, name: str, url: str, client: httpx.AsyncClient) -> None:
        self._name = name
        self._url = url.rstrip("/")
        self._client = client

    async def rates(self, shipment: Shipment) -> list[Rate]:
        """See `Carrier.rates`."""
        answer = await self._send("POST", "/rates", body=_shipment_body(shipment))
        return [_rate(self._name, rate) for rate in answer["rates"]]

    async def buy_label(self, *, key: str, shipment: Shipment, service: str) -> Label:
        """See `Carrier.buy_label`."""
        body = {"shipment": _shipment_body(shipment), "service": service}
        return _label(self._name, await self._send("POST", "/labels", body=body, key=key))

    async def void_label(self, *, key: str, reference: str) -> None:
        """See `Carrier.void_label`."""
        await self._send("POST", f"/labels/{reference}/void", body={}, key=key)

    async def find_label(self, *, reference: str) -> Label | None:
        """See `Carrier.find_label`; the newest when several are live."""
        answer = await self._send("GET", "/labels", query={"reference": reference})
        live = [label for label in answer["labels"] if not label["voided"]]
        return _label(self._name, live[-1]) if live else None

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
        key: str | None = None,
    ) -> dict[str, Any]:
        headers = {"Idempotency-Key": key} if key else {}
        try:
            response = await self._client.request(method, self._url + path, json=body, params=query, headers=headers)
        except httpx.HTTPError as error:
            raise ProviderUnavailable(f"{self._name}: {type(error).__name__}") from error
        return _answer(self._name, response)


def _answer(carrier: str, response: httpx.Response) -> dict[str, Any]:
    if response.is_success:
        try:
            return cast("dict[str, Any]", response.json())
        except ValueError as error:
            raise ProviderUnavailable(f"{carrier}: an answer that is not JSON") from error
    status = response.status_code
    problem = _problem(response)
    # 401, 403: our key is wrong, which is ours to mend and no refusal of this parcel. 409: the key is still in use.
    waiting = status in (
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
    )
    in_use = problem.get("code") == "idempotency_in_flight"
    if waiting or in_use or not response.is_client_error:
        retry_after = retry_after_seconds(response.headers.get("retry-after"))
        raise ProviderUnavailable(f"{carrier}: HTTP {status}", retry_after=retry_after)
    raise ProviderRejected(problem.get("code") or f"http_{status}", problem.get("message") or "")


def _problem(response: httpx.Response) -> dict[str, str]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _shipment_body(shipment: Shipment) -> dict[str, Any]:
    return asdict(shipment) | {"ship_at": shipment.ship_at.isoformat()}


def _rate(carrier: str, body: dict[str, Any]) -> Rate:
    return Rate(
        carrier=carrier,
        service=body["service"],
        price_minor=body["price_minor"],
        currency=body["currency"],
        transit_days=body["transit_days"],
        estimated_on=date.fromisoformat(body["estimated_on"]),
    )


def _label(carrier: str, body: dict[str, Any]) -> Label:
    return Label(
        carrier=carrier,
        service=body["service"],
        reference=body["label_id"],
        tracking_number=body["tracking_number"],
        price_minor=body["price_minor"],
        currency=body["currency"],
        estimated_on=date.fromisoformat(body["estimated_on"]),
        pdf=base64.b64decode(body["pdf_base64"]),
    )
