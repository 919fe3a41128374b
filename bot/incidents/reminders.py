"""What to remind people of while an incident is open. Pure; no clock, no I/O.

A reminder is sent again when its interval has passed since it was last sent, and never while snoozed.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from bot.incidents.incident import Incident, Role, Severity

_MINUTE = timedelta(minutes=1)
NO_COMMANDER_AFTER = 10 * _MINUTE
STILL_OPEN_AFTER = timedelta(hours=24)
UPDATE_EVERY: Mapping[Severity, timedelta] = {
    Severity.SEV1: 30 * _MINUTE,
    Severity.SEV2: 60 * _MINUTE,
    Severity.SEV3: timedelta(hours=4),
    Severity.SEV4: timedelta(hours=24),
}


class Reminder(StrEnum):
    """The kinds of reminder."""

    NO_COMMANDER = "no_commander"
    NO_UPDATE = "no_update"
    STILL_OPEN = "still_open"


def due(
    incident: Incident, updated_at: datetime, sent: Mapping[Reminder, datetime], now: datetime
) -> tuple[Reminder, ...]:
    """Return the reminders that are due. `updated_at` is when somebody last wrote or changed something."""
    if incident.snoozed_until and now < incident.snoozed_until:
        return ()
    return tuple(reminder for reminder, at in _times(incident, updated_at, sent).items() if at <= now)


def next_due(incident: Incident, updated_at: datetime, sent: Mapping[Reminder, datetime]) -> datetime | None:
    """Return when a reminder is due next, if nothing changes; None for an incident that is over."""
    soonest = min(_times(incident, updated_at, sent).values(), default=None)
    if soonest is None or incident.snoozed_until is None:
        return soonest
    return max(soonest, incident.snoozed_until)


def _times(
    incident: Incident, updated_at: datetime, sent: Mapping[Reminder, datetime]
) -> Mapping[Reminder, datetime]:
    """Return when each reminder is due, snoozed or not."""
    if incident.status.is_over:
        return {}
    since: dict[Reminder, tuple[datetime, timedelta]] = {}
    if incident.status.is_active:
        since[Reminder.NO_UPDATE] = (updated_at, UPDATE_EVERY[incident.severity])
        if Role.COMMANDER not in incident.roles:
            since[Reminder.NO_COMMANDER] = (incident.opened_at, NO_COMMANDER_AFTER)
    since[Reminder.STILL_OPEN] = (incident.opened_at, STILL_OPEN_AFTER)
    return {
        reminder: max(start, sent.get(reminder, start)) + interval
        for reminder, (start, interval) in since.items()
    }
