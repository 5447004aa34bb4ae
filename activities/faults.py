"""How a provider's trouble becomes an activity failure: an outage is tried again, a refusal nobody planned is not."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from temporalio.exceptions import ApplicationError

from providers.errors import ProviderRejected, ProviderUnavailable


@contextmanager
def provider_call() -> Iterator[None]:
    """Translate what providers raise.

    Raises:
        ApplicationError: type ``provider_unavailable`` (retried, after the provider's own delay if it named one) or
            ``provider_rejected`` (not retried).
    """
    try:
        yield
    except ProviderUnavailable as error:
        delay = timedelta(seconds=error.retry_after) if error.retry_after else None
        raise ApplicationError(str(error), type="provider_unavailable", next_retry_delay=delay) from error
    except ProviderRejected as error:
        raise ApplicationError(
            f"{error.code}: {error.message}", type="provider_rejected", non_retryable=True
        ) from error
