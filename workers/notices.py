"""The relay that writes to customers: reads the feed, decides by the rules, sends once, and says so in the timeline."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog
from jinja2 import TemplateError
from pydantic import TypeAdapter

from db import notices
from db.notices import DueNotice, NewNotice, Occurrence
from db.session import Sessions
from domain.notices import (
    NEWS_FOR,
    RULES,
    Content,
    Language,
    NoticeChannel,
    NoticeKind,
    choose_channel,
    content,
    language_of,
    occasion,
    rule_for,
    wait_after,
)
from domain.orders import Order
from providers.errors import ProviderRejected, ProviderUnavailable
from providers.message import Message, MessageProvider
from runtime import tracking_links
from runtime.settings import Settings
from workers.letters import Addressee, write
from workers.relays import Relay

log = structlog.get_logger(__name__)

_ORDER: TypeAdapter[Order] = TypeAdapter(Order)
MOST_EVENTS = 1000
MOST_NOTICES = 10
# Longer than every message of a batch may take one after the other.
LEASE = timedelta(seconds=150)
# How often it is looked for what is due again, or was left by a worker that died.
LOOK_EVERY = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A notice that is ready to go; *facts* is None for one that was written before."""

    due: DueNotice
    message: Message = field(repr=False)
    facts: Mapping[str, object] | None


class NoticeRelay(Relay):
    """Writes to customers about what was published; without a provider it writes to nobody and reads nothing."""

    name = "notices"
    # A customer does not feel half a second, and one round does for many events.
    pace = 0.5

    def __init__(
        self, sessions: Sessions, providers: Mapping[NoticeChannel, MessageProvider], settings: Settings
    ) -> None:
        super().__init__(sessions)
        self._providers = providers
        self._settings = settings
        self._begun = False
        self._claim_at = 0.0

    async def work(self) -> bool:
        """Read on, send what is due."""
        if not self._begun:
            await self._begin()
        if not self._providers:
            return False
        passed, queued = await self._read()
        more = await self._send_due(soon=queued > 0)
        return passed == MOST_EVENTS or more

    async def _begin(self) -> None:
        if self._providers:
            async with self._single() as session:
                await notices.begin_reading(session)
        else:
            log.info("notices_not_sent", reason="neither DOORSTEP_SMTP_URL nor DOORSTEP_MESSAGE_GATEWAY_URL is set")
        self._begun = True

    async def _read(self) -> tuple[int, int]:
        """How many events were passed, and how many letters they call for; both are kept together."""
        async with self._sessions.begin() as session:
            passed, found = await notices.read_on(session, RULES, limit=MOST_EVENTS, news_for=NEWS_FOR)
            called = wanted(found, frozenset(self._providers))
            if called:
                await notices.queue(session, called)
        return passed, len(called)

    async def _send_due(self, *, soon: bool) -> bool:
        """Send what is due, if there may be any; whether there may be more at once."""
        now = asyncio.get_running_loop().time()
        if not soon and now < self._claim_at:
            return False
        async with self._single() as session:
            due = await notices.claim(session, limit=MOST_NOTICES, lease=LEASE)
        more = len(due) == MOST_NOTICES or any(notice.followed for notice in due)
        self._claim_at = now if more else now + LOOK_EVERY
        if due:
            ready = await self._write(due)
            ended = await asyncio.gather(*(self._send(written) for written in ready), return_exceptions=True)
            for failure in filter(None, ended):
                raise failure  # The database went away: what was sent and could not be settled goes again, with its key.
        return more

    async def _write(self, due: Sequence[DueNotice]) -> list[Written]:
        """The letters of *due*, kept before anything is sent; what has nothing to tell any more is dropped."""
        ready: list[Written] = []
        nothing: list[str] = []
        for notice in due:
            try:
                written = _written_before(notice) or self._compose(notice)
            except (ValueError, LookupError, TypeError, AttributeError, TemplateError) as error:
                # One letter that cannot be written must not keep all others back.
                log.error("notice_not_written", notice_id=notice.notice_id, exc_info=error)
                await self._give_up(notice, f"not written: {type(error).__name__}")
                continue
            if written is None:
                nothing.append(notice.notice_id)
            elif written.message.channel not in self._providers:
                await self._give_up(notice, "its channel is not served any more")
            else:
                ready.append(written)
        fresh = [written for written in ready if written.facts is not None]
        async with self._single() as session:
            if nothing:
                await notices.dropped(session, nothing)
            if fresh:
                await notices.write_ahead(session, [(w.due.notice_id, _kept(w.message), w.facts or {}) for w in fresh])
        return ready

    def _compose(self, due: DueNotice) -> Written | None:
        order = _ORDER.validate_json(due.snapshot)
        told = content(NoticeKind(due.kind), order, due.data, told=due.told, now=datetime.now(UTC))
        channel = NoticeChannel(due.channel)
        to = due.email if channel is NoticeChannel.EMAIL else due.phone
        if told is None or to is None:
            return None
        return Written(due=due, message=self._message(due, order, told, channel, to), facts=told.facts)

    def _message(self, due: DueNotice, order: Order, told: Content, channel: NoticeChannel, to: str) -> Message:
        path = tracking_links.path_of(order.order_id, self._settings)
        letter = write(
            told,
            Addressee(
                name=due.name,
                locale=due.customer_locale,
                language=Language(due.locale),
                country=order.country,
                currency=order.currency,
                order_ref=due.order_ref,
                product_names=due.product_names,
                page_url=None if path is None else f"{self._settings.public_url}{path}",
            ),
        )
        if channel is NoticeChannel.EMAIL:
            return Message(
                channel=channel,
                to=to,
                key=due.notice_id,
                subject=letter.subject,
                plain=letter.plain,
                html=letter.html,
            )
        return Message(channel=channel, to=to, key=due.notice_id, plain=letter.short)

    async def _send(self, written: Written) -> None:
        due = written.due
        try:
            await self._providers[written.message.channel].send(written.message)
        except ProviderRejected as error:
            await self._give_up(due, error.code)
        except ProviderUnavailable as error:
            await self._put_off(due, error)
        else:
            async with self._single() as session:
                await notices.sent(session, due.notice_id, due.order_id, at=datetime.now(UTC))

    async def _put_off(self, due: DueNotice, error: ProviderUnavailable) -> None:
        wait = wait_after(due.attempts)
        if wait is None:
            await self._give_up(due, str(error))
            return
        log.warning("notice_put_off", notice_id=due.notice_id, attempt=due.attempts, error=str(error))
        wait = max(wait, timedelta(seconds=error.retry_after or 0))
        async with self._single() as session:
            await notices.put_off(session, due.notice_id, wait=wait, error=str(error))

    async def _give_up(self, due: DueNotice, error: str) -> None:
        log.error("notice_given_up", notice_id=due.notice_id, order_id=due.order_id, kind=due.kind, error=error)
        async with self._single() as session:
            await notices.give_up(session, due.notice_id, error=error)


def wanted(found: Sequence[Occurrence], served: frozenset[NoticeChannel]) -> list[NewNotice]:
    """The letters that *found* calls for, by the rules; where a letter gathers, one for an order's several events."""
    letters: dict[tuple[str, str, str], NewNotice] = {}
    for event in found:
        rule = rule_for(event.kind, event.data)
        channel = None if rule is None else choose_channel(rule.kind, event.reach, served)
        if rule is None or channel is None:
            continue
        about = occasion(rule, event.sequence, event.data)
        letter = NewNotice(
            order_id=event.order_id,
            sequence=event.sequence,
            occasion=about,
            kind=rule.kind.value,
            channel=channel.value,
            locale=language_of(event.locale).value,
        )
        letters[event.order_id, rule.kind, "" if rule.gathers else about] = letter
    return sorted(letters.values(), key=lambda letter: (letter.order_id, letter.sequence))


def _kept(message: Message) -> dict[str, object]:
    return {"to": message.to, "subject": message.subject, "plain": message.plain, "html": message.html}


def _written_before(due: DueNotice) -> Written | None:
    """The letter as it was written for the first try."""
    if due.message is None:
        return None
    channel = NoticeChannel(due.channel)
    return Written(due=due, message=Message(channel=channel, key=due.notice_id, **due.message), facts=None)
