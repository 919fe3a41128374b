"""An incident and its state transitions. Pure; no clock, no I/O.

    investigating ⇄ identified ──▶ mitigated ──▶ resolved
         ▲   ▲          ▲              │            │
         │   └──────────┴──────────────┘            │
         └──────────── it came back ────────────────┘

From each of these it may be cancelled as a false alarm: then it counts in no statistics and spends no budget.
Reopened, it goes on as if nothing had been. So may a duplicate be merged into another, which then counts for
both (`duplicates/merging.py`).

Mitigated is when users are well again: the impact ends there, and so does the hold of a severe incident.
An incident that comes back begins a new impact, and what was learned from it is open again.

IncidentError
├── IllegalChangeError     the change makes no sense in the incident's present state
└── UnknownIncidentError   there is none of that number
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import count

from bot.incidents.downtime import Impact, restated

MOST_NAME = 80
"""Slack's limit for a channel's name."""
MOST_TITLE = 200
SUMMARY = "summary"
"""The part of an incident's document that says what happened."""
_MOST_FORMER = 200
LONGEST_AGO = timedelta(days=366)
"""How long ago an incident can have begun."""


class IncidentError(Exception):
    """Something about an incident was refused. The message is fit for the person who asked."""


class IllegalChangeError(IncidentError):
    """The change makes no sense; `field` names what is wrong with it."""

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(message)
        self.field = field_name


class UnknownIncidentError(IncidentError):
    """There is no incident of that number."""

    def __init__(self, id_: object) -> None:
        super().__init__(f"there is no incident {id_}")


class Severity(StrEnum):
    """How bad it is; sev1 is the worst."""

    SEV1 = "sev1"
    SEV2 = "sev2"
    SEV3 = "sev3"
    SEV4 = "sev4"

    @property
    def is_severe(self) -> bool:
        """Whether such an incident holds its services: nothing should ship into it."""
        return self in {Severity.SEV1, Severity.SEV2}

    @property
    def assumed_share(self) -> float:
        """The share of requests that is assumed to fail until somebody states it."""
        return {Severity.SEV3: 0.1, Severity.SEV4: 0.01}.get(self, 1.0)


class Status(StrEnum):
    """How far the work on it has come."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MITIGATED = "mitigated"
    RESOLVED = "resolved"
    CANCELLED = "cancelled"
    MERGED = "merged"

    @property
    def is_active(self) -> bool:
        """Whether users still suffer."""
        return self in {Status.INVESTIGATING, Status.IDENTIFIED}

    @property
    def is_over(self) -> bool:
        """Whether nobody works on it any more."""
        return self not in {Status.INVESTIGATING, Status.IDENTIFIED, Status.MITIGATED}

    @property
    def counts(self) -> bool:
        """Whether budgets and statistics count it."""
        return self not in {Status.CANCELLED, Status.MERGED}


OPEN = tuple(status for status in Status if not status.is_over)
COUNTED = tuple(status for status in Status if status.counts)
"""The statuses of incidents that budgets and statistics count."""


class Role(StrEnum):
    """The roles; facilitators lead the postmortem, one from each team.

    Shadows look on and learn: the pair of the rotation that serves when the incident is opened.
    """

    COMMANDER = "commander"
    SCRIBE = "scribe"
    COMMS = "comms"
    FACILITATOR_DEVELOPMENT = "facilitator_development"
    FACILITATOR_RELIABILITY = "facilitator_reliability"
    SHADOW_DEVELOPMENT = "shadow_development"
    SHADOW_RELIABILITY = "shadow_reliability"


class CauseClass(StrEnum):
    """The class of cause, as postmortems are counted by it."""

    SOFTWARE_BUG = "software bug"
    INFRASTRUCTURE = "infrastructure"
    DESIGN = "design"
    CAPACITY = "capacity"
    DEPENDENCY = "dependency"
    HUMAN_PROCEDURE = "human procedure"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident in its present state. `version` counts its changes; `marker` identifies its channels.

    `postmortem_at` is when its postmortem was opened, `finished_at` when it was closed; `document` holds
    what people wrote for it. `former_titles` may stand in messages; once `is_renamed` by a person, alerts do
    not change the title. `merged_into` is the number of the incident that it is a duplicate of.
    """

    id: int
    key: str
    title: str
    severity: Severity
    status: Status
    services: tuple[str, ...]
    private: bool
    opened_by: str
    opened_at: datetime
    impacts: tuple[Impact, ...]
    roles: Mapping[Role, str] = field(default_factory=dict)
    acknowledged_at: datetime | None = None
    mitigated_at: datetime | None = None
    resolved_at: datetime | None = None
    postmortem_at: datetime | None = None
    finished_at: datetime | None = None
    snoozed_until: datetime | None = None
    cause: CauseClass | None = None
    document: Mapping[str, str] = field(default_factory=dict)
    marker: str = ""
    former_titles: tuple[str, ...] = ()
    is_renamed: bool = False
    merged_into: int | None = None
    version: int = 1

    @property
    def reference(self) -> str:
        """What people may read that identifies the incident among all that there ever were."""
        return f"Incident {self.id}, opened {self.opened_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"

    @property
    def started_at(self) -> datetime:
        """When users began to suffer."""
        return min((impact.start for impact in self.impacts), default=self.opened_at)

    @property
    def ended_at(self) -> datetime | None:
        """When users stopped suffering; None while they do."""
        ends = [impact.end for impact in self.impacts]
        known = [end for end in ends if end is not None]
        return max(known) if known and len(known) == len(ends) else None

    @property
    def share(self) -> float:
        """The highest share of requests that failed."""
        return max((impact.share for impact in self.impacts), default=0.0)

    @property
    def summary(self) -> str:
        """What happened, in a few sentences; empty until somebody writes it."""
        return self.document.get(SUMMARY, "").strip()

    @property
    def is_assumed(self) -> bool:
        """Whether nobody has stated yet how bad some of its impact was or is."""
        return any(impact.assumed for impact in self.impacts)

    @property
    def wants_hold(self) -> bool:
        """Whether its services should be held now."""
        return self.severity.is_severe and self.status.is_active

    def holds(self, service: str) -> bool:
        """Return whether it should hold a service now."""
        return self.wants_hold and service in self.services

    def impacts_on(self, service: str) -> tuple[Impact, ...]:
        """Return the impacts that affected one of its services."""
        return tuple(impact for impact in self.impacts if impact.concerns(service))


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """What to change; None leaves a field unchanged. `share` is set for every impact of the incident.

    `keeps_assumed`: a share that was assumed stays as it is although the severity changes. `summary` says in
    a few sentences what happened.
    """

    status: Status | None = None
    severity: Severity | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    share: float | None = None
    private: bool | None = None
    keeps_assumed: bool = False
    summary: str | None = None
    title: str | None = None
    services: tuple[str, ...] | None = None


def changed(incident: Incident, change: IncidentChange, now: datetime) -> Incident:
    """Return the incident after the change; equal to the one before if nothing changes.

    One that is cancelled is over since then, where it was not before.

    Raises `IllegalChangeError` for times in the future, too long ago or out of order, for a share beyond 0
    and 1, and for services that leave an impact without one.
    """
    after = incident
    if change.share is not None:
        check_share(change.share)
        scaled = (replace(impact, share=change.share, assumed=False) for impact in after.impacts)
        after = replace(after, impacts=tuple(scaled))
    if change.started_at is not None:
        after = _started(after, change.started_at, now)
    if change.ended_at is not None:
        after = _ended(after, change.ended_at, now)
    if change.status is not None and change.status is not after.status:
        after = _moved(after, change.status, now)
    if change.severity is not None:
        keep = change.keeps_assumed
        after = replace(after, severity=change.severity) if keep else with_severity(after, change.severity)
    if change.private is not None:
        after = replace(after, private=change.private)
    if change.summary is not None:
        after = replace(after, document={**after.document, SUMMARY: change.summary.strip()})
    if change.title is not None:
        after = with_title(after, change.title, by_person=True)
    if change.services is not None:
        after = _with_services(after, change.services)
    return after


def with_severity(incident: Incident, severity: Severity) -> Incident:
    """Return the incident with another severity, and what was assumed of its impact by the former."""
    before = incident.severity.assumed_share
    impacts = (
        replace(impact, share=severity.assumed_share) if impact.assumed and impact.share == before else impact
        for impact in incident.impacts
    )
    return replace(incident, severity=severity, impacts=tuple(impacts))


def title_line(text: str) -> str:
    """Return a title in one line; raises `IllegalChangeError` where there is none."""
    title = " ".join(text.split())[:MOST_TITLE]
    if not title:
        raise IllegalChangeError("title", "an incident needs a title")
    return title


def with_title(incident: Incident, text: str, *, by_person: bool = False) -> Incident:
    """Return the incident with another title, the present one among the former. Raises as `title_line`."""
    title = title_line(text)
    if title == incident.title:
        return incident
    former = (*(known for known in incident.former_titles if known != title), incident.title)[-_MOST_FORMER:]
    is_renamed = by_person or incident.is_renamed
    return replace(incident, title=title, former_titles=former, is_renamed=is_renamed)


def _with_services(incident: Incident, services: tuple[str, ...]) -> Incident:
    """Return the incident with these services, without the impacts of those that are no longer among them."""
    named = tuple(dict.fromkeys(services))
    kept = tuple(impact for impact in incident.impacts if impact.service is None or impact.service in named)
    if incident.impacts and not kept:
        gone = ", ".join(sorted({impact.service or "" for impact in incident.impacts}))
        why = f"its impact is stated for {gone} alone; state the impact on another service first"
        raise IllegalChangeError("services", why)
    return replace(incident, services=named, impacts=kept)


def with_impact(incident: Incident, impact: Impact, now: datetime) -> Incident:
    """Return the incident with an impact that somebody states, which replaces assumed ones.

    Of what was stated before it replaces the parts that it speaks of.

    Raises `IllegalChangeError`.
    """
    check_share(impact.share)
    if impact.service is not None and impact.service not in incident.services:
        raise IllegalChangeError("service", f"{impact.service} is not one of this incident's services")
    _check_order(impact.start, impact.end, now)
    stated = [known for known in incident.impacts if not known.assumed]
    return replace(incident, impacts=restated(stated, impact, incident.services))


def check_share(share: float) -> None:
    """Raise `IllegalChangeError` unless the share lies between 0 and 1."""
    if not 0 <= share <= 1:
        raise IllegalChangeError("impact", "the impact is a share between 0 and 1")


def start_fault(start: datetime, now: datetime) -> str | None:
    """Return why an incident cannot have begun then, for the person who said so; None where it can."""
    if start > now:
        return "it cannot begin in the future"
    if now - start > LONGEST_AGO:
        return "it cannot have started more than a year ago"
    return None


def check_start(start: datetime, now: datetime) -> None:
    """Raise `IllegalChangeError` for a start in the future or more than a year ago."""
    fault = start_fault(start, now)
    if fault is not None:
        raise IllegalChangeError("started_at", fault)


def _started(incident: Incident, start: datetime, now: datetime) -> Incident:
    first, *others = sorted(incident.impacts, key=lambda impact: impact.start)
    _check_order(start, first.end, now)
    return replace(incident, impacts=(replace(first, start=start), *others))


def _ended(incident: Incident, end: datetime, now: datetime) -> Incident:
    """End what lasts, or move the last end."""
    lasting = [impact for impact in incident.impacts if impact.end is None]
    last = max(incident.impacts, key=lambda impact: (impact.end or now, impact.start))
    ending = lasting or [last]
    for impact in ending:
        _check_end(impact.start, end, now)
    impacts = (replace(impact, end=end) if impact in ending else impact for impact in incident.impacts)
    return replace(incident, impacts=tuple(impacts))


def _moved(incident: Incident, status: Status, now: datetime) -> Incident:
    if status.is_active:
        return _came_back(incident, status, now)
    if status is Status.MERGED:
        raise IllegalChangeError("merged_into", "say which incident it is a duplicate of")
    if status is Status.CANCELLED:
        return set_aside(incident, status, now)
    ended = tuple(
        replace(impact, end=max(now, impact.start)) if impact.end is None else impact
        for impact in incident.impacts
    )
    return replace(
        incident,
        status=status,
        impacts=ended,
        mitigated_at=incident.mitigated_at or now,
        resolved_at=now if status is Status.RESOLVED else None,
        finished_at=None,
    )


def set_aside(incident: Incident, status: Status, now: datetime) -> Incident:
    """Return the incident without further work on it: what lasts ends now, though nobody mitigated it."""
    over_at = incident.resolved_at or now
    impacts = (
        replace(impact, end=max(over_at, impact.start)) if impact.end is None else impact
        for impact in incident.impacts
    )
    return replace(incident, status=status, impacts=tuple(impacts), resolved_at=over_at)


def _lasts_again(incident: Incident) -> tuple[Impact, ...] | None:
    """Return the impacts as they were before the incident ended without being mitigated; else None."""
    over_at = incident.resolved_at
    if incident.status.counts or incident.mitigated_at is not None or over_at is None:
        return None
    return tuple(
        replace(impact, end=None) if impact.end == max(over_at, impact.start) else impact
        for impact in incident.impacts
    )


def _came_back(incident: Incident, status: Status, now: datetime) -> Incident:
    impacts = incident.impacts
    if (as_before := _lasts_again(incident)) is not None:
        impacts = as_before
    elif not incident.status.is_active:
        share = impacts[-1].share if impacts else 1.0
        impacts = (*impacts, Impact(now, None, share, assumed=True))
    return replace(
        incident,
        status=status,
        impacts=impacts,
        mitigated_at=None,
        resolved_at=None,
        finished_at=None,
        merged_into=None,
    )


def _check_order(start: datetime, end: datetime | None, now: datetime) -> None:
    check_start(start, now)
    if end is not None:
        _check_end(start, end, now)


def _check_end(start: datetime, end: datetime, now: datetime) -> None:
    if end > now:
        raise IllegalChangeError("ended_at", "an impact cannot end in the future; leave its end out instead")
    if end < start:
        raise IllegalChangeError("ended_at", "it ends before it begins")


@dataclass(frozen=True, slots=True)
class ResponseTimes:
    """How long it took from the start to detect, from there to acknowledge, from the start to restore."""

    detect: timedelta
    acknowledge: timedelta | None
    restore: timedelta | None


def times(incident: Incident) -> ResponseTimes:
    """Return how long each step took, at least 0; None where it has not happened."""
    zero = timedelta()
    acknowledged, ended = incident.acknowledged_at, incident.ended_at
    return ResponseTimes(
        detect=max(zero, incident.opened_at - incident.started_at),
        acknowledge=max(zero, acknowledged - incident.opened_at) if acknowledged else None,
        restore=max(zero, ended - incident.started_at) if ended else None,
    )


def channel_names(prefix: str, day: datetime, title: str) -> Iterator[str]:
    """Return channel names by Slack's rules: `inc-2026-11-23-checkout-500s`, then with `-2` and so on."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "incident"
    stem = f"{prefix}-{day:%Y-%m-%d}-{slug}"
    for number in count(1):
        suffix = "" if number == 1 else f"-{number}"
        yield stem[: MOST_NAME - len(suffix)].rstrip("-") + suffix


def next_in_turn(members: Sequence[str], last: str | None) -> str | None:
    """Return whose turn it is: the member after `last` in the order of ids, after the last one the first."""
    order = sorted(members)
    later = [member for member in order if last is not None and member > last]
    return next(iter(later or order), None)
