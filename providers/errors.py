"""What calling the outside world can raise; a decline or a shortfall is a result and is not here."""


class ProviderUnavailable(Exception):
    """No usable answer: outage, time-out, 5xx, 429 or a key still in use. Whether the effect happened is unknown."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProviderRejected(Exception):
    """A definite refusal: nothing was done, and the same request will be refused again."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def retry_after_seconds(value: str | None) -> float | None:
    """The seconds a Retry-After header asks for, None when it is missing or a date."""
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None
