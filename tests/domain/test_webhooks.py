"""When a webhook is tried again, when an endpoint is given up, and which addresses may be called."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.vocabulary import EventKind
from domain.webhooks import FILTERS, LONGEST_URL, DisabledReason, Profile, after_failure, may_be_called, read_target

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=1)


def pauses(profile: Profile, attempts: int) -> list[float | None]:
    verdicts = [
        after_failure(profile, attempts=n, failures=1, failing_since=NOW, status=500, now=NOW)
        for n in range(1, attempts + 1)
    ]
    return [None if verdict.pause is None else verdict.pause.total_seconds() for verdict in verdicts]


def test_ten_attempts_follow_the_standard_schedule():
    minute, hour = 60, 3600

    assert pauses(Profile.STANDARD, 10) == [
        5,
        5 * minute,
        30 * minute,
        2 * hour,
        5 * hour,
        10 * hour,
        14 * hour,
        20 * hour,
        24 * hour,
        None,
    ]


def test_a_quick_endpoint_is_tried_for_ever_and_never_given_up():
    assert pauses(Profile.QUICK, 9) == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    verdict = after_failure(Profile.QUICK, attempts=500, failures=500, failing_since=LONG_AGO, status=None, now=NOW)
    assert (verdict.pause, verdict.disable) == (timedelta(seconds=60), None)


@pytest.mark.parametrize(
    ("failures", "since", "disabled"),
    [(14, LONG_AGO, False), (15, LONG_AGO, True), (15, NOW - timedelta(seconds=4.9), False), (16, LONG_AGO, True)],
)
def test_fifteen_failures_in_a_row_give_an_endpoint_up(failures: int, since: datetime, disabled: bool):
    verdict = after_failure(Profile.STANDARD, attempts=1, failures=failures, failing_since=since, status=500, now=NOW)

    assert verdict.disable == (DisabledReason.FAILING if disabled else None)
    assert verdict.pause == timedelta(seconds=5), "what waits goes on when somebody enables the endpoint"


@pytest.mark.parametrize("profile", Profile)
def test_gone_is_gone(profile: Profile):
    verdict = after_failure(profile, attempts=1, failures=1, failing_since=NOW, status=410, now=NOW)

    assert (verdict.pause, verdict.disable) == (None, DisabledReason.GONE)


PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
LOOPBACK = ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
PRIVATE = [
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "224.0.0.1",
    "240.0.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "2002:7f00:1::",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_called(address: str):
    assert may_be_called(address, allow_loopback=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_may_not_be_called(address: str):
    assert not may_be_called(address, allow_loopback=False)
    assert not may_be_called(address, allow_loopback=True)


@pytest.mark.parametrize("address", LOOPBACK)
def test_this_machine_may_be_called_where_that_is_allowed(address: str):
    assert not may_be_called(address, allow_loopback=False)
    assert may_be_called(address, allow_loopback=True)


BASE = "https://shop.example/"


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://shop.example", (True, "shop.example", 443, "shop.example", "/")),
        ("https://Shop.example:8443/a/b?c=d", (True, "shop.example", 8443, "Shop.example:8443", "/a/b?c=d")),
        ("https://8.8.8.8/x", (True, "8.8.8.8", 443, "8.8.8.8", "/x")),
        ("https://[2606:4700::1]:9/x", (True, "2606:4700::1", 9, "[2606:4700::1]:9", "/x")),
        (BASE + "x" * (LONGEST_URL - len(BASE)), (True, "shop.example", 443, "shop.example", None)),
    ],
)
def test_a_url_names_what_to_connect_to_and_what_to_ask_for(url: str, target: tuple[object, ...]):
    found = read_target(url, allow_loopback=False)

    assert (found.tls, found.host, found.port, found.authority) == target[:4]
    assert target[4] is None or found.path == target[4]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "http://shop.example/",
        "ftp://shop.example/",
        "https://",
        "https:///path",
        "https://user@shop.example/",
        "https://user:word@shop.example/",
        "https://shop.example/#part",
        "https://shop.example:0/",
        "https://shop.example:65536/",
        "https://shop.example:port/",
        "https://shop example/",
        "https://shöp.example/",
        "https://shop.example/\r\nx: y",
        "https://-shop.example/",
        "https://shop..example\\@evil/",
        "https://[::1/",
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://[fe80::1]/",
        "https://169.254.169.254/latest/",
        BASE + "x" * (LONGEST_URL - len(BASE) + 1),
    ],
)
def test_what_cannot_be_called_is_refused(url: str):
    with pytest.raises(ValueError, match=r".+"):
        read_target(url, allow_loopback=False)


def test_where_loopback_is_allowed_it_may_go_without_tls():
    assert read_target("http://127.0.0.1:8701/x", allow_loopback=True).tls is False
    with pytest.raises(ValueError, match="private"):
        read_target("http://10.0.0.1/", allow_loopback=True)


def test_one_may_ask_for_everything_a_noun_or_a_kind():
    assert {"*", "order.*", "parcel.*", "order.shipped"} <= FILTERS
    assert set(EventKind) <= FILTERS
    assert not {"order", "order.", "*.shipped", "order.shiped", ""} & FILTERS
