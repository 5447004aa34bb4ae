"""E-mail over SMTP: one connection that is kept while there is work, plain and HTML in one message."""

import asyncio
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from urllib.parse import unquote, urlsplit

import aiosmtplib

from providers.errors import ProviderRejected, ProviderUnavailable
from providers.message.contract import Message

# A message whose server takes longer is tried again; nobody else's should wait for it.
TIMEOUT = 12.0
_PORTS = {"smtp": 25, "smtps": 465}
_PERMANENT = range(500, 600)


class SmtpMessages:
    """`MessageProvider` over the server at *url*, ``smtp://[user:password@]host[:port]`` or ``smtps://...``.

    With a password, ``smtp`` insists on STARTTLS; without one it is used where it is offered. SMTP knows no keys: the
    message's id is made from it, so that a repeat can be recognised as one.

    Raises:
        ValueError: the address cannot be read.
    """

    def __init__(self, *, url: str, sender: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("DOORSTEP_SMTP_URL must look like smtp://user:password@host:port or smtps://host")
        name, address = parseaddr(sender)
        if "@" not in address:
            raise ValueError("DOORSTEP_MAIL_FROM must be an address, like Shop <orders@example.org>")
        self._from = Address(display_name=name, addr_spec=address)
        self._client = aiosmtplib.SMTP(
            hostname=parts.hostname,
            port=parts.port or _PORTS[parts.scheme],
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            use_tls=parts.scheme == "smtps",
            start_tls=True if parts.scheme == "smtp" and parts.password else None,
            local_hostname=self._from.domain,
            timeout=TIMEOUT,
        )
        self._alone = asyncio.Lock()

    async def send(self, message: Message) -> None:
        """See `MessageProvider.send`."""
        mail = self._mail(message)
        async with self._alone:
            try:
                async with asyncio.timeout(TIMEOUT):
                    if not self._client.is_connected:
                        await self._client.connect()
                    await self._client.send_message(mail, sender=self._from.addr_spec, recipients=[message.to])
            except (ValueError, aiosmtplib.SMTPNotSupported) as error:
                raise ProviderRejected("bad_address", "") from error
            except aiosmtplib.SMTPRecipientsRefused as error:
                raise _refusal(error.recipients[0].code) from error
            except aiosmtplib.SMTPDataError as error:
                raise _refusal(error.code) from error
            except (aiosmtplib.SMTPException, OSError) as error:
                # Also a sender or a password that is refused: ours to mend, and no refusal of this message.
                self._client.close()
                raise ProviderUnavailable(f"smtp: {type(error).__name__}") from error

    async def close(self) -> None:
        """Leave the server."""
        async with self._alone:
            if self._client.is_connected:
                self._client.close()

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        try:
            mail["To"] = Address(addr_spec=message.to)
        except (ValueError, IndexError, HeaderParseError) as error:
            raise ProviderRejected("bad_address", "") from error
        mail["From"] = self._from
        mail["Subject"] = " ".join(message.subject.split())
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = f"<{message.key}@{self._from.domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.plain)
        if message.html is not None:
            mail.add_alternative(message.html, subtype="html")
        return mail


def _refusal(code: int) -> Exception:
    """What the server's *code* means to us; its words may repeat the address and stay behind."""
    if code in _PERMANENT:
        return ProviderRejected(f"smtp_{code}", "")
    return ProviderUnavailable(f"smtp: {code}")
