"""The label values for which a `forEach` document has services: requests, known values, updates. Pure.

A value that is gone keeps its service for a while: the service of a counter that is not scraped for an hour,
or of a job that runs once a day, must not come and go.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.catalog.window import Span

LOOKBACK = timedelta(hours=1)
"""A value is present if a series had it within this time."""

MAX_LENGTH = 500
"""How many characters of a value are kept: no name may have as many, so it becomes a fault."""

ORPHAN_RETENTION = timedelta(days=30)
"""How long the values of a removed document are kept, in case it returns."""


@dataclass(frozen=True, slots=True)
class LabelKey:
    """The owner of values: a document's name and its label."""

    document: str
    label: str

    @property
    def title(self) -> str:
        """The document's title in faults."""
        return f"Service/{self.document}"


@dataclass(frozen=True, slots=True)
class DiscoveryRequest:
    """One document's request to a source. `limit` is the most services that it may have."""

    key: LabelKey
    source: str
    match: str | None = None
    keep_for: timedelta = timedelta(days=7)
    limit: int = 1_000

    @property
    def question(self) -> str:
        """Source and selector in one text; values found by another text are not comparable."""
        return f"{self.source} {self.match or ''}"

    def span(self, now: datetime) -> Span:
        """Return the time span of the series to look at."""
        return Span(now - LOOKBACK, now)


@dataclass(frozen=True, slots=True)
class KnownValue:
    """A value, the request's `question` that found it, since when it is known, when it was first missed."""

    value: str
    question: str
    since: datetime
    gone_at: datetime | None = None


def learn(
    known: Collection[KnownValue], answer: Collection[str], request: DiscoveryRequest, now: datetime
) -> tuple[KnownValue, ...]:
    """Return the known values after the source has answered, the longest known first.

    One value more than the limit is kept, to show that there are more.
    """
    present = {value[:MAX_LENGTH] for value in answer if _is_text(value)}
    updated = (_updated(value, present, request, now) for value in known)
    kept = [value for value in updated if value is not None]
    new = sorted(present - {value.value for value in kept})[: max(0, request.limit + 1 - len(kept))]
    return in_order([*kept, *(KnownValue(value, request.question, now) for value in new)])


def orphaned(known: Collection[KnownValue], now: datetime) -> tuple[KnownValue, ...]:
    """Return the values that are still kept of a document that is no longer in the policies."""
    missed = (value if value.gone_at is not None else replace(value, gone_at=now) for value in known)
    return in_order([value for value in missed if value.gone_at and now - value.gone_at < ORPHAN_RETENTION])


def in_order(known: Collection[KnownValue]) -> tuple[KnownValue, ...]:
    """Return the values, the longest known first: of values with the same name it gets the service."""
    return tuple(sorted(known, key=lambda value: (value.since, value.value)))


def differences(
    before: Sequence[KnownValue], after: Sequence[KnownValue]
) -> tuple[list[KnownValue], list[str]]:
    """Return the new or changed values, and those that were removed."""
    earlier = {value.value: value for value in before}
    changed = [value for value in after if earlier.get(value.value) != value]
    return changed, sorted(set(earlier) - {value.value for value in after})


def _updated(
    known: KnownValue, present: set[str], request: DiscoveryRequest, now: datetime
) -> KnownValue | None:
    if known.value in present:
        return KnownValue(known.value, request.question, known.since)
    if known.question != request.question:
        # It is not gone: it is no longer requested.
        return None
    gone_at = known.gone_at or now
    return replace(known, gone_at=gone_at) if now - gone_at < request.keep_for else None


def _is_text(value: str) -> bool:
    """Return whether a database can store the value."""
    return bool(value) and "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)
