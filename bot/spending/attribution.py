"""Which of several possible causes the spending of each stretch of a window is attributed to. Pure.

Time is divided, and what was spent in a stretch is its owner's. Where several causes claim a stretch:

1. an incident has it while it lasts, of several the one that began first;
2. else a deployment to production, for `attributeWithin` after it ended or until the next one;
3. else a flag that more people were shown, for `attributeWithin` or until the flag's next change; of several
   the one that was changed last;
4. else nobody: the rest.

A stretch is attributed because of when it was, not because anything is proved.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from bot.catalog.window import Span
from bot.deployments.deployment import Deployment
from bot.incidents.attribution import in_order, lasted
from bot.incidents.incident import Incident
from bot.spending.service_events import FlagMoved, ServiceEvents


class CauseKind(StrEnum):
    """The kinds of cause, the one that goes first in front."""

    INCIDENT = "incident"
    DEPLOYMENT = "deployment"
    FLAG = "flag"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class FlagInEnvironment:
    """A flag in one environment."""

    flag: str
    environment: str


@dataclass(frozen=True, slots=True)
class Cause:
    """What spending is attributed to; `subject` is None for the rest. `at` is when it first began to count.

    `channel` is the id of an incident's channel.
    """

    kind: CauseKind
    subject: Incident | Deployment | FlagInEnvironment | None = None
    at: datetime | None = None
    channel: str | None = None


THE_REST = Cause(CauseKind.REST)

Rank = tuple[int, float, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """A stretch of time that a cause claims; the lowest rank of those that claim an instant has it."""

    span: Span
    rank: Rank
    cause: Cause


def claims(events: ServiceEvents, window: Span, within: timedelta) -> list[Claim]:
    """Return what the events claim of a window that ends with the last counted event."""
    found = [
        *_of_incidents(events, window.end),
        *_of_deployments(events.deployments, within),
        *_of_flags(events.flags, within),
    ]
    clipped = ((claim, _clipped(claim.span, window)) for claim in found)
    return [Claim(span, claim.rank, claim.cause) for claim, span in clipped if span.start < span.end]


def stretches(window: Span, claimed: Iterable[Claim]) -> list[tuple[Span, Cause]]:
    """Divide a window among the claims, oldest first; each stretch has one owner, and none is left out."""
    waiting = sorted(claimed, key=lambda claim: (claim.span.start, claim.rank))
    edges = sorted({window.start, window.end, *(at for c in waiting for at in (c.span.start, c.span.end))})
    active: list[tuple[Rank, int]] = []
    divided: list[tuple[Span, Cause]] = []
    taken = 0
    for start, end in pairwise(edges):
        while taken < len(waiting) and waiting[taken].span.start <= start:
            heapq.heappush(active, (waiting[taken].rank, taken))
            taken += 1
        while active and waiting[active[0][1]].span.end <= start:
            heapq.heappop(active)
        owner = waiting[active[0][1]].cause if active else THE_REST
        if divided and divided[-1][1] is owner:
            divided[-1] = (Span(divided[-1][0].start, end), owner)
        else:
            divided.append((Span(start, end), owner))
    return divided


def _of_incidents(events: ServiceEvents, now: datetime) -> Iterable[Claim]:
    for number, incident in enumerate(in_order(events.incidents)):
        channel = events.channels.get(incident.id)
        cause = Cause(CauseKind.INCIDENT, incident, incident.started_at, channel)
        yield Claim(lasted(incident, now), (0, number, ""), cause)


def _of_deployments(deployments: Sequence[Deployment], within: timedelta) -> Iterable[Claim]:
    for deployment in deployments:
        ended = deployment.finished_at
        # The newest has the lowest rank: the one before it counts no longer.
        rank = (1, -ended.timestamp(), deployment.id)
        yield Claim(Span(ended, ended + within), rank, Cause(CauseKind.DEPLOYMENT, deployment, ended))


def _of_flags(moves: Sequence[FlagMoved], within: timedelta) -> Iterable[Claim]:
    by_flag: dict[FlagInEnvironment, list[FlagMoved]] = {}
    for move in moves:
        by_flag.setdefault(FlagInEnvironment(move.flag, move.environment), []).append(move)
    for subject, changes in by_flag.items():
        ordered = sorted(changes, key=lambda move: move.at)
        first = next((move.at for move in ordered if move.raises), None)
        cause = Cause(CauseKind.FLAG, subject, first)
        for move, following in zip(ordered, [*ordered[1:], None], strict=True):
            if move.raises:
                end = move.at + within
                span = Span(move.at, end if following is None else min(end, following.at))
                yield Claim(span, (2, -move.at.timestamp(), subject.flag), cause)


def _clipped(span: Span, window: Span) -> Span:
    start = min(max(span.start, window.start), window.end)
    return Span(start, max(start, min(span.end, window.end)))
