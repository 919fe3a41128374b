"""What each incident spent where several overlap. Pure; no clock, no I/O.

A budget is spent once, however many incidents record it. Incidents are taken in the order in which they
began; each is charged with what it adds to those before it. So the charges add up to what was spent, and an
incident within another that was equally bad is charged with nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.catalog.window import Span
from bot.incidents.downtime import bad_seconds
from bot.incidents.incident import Incident


@dataclass(frozen=True, slots=True)
class Charge:
    """What an incident added to what was spent, and the part of it from before anybody knew.

    Both in one unit, `0 <= unseen <= spent`: seconds, events, or fractions of a budget.
    """

    spent: float
    unseen: float = 0.0

    def of(self, budget: float) -> "Charge":
        """Return the charge as a fraction of a budget in the same unit, which is more than 0."""
        return Charge(self.spent / budget, self.unseen / budget)


@dataclass(frozen=True, slots=True)
class ExclusiveTime:
    """The stretches of time that an incident does not share with those that began before it.

    `unseen` are those of them, or parts of them, from before it was opened.
    """

    incident: Incident
    spans: tuple[Span, ...]
    unseen: tuple[Span, ...]


def in_order(incidents: Iterable[Incident]) -> list[Incident]:
    """Return them in the order in which they began."""
    return sorted(incidents, key=lambda incident: (incident.started_at, incident.id))


def lasted(incident: Incident, now: datetime) -> Span:
    """Return the time from its start to its end, to `now` while it lasts."""
    end = min(now, incident.ended_at or now)
    return Span(min(incident.started_at, end), end)


def own_time(
    incidents: Iterable[Incident], now: datetime, within: Span | None = None
) -> Sequence[ExclusiveTime]:
    """Return each incident's exclusive time within a span, in the order in which they began."""
    covered: list[Span] = []
    result = []
    for incident in in_order(incidents):
        full_span = _clipped(lasted(incident, now), within)
        spans = tuple(_without(full_span, covered))
        unseen = [Span(span.start, min(span.end, incident.opened_at)) for span in spans]
        result.append(ExclusiveTime(incident, spans, tuple(span for span in unseen if span.start < span.end)))
        covered.append(full_span)
    return result


def own_seconds(
    incidents: Iterable[Incident],
    service: str,
    now: datetime,
    within: Span | None = None,
    left_out: Sequence[Span] = (),
) -> Sequence[tuple[Incident, Charge]]:
    """Return the seconds of full outage of a service that each incident added, in the order they began.

    Those in times that are `left_out` of the record count for nothing.
    """
    before: list[Incident] = []
    result = []
    for incident in in_order(incidents):
        full_span = _clipped(lasted(incident, now), within)
        overlapping = [other for other in before if _overlap(lasted(other, now), full_span)]
        charged = counted_seconds(overlapping, service, full_span, left_out)
        charge = counted_seconds([*overlapping, incident], service, full_span, left_out) - charged
        early = Span(full_span.start, max(full_span.start, min(full_span.end, incident.opened_at)))
        unseen = counted_seconds([*overlapping, incident], service, early, left_out)
        unseen -= counted_seconds(overlapping, service, early, left_out)
        result.append((incident, Charge(charge, unseen)))
        before.append(incident)
    return result


def counted_seconds(
    incidents: Iterable[Incident], service: str, span: Span, left_out: Sequence[Span] = ()
) -> float:
    """Return the seconds of full outage of a service within a span, outside of times that are left out."""
    impacts = [impact for incident in incidents for impact in incident.impacts_on(service)]
    return sum(bad_seconds(impacts, part) for part in _without(span, left_out))


def _clipped(span: Span, within: Span | None) -> Span:
    if within is None:
        return span
    start = min(max(span.start, within.start), within.end)
    return Span(start, max(start, min(span.end, within.end)))


def _overlap(first: Span, second: Span) -> bool:
    return first.start < second.end and second.start < first.end


def _without(span: Span, covered: Iterable[Span]) -> Iterator[Span]:
    """Return the parts of a span that nothing covers."""
    start = span.start
    for cover in sorted(covered):
        if cover.end <= start or cover.start >= span.end:
            continue
        if start < cover.start:
            yield Span(start, cover.start)
        start = max(start, cover.end)
    if start < span.end:
        yield Span(start, span.end)
