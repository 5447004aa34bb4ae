"""The transport under the official Stripe library: one shared httpx client.

The library's own `HTTPXClient` hands bodies over in a way that httpx deprecates, and offers no limits on connections.
"""

from collections.abc import Mapping

import httpx
import stripe

TIMEOUT_SECONDS = 10.0


class StripeHttp(stripe.HTTPClient):
    """Asynchronous requests; nothing is repeated here."""

    name = "httpx"

    def __init__(self) -> None:
        super().__init__()
        self._httpx = httpx.AsyncClient(timeout=TIMEOUT_SECONDS)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | bytes | None = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Body, status and headers of the answer.

        Raises:
            stripe.APIConnectionError: there was none.
        """
        try:
            response = await self._httpx.request(method, url, headers=dict(headers), content=post_data or None)
        except httpx.HTTPError as error:
            away = stripe.APIConnectionError(f"no answer: {type(error).__name__}")  # type: ignore[no-untyped-call]
            raise away from error
        return response.content, response.status_code, response.headers

    async def close_async(self) -> None:
        """Every connection is closed."""
        await self._httpx.aclose()
