"""Whether a body was signed with a secret that only its sender and we know; a bad signature is never more than that."""

from collections.abc import Mapping

import stripe
from standardwebhooks import Webhook, WebhookVerificationError

from domain.errors import Refused

TOLERANCE_S = 300


def require_standard(raw: bytes, headers: Mapping[str, str], secret: str) -> None:
    """Return when *raw* is signed by Standard Webhooks and fresh.

    Raises:
        Refused: (bad_signature) it is not.
    """
    try:
        Webhook(secret).verify(raw, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError) as error:
        raise Refused("the signature is missing, wrong or stale", code="bad_signature") from error


def require_stripe(raw: bytes, header: str | None, secret: str) -> None:
    """Return when *raw* bears Stripe's signature and is fresh; without a secret nothing does.

    Raises:
        Refused: (bad_signature) it does not.
    """
    try:
        if not secret or not header:
            raise ValueError("nothing to verify with")
        stripe.WebhookSignature.verify_header(raw, header, secret, TOLERANCE_S)
    except (stripe.SignatureVerificationError, ValueError) as error:
        raise Refused("the signature is missing, wrong or stale", code="bad_signature") from error
