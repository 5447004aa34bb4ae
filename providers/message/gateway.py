"""SMS and messengers over any HTTP gateway that takes JSON, a bearer token and an idempotency key."""

from http import HTTPStatus

import httpx

from providers.errors import ProviderRejected, ProviderUnavailable, retry_after_seconds
from providers.message.contract import Message

# Ours to mend, or soon over: no refusal of this message.
_WAITING = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)


class GatewayMessages:
    """`MessageProvider` that posts ``{"channel", "to", "text"}`` to *url*, the message's key as ``Idempotency-Key``."""

    def __init__(self, *, url: str, token: str, client: httpx.AsyncClient) -> None:
        self._url = url
        self._token = token
        self._client = client

    async def send(self, message: Message) -> None:
        """See `MessageProvider.send`."""
        headers = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": message.key}
        body = {"channel": message.channel.value, "to": message.to, "text": message.plain}
        try:
            answer = await self._client.post(self._url, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise ProviderUnavailable(f"gateway: {type(error).__name__}") from error
        if answer.is_success:
            return
        if answer.is_client_error and answer.status_code not in _WAITING:
            raise ProviderRejected(f"gateway_{answer.status_code}", "")
        raise ProviderUnavailable(
            f"gateway: HTTP {answer.status_code}", retry_after=retry_after_seconds(answer.headers.get("retry-after"))
        )
