"""Alerts as values, and what they say about the incident that they belong to. Pure; no clock, no I/O.

Alertmanager may tell the alerts of a group at once or one after another: the incident becomes the same.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from bot.incidents.downtime import Impact
from bot.incidents.incident import (
    LONGEST_AGO,
    MOST_TITLE,
    Incident,
    IncidentChange,
    Severity,
    Status,
    changed,
    with_severity,
)
from bot.texts import clean_line

MOST_NAME: Final = 100
MOST_SUMMARY: Final = 500

_SEVERITIES: Mapping[str, Severity] = {
    **{severity.value: severity for severity in Severity},
    "critical": Severity.SEV2,
    "page": Severity.SEV2,
    "error": Severity.SEV2,
    "warning": Severity.SEV3,
    "ticket": Severity.SEV3,
    "info": Severity.SEV4,
}


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a notification. `ended_at` is None while it fires."""

    fingerprint: str
    started_at: datetime
    ended_at: datetime | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def name(self) -> str:
        """What the alert is called."""
        return clean_line(self.labels.get("alertname", ""), MOST_NAME) or "alert"

    @property
    def summary(self) -> str:
        """The alert in a line: its summary, else its name."""
        return clean_line(self.annotations.get("summary", ""), MOST_SUMMARY) or self.name

    @property
    def service(self) -> str:
        """The service that it names; empty where it names none."""
        return self.labels.get("service", "").strip()

    @property
    def severity(self) -> Severity:
        """The severity that its label names; sev3 where it names none that is known."""
        return _SEVERITIES.get(self.labels.get("severity", "").strip().casefold(), Severity.SEV3)

    @property
    def is_firing(self) -> bool:
        """Whether it fires."""
        return self.ended_at is None


@dataclass(frozen=True, slots=True)
class Notification:
    """What Alertmanager sends: alerts of one group. It left out `truncated` more, firing or not."""

    group_key: str
    alerts: tuple[Alert, ...]
    truncated: int = 0

    @property
    def group(self) -> str:
        """The group in a few characters."""
        return hashlib.sha256(self.group_key.encode(errors="surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Firing:
    """A firing of an alert, as it is recorded of an incident; rows of earlier versions have no texts."""

    fingerprint: str
    started_at: datetime
    incident_id: int
    ended_at: datetime | None = None
    name: str | None = None
    summary: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What a notification tells of an incident.

    `new` alerts fire that had not been told before, those of `again` had ended; `known` are the firings that
    had been told, with the ends that this notification tells. `repeated` are the fingerprints of those of the
    new ones that may have been told before: of very many alerts not all are recorded.
    """

    new: Sequence[Alert] = ()
    again: Sequence[Alert] = ()
    known: Sequence[Firing] = ()
    repeated: Collection[str] = frozenset()

    @property
    def lasting(self) -> bool:
        """Whether one of the known firings still lasts."""
        return any(firing.ended_at is None for firing in self.known)

    @property
    def last_end(self) -> datetime | None:
        """When the last of the known firings ended; None while one lasts, or if there is none."""
        ends = [firing.ended_at for firing in self.known]
        known = [end for end in ends if end is not None]
        return max(known) if known and len(known) == len(ends) else None


def started(alert: Alert, now: datetime) -> datetime:
    """Return when the alert's outage began: at its start, at most a year ago and not in the future."""
    return min(max(alert.started_at, now - LONGEST_AGO), now)


def firing_of(alert: Alert) -> Firing:
    """Return the firing of an alert that is not over and belongs to no incident yet."""
    return Firing(alert.fingerprint, alert.started_at, 0, None, alert.name, alert.summary)


def services_of(alerts: Sequence[Alert], known: Collection[str]) -> set[str]:
    """Return the known services that the alerts name."""
    return {alert.service for alert in alerts if alert.service in known}


def in_order_of_weight(alerts: Sequence[Alert]) -> list[Alert]:
    """Return the alerts, the worst first; of those as bad the earliest."""
    return sorted(alerts, key=lambda alert: (alert.severity.value, alert.started_at, alert.fingerprint))


def worst(alerts: Sequence[Alert]) -> Severity:
    """Return the severity of the worst of at least one alert."""
    return in_order_of_weight(alerts)[0].severity


def title_of(firings: Sequence[Firing], left_out: int) -> str | None:
    """Return the title of an incident with these firings and so many more; None if a summary is not known."""
    first = min(firings, key=lambda firing: (firing.started_at, firing.fingerprint))
    if first.summary is None:
        return None
    names = {firing.name for firing in firings}
    more = len({firing.fingerprint for firing in firings}) - 1 + left_out
    suffix = f" and {more:,} more" if more and (left_out or len(names) > 1) else ""
    return clean_line(first.summary, MOST_TITLE - len(suffix)) + suffix


def after_alerts(incident: Incident, told: Told, services: Collection[str], now: datetime) -> Incident:
    """Return the incident after what its alerts tell; `services` are those that the catalog knows.

    An alert that the incident did not have makes it as severe as it says and adds its service. One that fires
    begins the impact anew where that had ended, from when it says; an alert that fires again from `now`. One
    that has fired all along does not: people who said that users are well again know of it.
    """
    after = incident
    seen = {firing.fingerprint for firing in told.known}
    firing = [*told.new, *told.again]
    unseen = [alert for alert in firing if alert.fingerprint not in seen]
    if unseen and worst(unseen).value < after.severity.value:
        after = with_severity(after, worst(unseen))
    if added := services_of(firing, services) - set(after.services):
        after = replace(after, services=tuple(sorted({*after.services, *added})))
    starts = [started(alert, now) for alert in told.new] + [now for _ in told.again]
    if after.status is Status.MITIGATED:
        begun = [started(alert, now) for alert in told.new if not _is_repeated(alert, told, after)]
        begun += [now for _ in told.again]
        return _came_back(after, min(begun), now) if begun else after
    return _with_start(after, min(starts), told) if starts else after


def after_end(incident: Incident, last_end: datetime, now: datetime) -> Incident:
    """Return the incident after the end of its last alert: mitigated, unless it was before."""
    if not incident.status.is_active:
        return incident
    latest_start = max((impact.start for impact in incident.impacts if impact.end is None), default=None)
    # Unless the end contradicts what people have stated meanwhile.
    ended_at = max(last_end, latest_start) if latest_start is not None and last_end <= now else None
    return changed(incident, IncidentChange(status=Status.MITIGATED, ended_at=ended_at), now)


def _is_repeated(alert: Alert, told: Told, incident: Incident) -> bool:
    """Return whether an alert that is not recorded may have fired before the incident was mitigated."""
    mitigated = incident.mitigated_at
    return alert.fingerprint in told.repeated and mitigated is not None and alert.started_at <= mitigated


def _came_back(incident: Incident, start: datetime, now: datetime) -> Incident:
    back = changed(incident, IncidentChange(status=Status.INVESTIGATING), now)
    *earlier, last = back.impacts
    return _sorted(back, (*earlier, replace(last, start=start)))


def _with_start(incident: Incident, start: datetime, told: Told) -> Incident:
    lasting = [impact for impact in incident.impacts if impact.end is None and impact.assumed]
    if not incident.status.is_active or not lasting:
        return incident
    end = told.last_end
    if end is not None and start > end:
        # All that fired had ended before: between the two, nothing was wrong.
        ended = (replace(impact, end=max(end, impact.start)) for impact in lasting)
        others = (impact for impact in incident.impacts if impact not in lasting)
        return _sorted(incident, (*others, *ended, Impact(start, None, lasting[0].share, assumed=True)))
    first = min((firing.started_at for firing in told.known), default=start)
    if len(incident.impacts) == 1 and lasting[0].start > first:
        # Somebody said that it began later than its first alert.
        return incident
    moved = (
        replace(impact, start=min(impact.start, start)) if impact in lasting else impact
        for impact in incident.impacts
    )
    return _sorted(incident, tuple(moved))


def _sorted(incident: Incident, impacts: Sequence[Impact]) -> Incident:
    return replace(incident, impacts=tuple(sorted(impacts, key=lambda impact: impact.start)))
