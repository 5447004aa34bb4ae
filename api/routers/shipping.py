"""Parcels over HTTP, and what carriers tell of them: labels, tracking, proof, signed events."""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import structlog
from fastapi import APIRouter, Depends, Request
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.responses import Response

from api.answers import json_response
from api.body import CARRIER_LIMIT, parse, read_raw, require_json
from api.context import Context
from api.openapi import READ_ONE, SIGNED, takes
from api.schemas.carriers import MOST_PICTURE, ProofBody, TrackingBody
from api.schemas.fields import PathName
from api.schemas.views import AcceptedView, ProofView, TrackingView
from api.security import Call, needs
from contracts import names
from db import inbox
from db.inbox import Incoming
from db.reading import parcels
from db.reading.parcels import StoredParcel, StoredProof
from domain.errors import Invalid, NotFound, Refused
from domain.messages import CarrierFact
from domain.vocabulary import Scope
