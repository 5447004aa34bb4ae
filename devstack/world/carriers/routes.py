"""The carriers over HTTP: shipments are checked, keys are kept, faults and scenarios of an order are played."""

from collections.abc import Callable
from http import HTTPStatus

from fastapi import FastAPI
from pydantic import AwareDatetime, BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from devstack.world.answers import Answer, Counter, Dropped, KeyInUse, KeyMismatch, fingerprint, json_response
from devstack.world.carriers.labels import Labels, refused
from devstack.world.carriers.tariffs import TARIFFS, Tariff
from devstack.world.control import Control
from devstack.world.scenarios import Scenarios
from devstack.world.store import Store


class AddressBody(BaseModel):
    """Where a parcel comes from or goes to."""

    name: str
    lines: list[str]
    city: str
    region: str | None = None
    postal_code: str | None = None
    country: str = Field(min_length=2, max_length=2)
    phone: str | None = None


class ShipmentBody(BaseModel):
    """One parcel to carry."""

    reference: str = Field(min_length=1)
    order_id: str
    origin: AddressBody
    destination: AddressBody
    weight_g: int = Field(gt=0)
    length_mm: int | None = None
    width_mm: int | None = None
    height_mm: int | None = None
    service_level: str
    collect_minor: int | None = None
    currency: str
    ship_at: AwareDatetime


class LabelBody(BaseModel):
    """A label to buy."""

    shipment: ShipmentBody
    service: str


class CarrierRoutes:
    """`/carriers/{name}/rates`, `/labels`, `/labels/{id}/void`."""

    def __init__(
        self,
        *,
        store: Store,
        control: Control,
        labels: Labels,
        scenarios: Scenarios,
        label_bought: Callable[[str], None],
    ) -> None:
        self._store = store
        self._control = control
        self._labels = labels
        self._scenarios = scenarios
        self._label_bought = label_bought
        self._counters = {name: Counter(store, f"carriers/{name}", control.carriers) for name in TARIFFS}

    def add_to(self, app: FastAPI) -> None:
        """The routes are part of *app*."""
        app.router.add_route("/carriers/{name}/rates", self.rates, methods=["POST"])
        app.router.add_route("/carriers/{name}/labels", self.buy, methods=["POST"])
        app.router.add_route("/carriers/{name}/labels", self.find, methods=["GET"])
        app.router.add_route("/carriers/{name}/labels/{id}/void", self.void, methods=["POST"])

    async def rates(self, request: Request) -> Response:
        """What each service would cost; empty when none takes the parcel."""
        tariff = TARIFFS.get(request.path_params["name"])
        if tariff is None:
            return _respond(_unknown_carrier())
        if (failing := await self._counters[tariff.name].enter(request)) is not None:
            return failing
        try:
            shipment = ShipmentBody.model_validate_json(await request.body())
        except ValidationError as error:
            return _respond(_invalid(error))
        return _respond(self._labels.rates(tariff, shipment.model_dump(mode="json")))

    async def buy(self, request: Request) -> Response:
        """A label, once per key."""
        tariff = TARIFFS.get(request.path_params["name"])
        if tariff is None:
            return _respond(_unknown_carrier())
        if (failing := await self._counters[tariff.name].enter(request)) is not None:
            return failing
        body = await request.body()
        try:
            wanted = LabelBody.model_validate_json(body)
        except ValidationError as error:
            return _respond(_invalid(error))
        shipment = wanted.shipment.model_dump(mode="json")
        played = await self._scenarios.of_order_soon(wanted.shipment.order_id)
        if "label_refused" in played:
            return _respond(refused("address_not_served", "The address cannot be served.", stored=False))
        answer, replayed, lost = await self._once(
            tariff, request, body, lambda key: self._labels.buy(tariff, key, shipment, wanted.service)
        )
        if answer.status == HTTPStatus.CREATED and not replayed:
            self._label_bought(wanted.shipment.order_id)
            lost = lost or "label_timeout_after" in played
        return Dropped(self._control.carriers.hang_seconds) if lost else _respond(answer, replayed=replayed)

    async def find(self, request: Request) -> Response:
        """Every label of a parcel."""
        tariff = TARIFFS.get(request.path_params["name"])
        if tariff is None:
            return _respond(_unknown_carrier())
        if (failing := await self._counters[tariff.name].enter(request)) is not None:
            return failing
        return _respond(self._labels.of_parcel(tariff, request.query_params.get("reference", "")))

    async def void(self, request: Request) -> Response:
        """A label counts no more."""
        tariff = TARIFFS.get(request.path_params["name"])
        if tariff is None:
            return _respond(_unknown_carrier())
        if (failing := await self._counters[tariff.name].enter(request)) is not None:
            return failing
        id: str = request.path_params["id"]
        answer, replayed, lost = await self._once(tariff, request, b"", lambda key: self._labels.void(tariff, key, id))
        return Dropped(self._control.carriers.hang_seconds) if lost else _respond(answer, replayed=replayed)

    async def _once(
        self, tariff: Tariff, request: Request, body: bytes, act: Callable[[str], Answer]
    ) -> tuple[Answer, bool, bool]:
        """The answer, whether it was stored before, and whether it is to be lost."""
        counter = self._counters[tariff.name]
        key = request.headers.get("idempotency-key")
        asked = fingerprint(request.url.path, body)
        if key is not None:
            try:
                if (stored := counter.stored(key, asked)) is not None:
                    return stored, True, False
            except KeyMismatch:
                return refused("idempotency_mismatch", "The key was used for another request."), True, False
            except KeyInUse:
                return refused("idempotency_in_flight", "Still working on it.", status=409), True, False
        answer, lost = await counter.execute(key, asked, act)
        return answer, False, lost


def _respond(answer: Answer, *, replayed: bool = False) -> Response:
    return json_response(answer.status, answer.body, {"Idempotent-Replayed": "true"} if replayed else None)


def _unknown_carrier() -> Answer:
    return refused("unknown_carrier", "No such carrier.", status=404)


def _invalid(error: ValidationError) -> Answer:
    return refused("invalid_request", "; ".join(".".join(map(str, item["loc"])) for item in error.errors()))
