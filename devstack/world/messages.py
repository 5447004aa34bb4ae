"""The customers' mailbox and telephone: an SMTP server and an HTTP gateway that keep what arrives, each key once."""

import asyncio
import secrets
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from weakref import WeakSet

import orjson
import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from devstack.world.answers import Answer, Counter, Dropped, KeyInUse, KeyMismatch, fingerprint, json_response
from devstack.world.control import Control
from devstack.world.store import Store

log = structlog.get_logger()
MAIL, TEXT = "mail", "text"
CHANNELS = ("sms", "messenger")
Record = dict[str, Any]


class Mailbox:
    """What arrived, by whom it is for. A repeat of a key is counted and not kept, as mailboxes and gateways do."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, kind: str, key: str, content: Record) -> Record:
        """What is kept under *key*: *content*, or what came first with one copy more; in a transaction of the caller's."""
        record = self._store.get(kind, f"{kind}:{key}")
        if record is None:
            at = datetime.now(UTC).isoformat()
            record = {"id": f"{kind}:{key}", "key": key, "at": at, "copies": 0, **content}
        record["copies"] += 1
        self._store.put(kind, record)
        self._store.tag(kind, record["id"])
        self._store.tag(f"{kind}:to={record['to'].lower()}", record["id"])
        return record

    def list(self, kind: str, to: str | None) -> list[Record]:
        """What arrived for *to*, or for everybody, oldest first."""
        return self._store.tagged(kind, kind if to is None else f"{kind}:to={to.lower()}")


class MessageRoutes:
    """`POST /messages`, `GET /mailbox?to=` and `GET /phone?to=`."""

    def __init__(self, *, store: Store, control: Control, mailbox: Mailbox, token: str) -> None:
        self._mailbox = mailbox
        self._token = token
        self._faults = control.messages
        self._counter = Counter(store, "messages", control.messages)

    def add_to(self, app: FastAPI) -> None:
        """The routes are part of *app*."""
        app.router.add_route("/messages", self.take, methods=["POST"])
        app.router.add_route("/mailbox", self.show_mail, methods=["GET"])
        app.router.add_route("/phone", self.show_texts, methods=["GET"])

    async def show_mail(self, request: Request) -> Response:
        """The mails for `?to=`, all of them without."""
        return json_response(200, self._mailbox.list(MAIL, request.query_params.get("to")))

    async def show_texts(self, request: Request) -> Response:
        """The texts for `?to=`, all of them without."""
        return json_response(200, self._mailbox.list(TEXT, request.query_params.get("to")))

    async def take(self, request: Request) -> Response:
        """One SMS or messenger message, once per key."""
        if (failing := await self._counter.enter(request)) is not None:
            return failing
        authorization = request.headers.get("authorization", "")
        if not secrets.compare_digest(authorization.encode(), f"Bearer {self._token}".encode()):
            return json_response(401, {"code": "unauthorized", "message": "no such token"})
        raw = await request.body()
        key, asked = request.headers.get("idempotency-key"), _asked(raw)
        if asked is None or not key:
            return json_response(422, {"code": "invalid_request", "message": "channel, to, text and a key are needed"})
        try:
            if (stored := self._counter.stored(key, fingerprint(raw))) is not None:
                return json_response(stored.status, stored.body, {"Idempotent-Replayed": "true"})
        except KeyMismatch:
            return json_response(422, {"code": "idempotency_mismatch", "message": "another message has this key"})
        except KeyInUse:
            return json_response(409, {"code": "idempotency_in_flight", "message": "still working on it"})
        answer, lost = await self._counter.execute(key, fingerprint(raw), lambda used: self._keep(used, asked))
        return Dropped(self._faults.hang_seconds) if lost else json_response(answer.status, answer.body)

    def _keep(self, key: str, asked: Record) -> Answer:
        record = self._mailbox.put(TEXT, key, asked)
        return Answer(202, {"id": record["id"]})


def _asked(raw: bytes) -> Record | None:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    names = ("channel", "to", "text")
    if not isinstance(body, dict) or not all(isinstance(body.get(name), str) and body[name] for name in names):
        return None
    return {name: body[name] for name in names} if body["channel"] in CHANNELS else None


class MailServer:
    """An SMTP server that puts every mail into the mailbox; addresses of ``refused.example`` are refused."""

    def __init__(self, *, store: Store, control: Control, mailbox: Mailbox) -> None:
        self._store = store
        self._faults = control.messages
        self._mailbox = mailbox
        self._server: asyncio.Server | None = None
        self._connections: WeakSet[SMTP] = WeakSet()

    async def start(self, host: str, port: int) -> None:
        """Listens when this returns."""
        self._server = await asyncio.get_running_loop().create_server(self._connect, host, port)

    def _connect(self) -> SMTP:
        loop = asyncio.get_running_loop()
        connection = SMTP(self, enable_SMTPUTF8=True, hostname="world", ident="world", loop=loop)
        self._connections.add(connection)
        return connection

    async def stop(self) -> None:
        """Listens no more, and hangs up on whoever is still there."""
        if self._server is not None:
            self._server.close()
            for connection in self._connections:
                _hang_up(connection)
            await self._server.wait_closed()

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Whether there is such a mailbox."""
        if address.endswith("@refused.example"):
            return "550 5.1.1 there is no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep the mail for each recipient; faults are played as those of the gateway are."""
        if self._faults.latency_ms:
            await asyncio.sleep(self._faults.latency_ms / 1000)
        if self._faults.down or self._faults.take("fail_next"):
            return "451 4.3.0 not now"
        if self._faults.take("timeout_before_next"):
            _hang_up(server)
            return "421 gone"
        content = envelope.original_content or b""
        mail = message_from_bytes(content, policy=policy.default)
        with self._store.transaction():
            for address in envelope.rcpt_tos:
                self._mailbox.put(MAIL, f"{mail['Message-ID']}:{address}", _read(mail) | {"to": address})
        if self._faults.take("timeout_after_next"):
            _hang_up(server)
        return "250 OK"


def _hang_up(server: SMTP) -> None:
    if server.transport is not None:
        server.transport.close()


def _read(mail: EmailMessage) -> Record:
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    return {
        "message_id": str(mail["Message-ID"] or ""),
        "from": str(mail["From"] or ""),
        "subject": str(mail["Subject"] or ""),
        "plain": plain.get_content() if plain is not None else None,
        "html": html.get_content() if html is not None else None,
    }
