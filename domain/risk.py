"""How likely a new order is fraud: named, weighted rules over what is known of it at intake, by policy; no reading."""

import hashlib
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from domain import names
from domain.change import Event
from domain.holding import OWNERS
from domain.messages import Candidate, Decision
from domain.orders import Hold, Order
from domain.policy import Rules
from domain.vocabulary import ActorKind, EventKind, HoldReason

PLACED_BY = "rules"
HOLD, PASS = "hold", "pass"
FINGERPRINT_BYTES = 16


class RiskRule(StrEnum):
    """What can speak against an order; each adds its weight once."""

    AMOUNT = "amount"
    FIRST_ORDER = "first_order"
    BILLING_COUNTRY = "billing_country"
    IP_COUNTRY = "ip_country"
    CUSTOMER_VELOCITY = "customer_velocity"
    ADDRESS_VELOCITY = "address_velocity"
    CARD_VELOCITY = "card_velocity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What came before the order: the counts are of orders within the policy's window, and stop at its limits."""

    first_order: bool = False
    customer_orders: int = 0
    address_orders: int = 0
    card_orders: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What is known of an order at intake; of several cards the one with the most orders counts."""

    total_minor: int
    country: str
    billing_country: str | None = None
    ip_country: str | None = None
    past: Past = Past()


# What a rule saw and from where on it speaks, and the same as a sentence.
Seen = tuple[tuple[tuple[str, float], ...], str]
Check = Callable[[Circumstances, Rules], Seen | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that spoke, with its weight, its figures and its reason."""

    rule: RiskRule
    weight: int
    figures: tuple[tuple[str, float], ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The rules that spoke against an order; *hold_score* is the score from which on it is held, 0 never."""

    findings: tuple[Finding, ...] = ()
    hold_score: int = 0

    @property
    def score(self) -> int:
        """The sum of the weights."""
        return sum(finding.weight for finding in self.findings)

    @property
    def holds(self) -> bool:
        """Whether the order must be looked at by a person first."""
        return 0 < self.hold_score <= self.score

    @property
    def reasons(self) -> str:
        """What a person reads who must decide; figures and countries, nothing personal."""
        told = (f"{finding.rule.value} {finding.weight}: {finding.reason}" for finding in self.findings)
        return "\n".join([f"score {self.score}, held from {self.hold_score}", *told])


def assess(known: Circumstances, rules: Rules) -> Assessment:
    """What speaks against the order, in the order of the rules; one that weighs nothing is not asked."""
    return Assessment(findings=tuple(_findings(known, rules)), hold_score=rules.risk_hold_score)


def _findings(known: Circumstances, rules: Rules) -> Iterator[Finding]:
    for rule, check in CHECKS.items():
        weight = weight_of(rule, rules)
        if weight and (seen := check(known, rules)) is not None:
            yield Finding(rule=rule, weight=weight, figures=seen[0], reason=seen[1])


def weight_of(rule: RiskRule, rules: Rules) -> int:
    """What *rule* adds to the score by policy."""
    weight: int = getattr(rules, f"risk_{rule.value}_weight")
    return weight


def asks_past(rules: Rules) -> bool:
    """Whether any rule that weighs something looks at earlier orders."""
    return any(weight_of(rule, rules) for rule in _OF_THE_PAST)


def _amount(known: Circumstances, rules: Rules) -> Seen | None:
    return _from("total_minor", known.total_minor, rules.risk_amount_minor, "it costs {}, {} or more")


def _first_order(known: Circumstances, rules: Rules) -> Seen | None:
    if not known.past.first_order:
        return None
    told = "the customer's first order costs {}, {} or more"
    return _from("total_minor", known.total_minor, rules.risk_first_order_minor, told)


def _billing_country(known: Circumstances, rules: Rules) -> Seen | None:
    if known.billing_country in {None, known.country}:
        return None
    return (), f"shipped to {known.country}, billed to {known.billing_country}"


def _ip_country(known: Circumstances, rules: Rules) -> Seen | None:
    if known.ip_country in {None, known.country, known.billing_country}:
        return None
    return (), f"ordered from {known.ip_country}, neither shipped nor billed to there"


def _customer_velocity(known: Circumstances, rules: Rules) -> Seen | None:
    told = "the customer placed {} or more orders shortly before, {} are many"
    return _from("orders", known.past.customer_orders, rules.risk_customer_velocity_orders, told)


def _address_velocity(known: Circumstances, rules: Rules) -> Seen | None:
    told = "{} or more orders shortly before go to the same address, {} are many"
    return _from("orders", known.past.address_orders, rules.risk_address_velocity_orders, told)


def _card_velocity(known: Circumstances, rules: Rules) -> Seen | None:
    told = "{} or more orders shortly before were paid with the same card, {} are many"
    return _from("orders", known.past.card_orders, rules.risk_card_velocity_orders, told)


def _from(name: str, seen: int, limit: int, told: str) -> Seen | None:
    if seen < limit:
        return None
    return ((name, float(seen)), ("from", float(limit))), told.format(seen, limit)


CHECKS: Mapping[RiskRule, Check] = {
    RiskRule.AMOUNT: _amount,
    RiskRule.FIRST_ORDER: _first_order,
    RiskRule.BILLING_COUNTRY: _billing_country,
    RiskRule.IP_COUNTRY: _ip_country,
    RiskRule.CUSTOMER_VELOCITY: _customer_velocity,
    RiskRule.ADDRESS_VELOCITY: _address_velocity,
    RiskRule.CARD_VELOCITY: _card_velocity,
}
_OF_THE_PAST = (
    RiskRule.FIRST_ORDER,
    RiskRule.CUSTOMER_VELOCITY,
    RiskRule.ADDRESS_VELOCITY,
    RiskRule.CARD_VELOCITY,
)


def assessed(order: Order, assessment: Assessment) -> Order:
    """The new *order* with what was found and, from the policy's score on, a hold; the same when nothing was found."""
    if not assessment.findings:
        return order
    decision = Decision(
        kind="risk",
        subject=order.order_id,
        at=order.received_at,
        chosen=HOLD if assessment.holds else PASS,
        candidates=tuple(
            Candidate(choice=found.rule.value, scores=(("score", float(found.weight)), *found.figures))
            for found in assessment.findings
        ),
    )
    order = replace(order, decisions=(*order.decisions, decision))
    if not assessment.holds:
        return order
    number = order.hold_count + 1
    hold = Hold(
        hold_id=names.numbered_hold_id(order.order_id, number),
        reason=HoldReason.HIGH_RISK_OF_FRAUD,
        placed_by=PLACED_BY,
        owner=OWNERS[HoldReason.HIGH_RISK_OF_FRAUD],
        placed_at=order.received_at,
        due_at=order.received_at + order.policy.rules.hold_within,
        note_id=reasons_note_id(order.order_id),
    )
    return replace(order, holds=(*order.holds, hold), hold_count=number)


def reasons_note_id(order_id: str) -> str:
    """The note that says why the order is held."""
    return f"note_{order_id.removeprefix('ord_')}_risk"


def hold_placed(order: Order, assessment: Assessment, *, cause_id: str, after: int) -> tuple[Event, ...]:
    """What is told of the hold that ``assessed`` has put on *order*, behind *after* events of that cause."""
    if not assessment.holds:
        return ()
    hold = order.holds[-1]
    event = Event(
        cause_id=cause_id,
        ordinal=after,
        kind=EventKind.HOLD_PLACED,
        at=hold.placed_at,
        actor=ActorKind.SYSTEM,
        actor_id=PLACED_BY,
        data={
            "hold_id": hold.hold_id,
            "reason": hold.reason.value,
            "owner": hold.owner.value,
            "fulfillment_id": None,
            "note_id": hold.note_id,
            "score": assessment.score,
            "rules": [finding.rule.value for finding in assessment.findings],
        },
    )
    return (event,)


def address_fingerprint(address: Mapping[str, Any]) -> bytes:
    """The same for two ways to write one address: case, blanks and punctuation aside; without the receiver's name.

    The town counts only where there is no postal code.
    """
    place = address.get("postal_code") or address.get("city") or ""
    return _fingerprint("address", address["country"], _plain(place), _plain("".join(address["lines"])))


def card_fingerprint(token: str) -> bytes:
    """The same for payments with one token; the card behind it is known to the provider alone."""
    return _fingerprint("card", token)


def _plain(text: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())


def _fingerprint(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()[:FINGERPRINT_BYTES]
