"""The tracking page as HTML: a view by link put into words and a template, and what browsers may do with it."""

import secrets
from datetime import date, datetime
from functools import cache
from typing import Any

import jinja2
from babel import Locale
from starlette.datastructures import MutableHeaders
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.schemas.tracking import TrackedOrderView
from api.tracking_words import HEADLINES, PARCELS, STATUSES, STEPS, WORDS
from domain.notices import Language
from domain.tracking_page import SHOWN
from domain.vocabulary import OrderState
from runtime import wording

_PREFIXES = ("/track/", "/v1/track/")
# The address is the key: it must not be kept by caches, sent on to others, or found by search engines.
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_EXPECTED = frozenset({OrderState.RECEIVED, OrderState.CONFIRMED, OrderState.FULFILLING, OrderState.SHIPPED})


class KeepSecret:
    """ASGI middleware: whatever is answered under a tracking link, errors too, says how the link is to be kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and add to its answer."""
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIXES):
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, guarded)


@cache
def _environment() -> jinja2.Environment:
    return wording.templates("api")


def page(view: TrackedOrderView, *, token: str, locale: str | None, country: str, language: Language) -> Response:
    """The page of *view* in *language*; *locale* is the customer's own, *country* where the goods go."""
    found = wording.locale_of(locale, language)
    return _respond(
        "track.html",
        language,
        view=view,
        token=token,
        dates=Dates(found, country),
        headline=HEADLINES[language][view["state"]],
        is_expected=view["state"] in _EXPECTED,
        steps=STEPS[language],
        parcel_states=PARCELS[language],
        statuses=STATUSES[language],
        kinds=sorted(SHOWN),
    )


def gone(language: Language) -> Response:
    """The page for a link that leads nowhere."""
    return _respond("gone.html", language, status=404)


def _respond(template: str, language: Language, *, status: int = 200, **values: Any) -> Response:
    nonce = secrets.token_urlsafe(16)
    other = next(each for each in Language if each is not language)
    content = (
        _environment()
        .get_template(template)
        .render(language=language.value, other=other.value, words=WORDS[language], nonce=nonce, **values)
    )
    return HTMLResponse(content, status_code=status, headers={"Content-Security-Policy": _POLICY.format(nonce=nonce)})


class Dates:
    """Days and times as the page writes them."""

    def __init__(self, locale: Locale, country: str) -> None:
        self._locale = locale
        self._country = country

    def day(self, at: datetime | date) -> str:
        """The day, written out."""
        if isinstance(at, datetime):
            return wording.day(at, self._locale, self._country)
        return wording.calendar_day(at, self._locale)

    def moment(self, at: datetime) -> str:
        """Day, time and zone."""
        return wording.moment(at, self._locale, self._country)

    def hour(self, at: datetime) -> str:
        """Day and time, short."""
        return wording.hour(at, self._locale, self._country)
