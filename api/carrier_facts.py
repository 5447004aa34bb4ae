"""A carrier's word as the fact that the order's loop understands; place, person and pictures stay outside it."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from api.context import Context
from api.schemas.carriers import MOST_PICTURE, ProofBody, TrackingBody
from contracts import names
from db import inbox
from db.inbox import Incoming
from domain.errors import Invalid
from domain.intake import Violation
from domain.messages import CarrierFact

_FACT = TypeAdapter(CarrierFact)
# Only a code may go on to the engine: free text can name a person.
_CODE = re.compile(r"[a-z0-9_.\-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of a proof of delivery, unpacked."""

    name: str
    content_type: str
    body: bytes


_PICTURES = (
    ("signature_png", "signature", "image/png", b"\x89PNG\r\n\x1a\n"),
    ("photo_jpeg", "photo", "image/jpeg", b"\xff\xd8\xff"),
)


def read_pictures(proof: ProofBody | None) -> list[Picture]:
    """The proof's pictures.

    Raises:
        Invalid: one is not base64, not the kind of picture it says, or too large.
    """
    found: list[Picture] = []
    errors: list[Violation] = []
    for field, name, content_type, beginning in _PICTURES:
        encoded = getattr(proof, field, None)
        if encoded is None:
            continue
        try:
            body = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            errors.append((f"proof.{field}", "base64: not base64"))
            continue
        if len(body) > MOST_PICTURE:
            errors.append((f"proof.{field}", f"too_large: more than {MOST_PICTURE} bytes"))
        elif not body.startswith(beginning):
            errors.append((f"proof.{field}", f"content: not {content_type}"))
        else:
            found.append(Picture(name=name, content_type=content_type, body=body))
    if errors:
        raise Invalid(errors)
    return found


async def keep_tracking(context: Context, carrier: str, body: TrackingBody, pictures: list[Picture]) -> bool:
    """Whether the fact was new. Idempotent on the carrier's event id; all of it in one transaction but the pictures."""
    keys: dict[str, str] = {}
    for picture in pictures:
        keys[picture.name] = f"proof/{carrier}/{body.tracking_number}/{body.event_id}/{picture.name}"
        await context.documents.put(keys[picture.name], picture.content_type, picture.body)
    source = names.carrier_source(carrier)
    fact = _fact(carrier, body)
    async with context.sessions.begin() as session:
        order_id = await inbox.order_of_parcel(session, carrier=carrier, tracking_number=body.tracking_number)
        incoming = Incoming(
            source=source,
            event_id=body.event_id,
            signal=names.CARRIER_FACT,
            fact=_FACT.dump_python(fact, mode="json", exclude_defaults=True),
            received_at=context.now(),
            order_id=order_id,
            matches=names.tracking_match(carrier, body.tracking_number),
        )
        if not await inbox.keep(session, incoming):
            return False
        await inbox.add_tracking_event(session, _told(carrier, body))
        if _is_proof(body.proof):
            await inbox.add_proof(
                session,
                {
                    "carrier": carrier,
                    "tracking_number": body.tracking_number,
                    "signed_by": None if body.proof is None else body.proof.signed_by,
                    "signature_key": keys.get("signature"),
                    "photo_key": keys.get("photo"),
                    "at": body.occurred_at,
                },
            )
    return True


def _fact(carrier: str, body: TrackingBody) -> CarrierFact:
    return CarrierFact(
        id=names.fact_id(names.carrier_source(carrier), body.event_id),
        carrier=carrier,
        tracking_number=body.tracking_number,
        status=body.status,
        occurred_at=body.occurred_at,
        party=body.party,
        reason=body.reason if body.reason is not None and _CODE.fullmatch(body.reason) else None,
        estimated_on=body.estimated_on,
        collected_minor=body.collected_minor,
        has_proof=_is_proof(body.proof),
    )


def _told(carrier: str, body: TrackingBody) -> dict[str, Any]:
    return {
        "carrier": carrier,
        "event_id": body.event_id,
        "tracking_number": body.tracking_number,
        "status": body.status.value,
        "at": body.occurred_at,
        "location": body.location,
        "party": None if body.party is None else body.party.value,
        "reason": body.reason,
    }


def _is_proof(proof: ProofBody | None) -> bool:
    return proof is not None and any((proof.signed_by, proof.signature_png, proof.photo_jpeg))
