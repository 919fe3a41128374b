"""Which incident spent what, where several lie over the same time. Pure; no clock, no I/O.

A budget is spent once, however many incidents say so. Incidents are taken in the order in which they began;
each is charged with what it adds to those before it. So what all of them are charged with is what was spent,
and an incident within another that was as bad is charged with nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.catalog.window import Span
from bot.incidents.downtime import bad_seconds
from bot.incidents.incident import Incident


@dataclass(frozen=True, slots=True)
class Charge:
    """What an incident added to what was spent, and the part of that from before anybody knew of it.

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
    return sorted(incidents, key=lambda one: (one.started_at, one.id))


def lasted(incident: Incident, now: datetime) -> Span:
    """Return the time from its start to its end, to `now` while it lasts."""
    end = min(now, incident.ended_at or now)
    return Span(min(incident.started_at, end), end)


def own_time(
    incidents: Iterable[Incident], now: datetime, within: Span | None = None
) -> Sequence[ExclusiveTime]:
    """Return what time is each incident's own, in the order in which they began; `within` cuts it off."""
    covered: list[Span] = []
    found = []
    for incident in in_order(incidents):
        whole = _clipped(lasted(incident, now), within)
        spans = tuple(_without(whole, covered))
        unseen = [Span(span.start, min(span.end, incident.opened_at)) for span in spans]
        found.append(ExclusiveTime(incident, spans, tuple(span for span in unseen if span.start < span.end)))
        covered.append(whole)
    return found


def own_seconds(
    incidents: Iterable[Incident], service: str, now: datetime, within: Span | None = None
) -> Sequence[tuple[Incident, Charge]]:
    """Return the seconds of full outage of a service that each incident added, in the order they began."""
    before: list[Incident] = []
    found = []
    for incident in in_order(incidents):
        whole = _clipped(lasted(incident, now), within)
        beside = [one for one in before if _overlap(lasted(one, now), whole)]
        known = _seconds(beside, service, whole)
        charge = _seconds([*beside, incident], service, whole) - known
        early = Span(whole.start, max(whole.start, min(whole.end, incident.opened_at)))
        unseen = _seconds([*beside, incident], service, early) - _seconds(beside, service, early)
        found.append((incident, Charge(charge, unseen)))
        before.append(incident)
    return found


def _seconds(incidents: Iterable[Incident], service: str, span: Span) -> float:
    return bad_seconds((impact for one in incidents for impact in one.impacts_on(service)), span)


def _clipped(span: Span, within: Span | None) -> Span:
    if within is None:
        return span
    start = min(max(span.start, within.start), within.end)
    return Span(start, max(start, min(span.end, within.end)))


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


def _without(span: Span, covered: Iterable[Span]) -> Iterator[Span]:
    """Return what is left of a span where nothing covers it."""
    at = span.start
    for cover in sorted(covered):
        if cover.end <= at or cover.start >= span.end:
            continue
        if at < cover.start:
            yield Span(at, cover.start)
        at = max(at, cover.end)
    if at < span.end:
        yield Span(at, span.end)
