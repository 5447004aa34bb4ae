"""Parcels over HTTP, and what carriers tell of them: labels, tracking, proof, signed events."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api.answers import json_response
from api.body import CARRIER_LIMIT, parse, read_raw, require_json
from api.carrier_facts import keep_tracking, read_pictures
from api.context import Context
from api.facts import check_occurred_at
from api.openapi import READ_ONE, SIGNED, takes
from api.schemas.carriers import TrackingBody
from api.schemas.fields import PathName
from api.schemas.outward_views import AcceptedView, ProofView, TrackingView
from api.security import Call, needs
from api.signatures import require_standard
from db.reading import parcels
from db.reading.parcels import StoredParcel, StoredProof
from domain.errors import Invalid, NotFound
from domain.vocabulary import Scope, TrackingStatus

router = APIRouter(tags=["shipping"])

LabelReader = Annotated[Call, Depends(needs(Scope.WAREHOUSE, Scope.SUPPORT, Scope.OPERATIONS))]
OrderReader = Annotated[Call, Depends(needs(Scope.STOREFRONT, Scope.SUPPORT, Scope.OPERATIONS))]

_SIGNATURE = [
    {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
]


@router.post(
    "/v1/carriers/{carrier}/events",
    status_code=202,
    response_model=AcceptedView,
    responses=SIGNED,
    openapi_extra=takes(TrackingBody, idempotent=False) | {"parameters": _SIGNATURE},
)
async def report_tracking(request: Request, carrier: PathName) -> Response:
    """Take a carrier's signed word of a parcel. Idempotent on its event_id; an unknown number is kept."""
    context: Context = request.app.state.context
    known = context.settings.carriers.get(carrier)
    if known is None:
        raise NotFound("there is no such carrier")
    raw = await read_raw(request, limit=CARRIER_LIMIT)
    require_standard(raw, request.headers, known.secret)
    require_json(request)
    body = parse(TrackingBody, raw)
    if errors := list(check_occurred_at(body.occurred_at, now=context.now())):
        raise Invalid(errors)
    pictures = read_pictures(body.proof)
    return json_response({"duplicate": not await keep_tracking(context, carrier, body, pictures)}, status=202)


def _file(*kinds: str) -> dict[int | str, dict[str, Any]]:
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in kinds}
    return READ_ONE | {200: {"content": content, "description": "The file."}}


@router.get(
    "/v1/parcels/{parcel_id}/label", response_class=Response, responses=_file("application/pdf", "application/zpl")
)
async def get_label(call: LabelReader, parcel_id: PathName) -> Response:
    """The parcel's label, as its carrier gave it."""
    return await _stored_file(call, f"label/{parcel_id}")


@router.get("/v1/parcels/{parcel_id}/tracking", response_model=TrackingView, responses=READ_ONE)
async def get_tracking(call: OrderReader, parcel_id: PathName) -> Response:
    """What the carrier told of the parcel, by the carrier's own clock."""
    parcel = await _parcel(call, parcel_id)
    events = []
    if parcel.carrier is not None and parcel.tracking_number is not None:
        async with call.context.sessions() as session:
            events = list(
                await parcels.tracking(session, carrier=parcel.carrier, tracking_number=parcel.tracking_number)
            )
    view: TrackingView = {
        "parcel_id": parcel.parcel_id,
        "carrier": parcel.carrier,
        "tracking_number": parcel.tracking_number,
        "status": TrackingStatus(parcel.tracking_status),
        "estimated_on": parcel.estimated_on,
        "events": [
            {
                "status": TrackingStatus(event.status),
                "at": event.at,
                "location": event.location,
                "party": event.party,
                "reason": event.reason,
            }
            for event in events
        ],
    }
    return json_response(view)


@router.get("/v1/parcels/{parcel_id}/proof", response_model=ProofView, responses=READ_ONE)
async def get_proof(call: OrderReader, parcel_id: PathName) -> Response:
    """Who signed for the parcel, and where the pictures are."""
    proof = await _proof(call, parcel_id)
    own = f"/v1/parcels/{parcel_id}/proof"
    view: ProofView = {
        "signed_by": proof.signed_by,
        "signature_url": None if proof.signature_key is None else f"{own}/signature",
        "photo_url": None if proof.photo_key is None else f"{own}/photo",
    }
    return json_response(view)


@router.get(
    "/v1/parcels/{parcel_id}/proof/{picture}", response_class=Response, responses=_file("image/png", "image/jpeg")
)
async def get_picture(call: OrderReader, parcel_id: PathName, picture: Literal["signature", "photo"]) -> Response:
    """The signature or the photo itself."""
    proof = await _proof(call, parcel_id)
    keys: Mapping[str, str | None] = {"signature": proof.signature_key, "photo": proof.photo_key}
    return await _stored_file(call, keys[picture])


async def _parcel(call: Call, parcel_id: str) -> StoredParcel:
    async with call.context.sessions() as session:
        parcel = await parcels.find_parcel(session, parcel_id)
    if parcel is None or not call.sees_source(parcel.source):
        raise NotFound("there is no such parcel")
    return parcel


async def _proof(call: Call, parcel_id: str) -> StoredProof:
    parcel = await _parcel(call, parcel_id)
    proof = None
    if parcel.carrier is not None and parcel.tracking_number is not None:
        async with call.context.sessions() as session:
            proof = await parcels.proof(session, carrier=parcel.carrier, tracking_number=parcel.tracking_number)
    if proof is None:
        raise NotFound("there is no proof of delivery")
    return proof


async def _stored_file(call: Call, key: str | None) -> Response:
    found = None if key is None else await call.context.documents.get(key)
    if found is None:
        raise NotFound("there is no such file yet")
    content_type, body = found
    # What a carrier sent is shown as what it says it is, and nothing else.
    return Response(body, media_type=content_type, headers={"X-Content-Type-Options": "nosniff"})
