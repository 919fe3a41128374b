"""Alerts that open incidents, and close their impact again.

A firing of an alert (its fingerprint and start) belongs to one incident, so repeated notifications and a
pair of Alertmanagers change nothing. New firings of a group join the group's open incident, and make it as
severe as the worst of them; when none of its alerts fires any more the impact ends and the incident is
mitigated. An incident that people mitigated while an alert fires stays so, however often that is told. One
that fires again after its end, also with the same start, brings the incident back; where people have
resolved or cancelled that, it belongs to another. People resolve an incident.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.current import CurrentCatalog
from bot.incidents.alert import (
    Alert,
    Firing,
    Notification,
    Told,
    after_alerts,
    after_end,
    firing_of,
    in_order_of_weight,
    services_of,
    started,
    title_of,
    worst,
)
from bot.incidents.audit_entries import ALERTMANAGER
from bot.incidents.incident import Incident, with_title
from bot.incidents.lifecycle import IncidentLifecycle, NewIncident
from bot.incidents.records import alerts as rows
from bot.incidents.records import incidents as records
from bot.incidents.records import merges
from bot.incidents.timeline import EntryKind, TimelineEntry
from bot.store.database import Database

MOST_FIRING: Final = 1_000
"""How many firing alerts of an incident are recorded one by one; of more, how many there are."""

_LEFT_OUT: Final = "alerts left out"
_END_UNKNOWN: Final = "alerts whose end is unknown"


@dataclass(slots=True)
class _Sorted:
    """The alerts of a notification, by what they say about what is known.

    `new` fire and are not known, those of `again` had ended; `ended` are firings with the name of the alert
    and their end; `incidents` are those of known firings, with whether the notification is about these.
    """

    new: list[Alert] = field(default_factory=list)
    again: list[tuple[Alert, Firing]] = field(default_factory=list)
    ended: list[tuple[Firing, str, datetime]] = field(default_factory=list)
    incidents: dict[int, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _News:
    """The alerts that begin to fire, and those that fire again with the firing that had ended."""

    new: list[Alert] = field(default_factory=list)
    again: list[tuple[Alert, Firing]] = field(default_factory=list)

    @property
    def alerts(self) -> list[Alert]:
        """All of them."""
        return [*self.new, *(alert for alert, _ in self.again)]


class AlertReceiver:
    """Turns notifications into incidents; `current` says which services there are."""

    def __init__(self, database: Database, lifecycle: IncidentLifecycle, current: CurrentCatalog) -> None:
        self._database = database
        self._lifecycle = lifecycle
        self._current = current

    async def take(self, notification: Notification, now: datetime) -> Sequence[int]:
        """Process a notification in one transaction; return the numbers of its incidents."""
        async with self._database.transaction() as connection:
            told = _sorted(notification.alerts, await rows.read_known(connection, notification.alerts))
            for firing, name, ended_at in told.ended:
                end = min(ended_at, now)
                await rows.set_end(connection, firing, end)
                await records.add_entry(connection, firing.incident_id, _note(f"{name} is over", end))
            resolved = {id_ for id_ in told.incidents if (await records.read(connection, id_)).status.is_over}
            ids = {
                id_: None for id_, is_subject in told.incidents.items() if is_subject or id_ not in resolved
            }
            moved = [pair for pair in told.again if pair[1].incident_id in resolved]
            news = {id_: _News() for id_ in ids if id_ not in resolved}
            if told.new or moved:
                target = await self._incident_for(connection, notification, _News(told.new, moved), now)
                ids[target] = None
                news[target] = _News(told.new, moved)
            for alert, firing in told.again:
                if firing.incident_id in news:
                    news[firing.incident_id].again.append((alert, firing))
            for id_, each in news.items():
                await self._update(connection, id_, each, notification.truncated, now)
        return list(ids)

    async def _incident_for(
        self, connection: AsyncConnection, notification: Notification, news: _News, now: datetime
    ) -> int:
        """Return the number of the group's open incident, or of a new one."""
        id_ = await rows.open_incident_of(connection, notification.group)
        if id_ is None:
            id_ = await merges.target_of_group(connection, notification.group)
        if id_ is None:
            opening = self._opening(notification, news, now)
            id_ = (await self._lifecycle.open_within(connection, opening, now)).incident.id
        return id_

    def _opening(self, notification: Notification, news: _News, now: datetime) -> NewIncident:
        alerts = news.alerts
        first = min(alerts, key=lambda alert: (alert.started_at, alert.fingerprint))
        key = f"{ALERTMANAGER}:{notification.group}:{first.started_at.isoformat()}:{first.fingerprint}"
        recorded, left_out = _fitting(alerts, MOST_FIRING)
        title = title_of([firing_of(alert) for alert in recorded], left_out + notification.truncated)
        return NewIncident(
            # One that opened an incident before opens another when it fires again.
            key=f"{key}:{now.isoformat()}" if news.again else key,
            title=title or first.summary,
            severity=worst(alerts),
            services=tuple(sorted(services_of(alerts, self._current.catalog.services))),
            by=ALERTMANAGER,
            started_at=min([started(alert, now) for alert in news.new] + [now for _ in news.again]),
            alert_group=notification.group,
        )

    async def _update(
        self, connection: AsyncConnection, id_: int, news: _News, truncated: int, now: datetime
    ) -> None:
        """Record what fires, and change the incident by it; end its impact when nothing fires any more."""
        known = await rows.read_all(connection, id_)
        room = MOST_FIRING - sum(firing.ended_at is None for firing in known) - len(news.again)
        recorded, left_out = _fitting(news.new, room)
        await rows.add(connection, id_, recorded)
        for _, firing in news.again:
            await rows.fire_again(connection, firing, id_)
        entries = [_fires(alert) for alert in recorded]
        entries += [_note(f"{alert.name} fires again: {alert.summary}", now) for alert, _ in news.again]
        more = left_out + truncated
        was_told = await records.has_mark(connection, id_, _LEFT_OUT)
        is_told = not more or was_told
        repeated = {alert.fingerprint for alert in news.new} if was_told else set[str]()
        repeated -= {alert.fingerprint for alert in recorded}
        told = Told(news.new, [alert for alert, _ in news.again], known, repeated)
        if not is_told:
            entries.append(_note(f"and {more:,} more alerts that are not listed here", now, _LEFT_OUT))
        title = None
        if news.alerts or not is_told:
            title = title_of([*known, *map(firing_of, [*told.again, *recorded])], more)
        is_over = not news.alerts and not told.lasting
        if is_over and truncated and not await records.has_mark(connection, id_, _END_UNKNOWN):
            text = (
                f"all listed alerts are over, but {truncated:,} were left out (max_alerts): "
                "whether they are over is not known"
            )
            entries.append(_note(text, now, _END_UNKNOWN))
        await records.add_entries(connection, id_, entries)
        services = self._current.catalog.services

        def computed(before: Incident) -> Incident:
            after = after_alerts(before, told, services, now)
            if is_over and not truncated and told.last_end is not None:
                after = after_end(after, told.last_end, now)
            follows = before.opened_by == ALERTMANAGER and not before.is_renamed
            return with_title(after, title) if title and follows else after

        await self._lifecycle.change_within(connection, id_, "changed", computed, by=ALERTMANAGER, now=now)


def _sorted(alerts: Sequence[Alert], known: Collection[Firing]) -> _Sorted:
    """Sort the alerts of a notification by what is known of them.

    Of an alert that fires since another time than was told, the earlier firing is over, though its end was
    not told; one whose later firing is known is told late.
    """
    by_key = {(firing.fingerprint, firing.started_at): firing for firing in known}
    lasting: dict[str, list[Firing]] = {}
    for firing in known:
        if firing.ended_at is None:
            lasting.setdefault(firing.fingerprint, []).append(firing)
    told = _Sorted()
    for alert in {(alert.fingerprint, alert.started_at): alert for alert in alerts}.values():
        own, others = by_key.get((alert.fingerprint, alert.started_at)), lasting.get(alert.fingerprint, [])
        earlier = [other for other in others if other.started_at < alert.started_at]
        is_late = any(other.started_at > alert.started_at for other in others)
        fires_again = own is not None and own.ended_at is not None and alert.is_firing and not is_late
        if own is not None:
            about = told.incidents.get(own.incident_id, False) or not fires_again
            told.incidents[own.incident_id] = about
        for other in earlier:
            told.incidents.setdefault(other.incident_id, not alert.is_firing)
        if own is not None and own.ended_at is None and alert.ended_at is not None:
            told.ended.append((own, alert.name, alert.ended_at))
        elif own is not None and fires_again:
            told.again.append((alert, own))
        elif own is None and alert.ended_at is None and not is_late:
            told.new.append(alert)
        end = alert.ended_at or alert.started_at
        told.ended += [(other, alert.name, max(end, other.started_at)) for other in earlier]
    return told


def _fitting(alerts: Sequence[Alert], room: int) -> tuple[Sequence[Alert], int]:
    """Return the worst of the alerts, as many as there is room for, and how many are left out."""
    recorded = in_order_of_weight(alerts)[: max(room, 0)]
    return recorded, len(alerts) - len(recorded)


def _fires(alert: Alert) -> TimelineEntry:
    mark = f"alert {alert.fingerprint} {alert.started_at.isoformat()}"
    text = f"{alert.name} fires: {alert.summary}"
    return TimelineEntry(alert.started_at, EntryKind.ALERT, text, ALERTMANAGER, mark)


def _note(text: str, at: datetime, mark: str | None = None) -> TimelineEntry:
    return TimelineEntry(at, EntryKind.ALERT, text, ALERTMANAGER, mark)
