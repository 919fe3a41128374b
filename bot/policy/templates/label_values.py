"""The values of a label for which a document makes services: what is asked for, known and learned. Pure.

A value that is no longer there keeps its service for a while: a counter that is not scraped for an hour, or
a job that runs once a day, must not come and go in everybody's channel.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.catalog.window import Span

LOOK_BACK = timedelta(hours=1)
"""A value is there if a series has had it within this time."""

LONGEST = 500
"""Signs that are kept of a value: no name has as many, so it is told as a fault."""

KEPT_WITHOUT_DOCUMENT = timedelta(days=30)
"""How long the values of a document that is gone are remembered, should it return."""


@dataclass(frozen=True, slots=True)
class LabelKey:
    """Whose values they are: a document's name and the label that it names."""

    document: str
    label: str

    @property
    def title(self) -> str:
        """The document as faults name it."""
        return f"Service/{self.document}"


@dataclass(frozen=True, slots=True)
class DiscoveryRequest:
    """What one document asks of a source. `limit` is the most services that it may stand for."""

    asked: LabelKey
    source: str
    match: str | None = None
    keep_for: timedelta = timedelta(days=7)
    limit: int = 1_000

    @property
    def question(self) -> str:
        """Source and selector in one text: another question may have another answer."""
        return f"{self.source} {self.match or ''}"

    def span(self, now: datetime) -> Span:
        """Return the time in which series are looked at."""
        return Span(now - LOOK_BACK, now)


@dataclass(frozen=True, slots=True)
class KnownValue:
    """A value, the question that it answered, since when it is known, and when it was first missed."""

    value: str
    question: str
    since: datetime
    gone_at: datetime | None = None


def learn(
    known: Collection[KnownValue], answer: Collection[str], wanted: DiscoveryRequest, now: datetime
) -> tuple[KnownValue, ...]:
    """Return what is known after the source has answered, the longest known first.

    One value more than the limit is kept, so that it shows that there are more.
    """
    there = {value[:LONGEST] for value in answer if _is_text(value)}
    kept = [one for each in known if (one := _again(each, there, wanted, now)) is not None]
    new = sorted(there - {one.value for one in kept})[: max(0, wanted.limit + 1 - len(kept))]
    return in_order([*kept, *(KnownValue(value, wanted.question, now) for value in new)])


def orphaned(known: Collection[KnownValue], now: datetime) -> tuple[KnownValue, ...]:
    """Return what is still known of a document that nobody finds in the policies."""
    missed = (one if one.gone_at is not None else replace(one, gone_at=now) for one in known)
    return in_order([one for one in missed if one.gone_at and now - one.gone_at < KEPT_WITHOUT_DOCUMENT])


def in_order(known: Collection[KnownValue]) -> tuple[KnownValue, ...]:
    """Sort values by the time since when they are known: whoever came first keeps a name."""
    return tuple(sorted(known, key=lambda one: (one.since, one.value)))


def differences(
    before: Sequence[KnownValue], after: Sequence[KnownValue]
) -> tuple[list[KnownValue], list[str]]:
    """Return what is to be written (new or changed), and which values are to be forgotten."""
    earlier = {one.value: one for one in before}
    written = [one for one in after if earlier.get(one.value) != one]
    return written, sorted(set(earlier) - {one.value for one in after})


def _again(one: KnownValue, there: set[str], wanted: DiscoveryRequest, now: datetime) -> KnownValue | None:
    if one.value in there:
        return KnownValue(one.value, wanted.question, one.since)
    if one.question != wanted.question:
        # It is not gone: it is not asked for any more.
        return None
    gone_at = one.gone_at or now
    return replace(one, gone_at=gone_at) if now - gone_at < wanted.keep_for else None


def _is_text(value: str) -> bool:
    """Return whether a database can hold the value."""
    return bool(value) and "\0" not in value and not any("\ud800" <= sign <= "\udfff" for sign in value)
