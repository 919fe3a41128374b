"""What reliability costs the pace: how long freezes lasted, which changes waited, who was let through. Pure.

A change was held as far as it was on the default branch, or asked to be exempt, while its service was frozen
and before it ran in production. That is computed from when things happened; nobody has to have asked.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.catalog.window import Span
from bot.velocity.delivery import LONGEST_LEAD_TIME, Delivery, within
from bot.velocity.statistics import DurationQuantiles, duration_quantiles


@dataclass(frozen=True, slots=True)
class DecidedRequest:
    """A request to let a change through a freeze, when it was decided (None: not yet), and how."""

    service: str
    change: str
    asked_at: datetime
    decided_at: datetime | None = None
    is_granted: bool = False


@dataclass(frozen=True, slots=True)
class GrantedExemption:
    """A change that may ship through a freeze, from `since` until `until` (None: without an end)."""

    service: str
    change: str
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class FlagMovement:
    """A flag of a service that was changed at a time: an exemption may have been for that."""

    service: str
    flag: str
    at: datetime


@dataclass(frozen=True, slots=True)
class FreezeRecord:
    """What is stored of freezes: by service the spans in which a hold stopped changes, and the rest.

    `passed_by_kind` and `bypassed` are when changes passed by their kind, and went past a freeze.
    """

    frozen: Mapping[str, Sequence[Span]]
    requests: Sequence[DecidedRequest] = ()
    exemptions: Sequence[GrantedExemption] = ()
    flags: Sequence[FlagMovement] = ()
    passed_by_kind: Sequence[datetime] = ()
    bypassed: Sequence[datetime] = ()


@dataclass(frozen=True, slots=True)
class FreezeCost:
    """What freezes cost the pace in a span.

    `frozen_for` is summed over services. `held` are changes that came to production in the span after they
    had waited for a freeze to end. `answered` is how long requests waited for their answer. `used` are
    exemptions with which something was deployed, or a flag was changed.
    """

    freezes: int
    frozen_for: timedelta
    held: DurationQuantiles
    asked: int
    granted: int
    declined: int
    answered: DurationQuantiles
    exemptions: int
    used: int
    passed_by_kind: int
    bypassed: int


def freeze_cost(record: FreezeRecord, deliveries: Iterable[Delivery], span: Span) -> FreezeCost:
    """Return what freezes cost in a span."""
    delivered = list(deliveries)
    frozen = {service: merged(spans) for service, spans in record.frozen.items()}
    inside = [part for spans in frozen.values() for each in spans if (part := _common(each, span))]
    asked = [each for each in record.requests if _is_in(each.asked_at, span)]
    decided = [each for each in asked if each.decided_at is not None]
    granted = [each for each in record.exemptions if _is_in(each.since, span)]
    return FreezeCost(
        freezes=len(inside),
        frozen_for=sum((part.length for part in inside), timedelta()),
        held=duration_quantiles(_held(within(delivered, span), frozen)),
        asked=len(asked),
        granted=sum(each.is_granted for each in decided),
        declined=sum(not each.is_granted for each in decided),
        answered=duration_quantiles(
            max(timedelta(), each.decided_at - each.asked_at)
            for each in decided
            if each.decided_at is not None
        ),
        exemptions=len(granted),
        used=sum(_is_used(each, delivered, record.flags) for each in granted),
        passed_by_kind=sum(_is_in(at, span) for at in record.passed_by_kind),
        bypassed=sum(_is_in(at, span) for at in record.bypassed),
    )


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return spans joined where they touch, oldest first: two holds at once freeze a service once."""
    found: list[Span] = []
    for span in sorted(each for each in spans if each.start < each.end):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def _held(deliveries: Iterable[Delivery], frozen: Mapping[str, Sequence[Span]]) -> Iterable[timedelta]:
    """Yield how long each change that was held waited while its service was frozen."""
    for delivery in deliveries:
        spans = frozen.get(delivery.service, ())
        for change in delivery.changes:
            merged_at, ended = change.merged_at, delivery.finished_at
            if not change.is_first or merged_at is None:
                continue
            if not timedelta() < ended - merged_at <= LONGEST_LEAD_TIME:
                continue
            waits = (_common(each, Span(merged_at, ended)) for each in spans)
            waited = sum((wait.length for wait in waits if wait), timedelta())
            if waited:
                yield waited


def _is_used(
    exemption: GrantedExemption, deliveries: Iterable[Delivery], flags: Iterable[FlagMovement]
) -> bool:
    change = exemption.change.casefold()

    def is_valid(at: datetime) -> bool:
        return exemption.since <= at and (exemption.until is None or at < exemption.until)

    if change.startswith("flag:"):
        name = change.removeprefix("flag:")
        return any(
            move.service == exemption.service and move.flag.casefold() == name and is_valid(move.at)
            for move in flags
        )
    return any(
        delivery.service == exemption.service
        and is_valid(delivery.started_at)
        and any(name == change or (len(change) >= 7 and name.startswith(change)) for name in _names(delivery))
        for delivery in deliveries
    )


def _names(delivery: Delivery) -> Iterable[str]:
    yield delivery.commit.casefold()
    for change in delivery.changes:
        yield change.commit.casefold()
        if change.pull_request is not None:
            yield change.pull_request.casefold()


def _common(first: Span, second: Span) -> Span | None:
    start, end = max(first.start, second.start), min(first.end, second.end)
    return Span(start, end) if start < end else None


def _is_in(at: datetime, span: Span) -> bool:
    return span.start <= at < span.end
