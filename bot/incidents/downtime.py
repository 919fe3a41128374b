"""How long a service was down: impact intervals, and what they sum up to. Pure; no clock, no I/O.

An impact says which share of the requests failed from when to when. Impacts may overlap, within one
incident or across several: at each instant the highest share of those that cover it counts, once. Two
teams that record the same outage do not spend the budget twice, and a partial outage within a whole one
adds nothing. Within one incident what is stated later takes the place of what was stated before. Sums are
exact to the microsecond.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from bot.catalog.window import Span

_MICROSECOND = timedelta(microseconds=1)
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Impact:
    """From `start` until `end` (None: it lasts), the `share` of requests (0 to 1) that failed.

    `service` is the one that was affected, None for all services of the incident. An `assumed` impact was
    recorded when nobody had stated how bad it was; the first one that a person states replaces it.
    """

    start: datetime
    end: datetime | None
    share: float = 1.0
    service: str | None = None
    assumed: bool = False

    def concerns(self, service: str) -> bool:
        """Return whether the service was affected."""
        return self.service in {None, service}

    def within(self, span: Span) -> Span | None:
        """Return the part of the impact that lies in the span; None where there is none."""
        start = max(self.start, span.start)
        end = span.end if self.end is None else min(self.end, span.end)
        return Span(start, end) if start < end else None


def restated(known: Iterable[Impact], new: Impact, services: Sequence[str]) -> tuple[Impact, ...]:
    """Return an incident's impacts once another is stated, which alone counts for what it speaks of.

    `services` are those of the incident, which impacts without a service concern. A share of 0 takes back
    what was stated before, where anything else is left.
    """
    left = [part for impact in known for part in _not_spoken_of(impact, new, services)]
    harmful = [impact for impact in (*left, new) if impact.share > 0]
    return tuple(sorted(harmful or [new], key=lambda impact: impact.start))


def _not_spoken_of(known: Impact, new: Impact, services: Sequence[str]) -> Iterator[Impact]:
    """Yield the parts of an impact that a new one does not speak of."""
    start = max(known.start, new.start)
    end = min((end for end in (known.end, new.end) if end is not None), default=None)
    is_apart = end is not None and end <= start
    if is_apart or (new.service is not None and not known.concerns(new.service)):
        yield known
        return
    if known.start < start:
        yield replace(known, end=start)
    if known.service is None and new.service is not None:
        others = (service for service in services if service != new.service)
        yield from (replace(known, start=start, end=end, service=service) for service in others)
    if end is not None and end != known.end:
        yield replace(known, start=end)


def bad_seconds(impacts: Iterable[Impact], span: Span) -> float:
    """Return the seconds of full outage within the span that the impacts amount to.

    An impact that lasts counts up to the end of the span; ask with a span that ends no later than now.
    """
    pieces = [(part, impact.share) for impact in impacts if (part := impact.within(span))]
    edges = sorted({moment for part, _ in pieces for moment in (part.start, part.end)})
    bad = 0.0
    for start, end in pairwise(edges):
        covering = (share for part, share in pieces if part.start <= start and end <= part.end)
        bad += max(covering, default=0.0) * ((end - start) // _MICROSECOND)
    return bad / _SECOND_US


def duration(impacts: Sequence[Impact], now: datetime) -> timedelta:
    """Return the time from the first impact's start to the last one's end, `now` while one lasts."""
    if not impacts:
        return timedelta()
    end = max(now if impact.end is None else impact.end for impact in impacts)
    return max(timedelta(), end - min(impact.start for impact in impacts))
