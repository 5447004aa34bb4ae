"""The payment provider over HTTP: keys, stored answers and Stripe's error shapes; what requests do is next door."""

import base64
import binascii
import re
import secrets
from collections.abc import Callable
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from devstack.world.answers import Answer, Counter, Dropped, KeyInUse, KeyMismatch, fingerprint, json_response
from devstack.world.control import Control
from devstack.world.payments import forms
from devstack.world.payments.cards import CARDS, SLOW_SECONDS, SLOW_SECONDS_AT_LEAST, Card
from devstack.world.payments.intents import Intents
from devstack.world.payments.methods import Methods
from devstack.world.payments.pages import Pages
from devstack.world.payments.parameters import GETS, POSTS, check
from devstack.world.payments.records import Record
from devstack.world.payments.refunds import Refunds
from devstack.world.payments.refusals import Refusal, error_answer
from devstack.world.payments.sessions import Sessions
from devstack.world.store import Store

LONGEST_KEY = 255
Act = Callable[[str], Answer]


class PaymentRoutes:
    """`/v1/...`, `/pay/{id}` and `/payments/{id}/complete`."""

    def __init__(
        self,
        *,
        store: Store,
        control: Control,
        api_key: str,
        methods: Methods,
        intents: Intents,
        sessions: Sessions,
        refunds: Refunds,
    ) -> None:
        self._store = store
        self._control = control
        self._api_key = api_key
        self._counter = Counter(store, "payments", control.payments)
        self._pages = Pages(store=store, intents=intents, sessions=sessions)
        self._creates: dict[str, Callable[[str, Record], Answer]] = {
            "customers": methods.create_customer,
            "payment_methods": methods.create,
            "payment_intents": intents.create,
            "refunds": refunds.create,
            "checkout/sessions": sessions.create,
        }
        self._acts: dict[tuple[str, str], Callable[[str, str, Record], Answer]] = {
            ("payment_methods", "attach"): methods.attach,
            ("payment_intents", "confirm"): intents.confirm,
            ("payment_intents", "capture"): intents.capture,
            ("payment_intents", "cancel"): intents.cancel,
            ("checkout/sessions", "expire"): sessions.expire,
        }
        self._lists: dict[str, Callable[[Record], Answer]] = {
            "payment_methods": methods.list,
            "payment_intents": intents.list,
            "payment_intents/search": intents.search,
            "refunds": refunds.list,
            "checkout/sessions": sessions.list,
        }
        self._reads: dict[str, Callable[[str, Record], Answer]] = {
            "customers": methods.retrieve_customer,
            "payment_methods": methods.retrieve,
            "payment_intents": intents.retrieve,
            "refunds": refunds.retrieve,
            "checkout/sessions": sessions.retrieve,
        }

    def add_to(self, app: FastAPI) -> None:
        """The routes are part of *app*."""
        app.router.add_route("/v1/{path:path}", self.stripe, methods=["GET", "POST"])
        app.router.add_route("/payments/{id}/complete", self.complete, methods=["POST"])
        app.router.add_route("/pay/{id}", self.pay, methods=["GET", "POST"])

    async def stripe(self, request: Request) -> Response:
        """One request in Stripe's dialect."""
        if (failing := await self._counter.enter(request)) is not None:
            return failing
        if not self._known(request.headers.get("authorization", "")):
            return _respond(error_answer(401, "Invalid API Key provided", stored=False, type="invalid_request_error"))
        try:
            if request.method == "GET":
                return _respond(self._read(request.path_params["path"], forms.parse(request.url.query)))
            return await self._write(request)
        except Refusal as refusal:
            return _respond(refusal.answer)

    def _known(self, authorization: str) -> bool:
        scheme, _, word = authorization.partition(" ")
        if scheme.lower() == "basic":
            try:
                word = base64.b64decode(word).decode().partition(":")[0]
            except (binascii.Error, UnicodeDecodeError):
                return False
        return secrets.compare_digest(word.encode(), self._api_key.encode())

    def _read(self, path: str, params: Record) -> Answer:
        if listing := self._lists.get(path):
            check(GETS[path], params)
            return listing(params)
        parent, _, id = path.rpartition("/")
        if reading := self._reads.get(parent):
            return reading(id, params)
        if of_customer := re.fullmatch(r"customers/(\w+)/payment_methods", path):
            return self._lists["payment_methods"](params | {"customer": of_customer[1]})
        raise _unrecognized("GET", path)

    async def _write(self, request: Request) -> Response:
        body = await request.body()
        params = forms.parse(body.decode("utf-8", "replace"))
        path: str = request.path_params["path"]
        act = self._act(path, params)
        key = request.headers.get("idempotency-key")
        if key is not None and len(key) > LONGEST_KEY:
            return _respond(_key_error(400, "Keys for idempotent requests have at most 255 characters."))
        asked = fingerprint(path, body)
        if key is not None:
            try:
                if (stored := self._counter.stored(key, asked)) is not None:
                    return _respond(stored, replayed=True)
            except KeyMismatch:
                return _respond(_key_error(400, "Keys can only be used with the parameters they were first used with."))
            except KeyInUse:
                message = "There is currently another in-progress request using this Idempotent Key."
                return _respond(_key_error(409, message, code="idempotency_key_in_use"))
        return await self._do(key, asked, act, self._card(params))

    async def _do(self, key: str | None, asked: str, act: Act, card: Card | None) -> Response:
        hang = self._control.payments.hang_seconds
        if card and card.timeout == "before" and self._store.mark(f"timeout:{key}"):
            return Dropped(hang)
        pause = max(SLOW_SECONDS_AT_LEAST, self._control.seconds(SLOW_SECONDS)) if card and card.slow else 0
        answer, lost = await self._counter.execute(key, asked, _kept(act), pause=pause)
        if lost or (card and card.timeout == "after" and key is not None):
            return Dropped(hang)
        return _respond(answer)

    def _act(self, path: str, params: Record) -> Act:
        if creating := self._creates.get(path):
            check(POSTS[path], params)
            return lambda key: creating(key, params)
        parent, _, verb = path.rpartition("/")
        subject, _, id = parent.rpartition("/")
        if acting := self._acts.get((subject, verb)):
            check(POSTS[f"{subject}/{verb}"], params)
            return lambda key: acting(key, id, params)
        raise _unrecognized("POST", path)

    def _card(self, params: Record) -> Card | None:
        """The card that an attempt uses; only attempts can be slow or lost."""
        token = params.get("payment_method")
        if not isinstance(token, str):
            return None
        method = None if token in CARDS else self._store.get("payment_method", token)
        return CARDS.get(method["_token"] if method else token)

    async def complete(self, request: Request) -> Response:
        """A test plays the customer: JSON `{"outcome": "succeeded" | "failed"}`."""
        try:
            outcome = orjson.loads(await request.body()).get("outcome")
        except (orjson.JSONDecodeError, AttributeError):
            outcome = None
        if outcome not in ("succeeded", "failed"):
            return json_response(422, {"code": "invalid_request", "message": "outcome: succeeded or failed"})
        id = request.path_params["id"]
        record = self._pages.complete(id, outcome)
        if record is None:
            known = bool(self._pages.find(id))
            code = "nothing_pending" if known else "not_found"
            return json_response(409 if known else 404, {"code": code, "message": f"nothing waits under {id}"})
        return json_response(200, {"id": record["id"], "status": record["status"], "outcome": outcome})

    async def pay(self, request: Request) -> Response:
        """The page with two buttons, and what they do."""
        id = request.path_params["id"]
        if request.method == "POST":
            outcome = forms.parse((await request.body()).decode("utf-8", "replace")).get("outcome")
            record = self._pages.complete(id, "succeeded" if outcome == "succeeded" else "failed")
            back = (record or {}).get("success_url") or (record or {}).get("_return_url")
            return RedirectResponse(back or request.url.path, status_code=303)
        page = self._pages.page(id)
        return HTMLResponse(page or "No such payment.", status_code=200 if page else 404)


def _kept(act: Act) -> Act:
    """*act* with its refusals as answers, so that those which Stripe keeps are kept."""

    def answer(key: str) -> Answer:
        try:
            return act(key)
        except Refusal as refusal:
            return refusal.answer

    return answer


def _respond(answer: Answer, *, replayed: bool = False) -> Response:
    headers = {"Request-Id": f"req_{secrets.token_hex(7)}"}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return json_response(answer.status, answer.body, headers)


def _key_error(status: int, message: str, code: str | None = None) -> Answer:
    return error_answer(status, message, stored=False, type="idempotency_error", code=code)


def _unrecognized(method: str, path: str) -> Refusal:
    message: Any = f"Unrecognized request URL ({method}: /v1/{path})."
    return Refusal(error_answer(404, message, stored=False, type="invalid_request_error"))
