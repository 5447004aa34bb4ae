"""What sending a message to a customer takes, whoever carries it."""

from dataclasses import dataclass, field
from typing import Protocol

from domain.notices import NoticeChannel


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message; *key* is the same on every try. *subject* and *html* are an e-mail's. Personal, so never in a repr."""

    channel: NoticeChannel
    to: str = field(repr=False)
    plain: str = field(repr=False)
    key: str
    subject: str = field(default="", repr=False)
    html: str | None = field(default=None, repr=False)


class MessageProvider(Protocol):
    """Carries messages of the channels that it is given."""

    async def send(self, message: Message) -> None:
        """Return when *message* was taken; repeated with its key it reaches the customer once, as far as the way allows.

        Raises:
            ProviderUnavailable: the outcome is unknown; repeat with the same key.
            ProviderRejected: it will never be taken; the code says why, without the address.
        """
        ...
