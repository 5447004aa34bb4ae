"""Rules of outward webhooks: when one is tried again, when an endpoint is given up, which addresses may be called; no I/O."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from domain.vocabulary import EventKind

# The schedule of the Standard Webhooks specification: the first attempt at once, then a pause after each failure.
PAUSES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
WAITED_FOR = 5
"""Through so many attempts the later events of the order wait; then they overtake."""
MOST_FAILURES = 15
# Many deliveries can fail side by side: a receiver that restarts must not be given up within a second.
FAILING_FOR = timedelta(seconds=5)
OVERLAP = timedelta(hours=24)
"""How long a secret that was replaced signs too."""
LONGEST_URL = 2000

FILTERS = frozenset({"*", *EventKind, *(f"{kind.partition('.')[0]}.*" for kind in EventKind)})
"""What an endpoint may ask for: everything, the kinds of one noun, one kind."""

_LONGEST_QUICK_PAUSE = 60
_GONE = 410
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.\-_]{0,251}[A-Za-z0-9])?\.?", re.ASCII)
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_TRANSLATED = IPv6Network("64:ff9b::/96")


class Profile(StrEnum):
    """How an endpoint is tried: by the standard schedule; or quickly and for ever, a part of the development stack."""

    STANDARD = "standard"
    QUICK = "quick"


class DisabledReason(StrEnum):
    """Why an endpoint is told nothing more."""

    GONE = "gone"
    FAILING = "failing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What follows from a failed attempt: the pause before the next one, None when there is none; the end of the endpoint."""

    pause: timedelta | None
    disable: DisabledReason | None = None


def after_failure(
    profile: Profile, *, attempts: int, failures: int, failing_since: datetime, status: int | None, now: datetime
) -> Verdict:
    """What follows from a delivery's failure number *attempts*, the endpoint's number *failures* in a row."""
    if status == _GONE:
        return Verdict(pause=None, disable=DisabledReason.GONE)
    if profile is Profile.QUICK:
        return Verdict(pause=timedelta(seconds=min(2 ** min(attempts - 1, 6), _LONGEST_QUICK_PAUSE)))
    failing = failures >= MOST_FAILURES and now - failing_since >= FAILING_FOR
    return Verdict(
        pause=PAUSES[attempts - 1] if attempts <= len(PAUSES) else None,
        disable=DisabledReason.FAILING if failing else None,
    )


def may_be_called(address: str, *, allow_loopback: bool) -> bool:
    """Whether the outside world ends at this IP address: it is public, or *allow_loopback* and our own machine's.

    An IPv6 address that stands for an IPv4 one (mapped, or translated by NAT64) is judged as that; tunnels to an IPv4 address
    (6to4, Teredo) are no receiver's.
    """
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if found.sixtofour is not None or found.teredo is not None:
            return False
        translated = IPv4Address(int(found) & 0xFFFFFFFF) if found in _TRANSLATED else None
        found = translated or found.ipv4_mapped or found
    if found.is_loopback:
        return allow_loopback
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a URL points: to connect to, and to ask for."""

    tls: bool
    host: str
    port: int
    authority: str
    path: str


def read_target(url: str, *, allow_loopback: bool) -> Target:
    """The target of *url*; what its name resolves to is judged where it is called.

    Raises:
        ValueError: it cannot be called; the message says which rule it breaks.
    """
    if not _VISIBLE.fullmatch(url) or len(url) > LONGEST_URL:
        raise ValueError(f"must be at most {LONGEST_URL} visible ASCII characters")
    parts = urlsplit(url)
    if parts.scheme != "https" and not (allow_loopback and parts.scheme == "http"):
        raise ValueError("must begin with https://")
    if "@" in parts.netloc or parts.fragment:
        raise ValueError("must have neither a user nor a fragment")
    tls = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port if parts.port is not None else (443 if tls else 80)
    if not port:
        raise ValueError("there is no such port")
    _judge_host(host, allow_loopback=allow_loopback)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(tls=tls, host=host, port=port, authority=parts.netloc, path=path)


def _judge_host(host: str, *, allow_loopback: bool) -> None:
    try:
        ip_address(host)
    except ValueError:
        if not _HOST.fullmatch(host):
            raise ValueError("must name a host") from None
        return
    if not may_be_called(host, allow_loopback=allow_loopback):
        raise ValueError("must not be a private address")
