"""Letters: what a notice says, put into words, plain and HTML, in the customer's language; decides nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import jinja2
from babel import Locale

from domain.notices import Content, Language, first_name
from runtime import wording

_BLANK_LINE = "\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressee:
    """Whom a letter is for, and what it is about; *page_url* None where there are no tracking pages."""

    name: str | None = field(repr=False)
    locale: str | None
    language: Language
    country: str
    currency: str
    order_ref: str
    product_names: Mapping[str, str]
    page_url: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One letter; *short* is what fits a telephone."""

    subject: str
    plain: str = field(repr=False)
    html: str = field(repr=False)
    short: str = field(repr=False)


@cache
def _environment() -> jinja2.Environment:
    return wording.templates("workers")


def write(content: Content, to: Addressee) -> Letter:
    """The letter that says *content* to *to*."""
    locale = wording.locale_of(to.locale, to.language)
    facts = _facts(content, to, locale)
    said = _blocks(f"notices/{to.language}/{content.kind}.txt", facts)
    words = _blocks(f"notices/{to.language}/words.txt", facts)
    subject = " ".join(said["subject"].split())
    buttons = [{"label": words["pay"], "url": action.url} for action in content.actions]
    if to.page_url is not None:
        buttons.append({"label": words["follow"], "url": to.page_url})
    page = {
        "lang": locale.language,
        "subject": subject,
        "greeting": words["greeting"],
        "paragraphs": [" ".join(part.split()) for part in said["text"].split(_BLANK_LINE) if part.strip()],
        "items": _items(content, to),
        "total": words["total"] if content.total_minor is not None else None,
        "parcels": words["parcels"].splitlines(),
        "buttons": buttons,
        "footer": words["footer"],
    }
    short = " ".join(said["short"].split())
    return Letter(
        subject=subject,
        plain=_environment().get_template("notices/layout.txt").render(page),
        html=_environment().get_template("notices/layout.html").render(page),
        short=short if to.page_url is None or content.actions else f"{short} {to.page_url}",
    )


def _facts(content: Content, to: Addressee, locale: Locale) -> dict[str, Any]:
    """What the templates may say; money and days are written already."""

    def day(at: datetime | None) -> str | None:
        return None if at is None else wording.day(at, locale, to.country)

    def money(minor: int | None) -> str | None:
        return None if minor is None else wording.money(minor, to.currency, locale)

    return {
        "first_name": first_name(to.name),
        "order_ref": to.order_ref,
        "deliver_by": day(content.deliver_by),
        "due_by": _moment(content, locale, to.country),
        "action_url": content.actions[0].url if content.actions else None,
        "total": money(content.total_minor),
        "amount": money(content.amount_minor),
        "units": sum(quantity for _, quantity in content.lines),
        "parcels": [parcel for parcel in content.parcels if parcel.tracking_number],
        "parcel_count": len(content.parcels),
        "numbers": ", ".join(parcel.tracking_number for parcel in content.parcels if parcel.tracking_number),
        "reason": content.reason,
        "holds_money": content.holds_money,
        "waits_for_stock": content.waits_for_stock,
        "has_page": to.page_url is not None,
    }


def _moment(content: Content, locale: Locale, country: str) -> str | None:
    due = [action.due_at for action in content.actions if action.due_at is not None]
    return wording.moment(min(due), locale, country) if due else None


def _items(content: Content, to: Addressee) -> list[dict[str, Any]]:
    return [
        {"name": to.product_names.get(line_id, line_id), "quantity": quantity} for line_id, quantity in content.lines
    ]


def _blocks(name: str, facts: Mapping[str, Any]) -> dict[str, str]:
    """What each block of the template *name* says."""
    template = _environment().get_template(name)
    return {block: "".join(render(template.new_context(dict(facts)))) for block, render in template.blocks.items()}
