"""How long the rows of each table are kept: a rule for every table.

Some rules are carried out elsewhere, next to what they belong to. `docs/operating.md` shows the rules, and a
test compares.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Select, Table, exists, func, select, tuple_

from bot.store.tables import (
    adjustments,
    core,
    deployments,
    digests,
    exemptions,
    flags,
    forecasts,
    gate_waits,
    incidents,
    installations,
    label_values,
    people,
    readiness,
    replicas,
    reviews,
    rotations,
    tasks,
    webhooks,
)
from bot.store.tables.freeze_schedules import freeze_schedules
from bot.store.tables.threads import threads

MESSAGES: Final = timedelta(days=90)
"""How long a message is kept that was sent or has failed."""
HISTORY: Final = timedelta(days=400)
"""How long is kept what is over: more than the year that an incident or a report may reach back."""
DELIVERIES: Final = timedelta(days=30)
"""How long it is known what became of an event that was sent out."""
FORECASTS: Final = timedelta(days=130)
"""How long a forecast is kept: four weeks until it is due, and the 90 days over which scores are formed."""
REQUESTS: Final = timedelta(days=2)
"""How long a request may be repeated."""
EVENT_IDS: Final = timedelta(days=7)
"""How long a pushed event's id is kept: a sender may repeat it for that long."""
UNUSED: Final = timedelta(days=30)
"""How long is kept what an SLO or service has left that is not in the policies: they may be restored."""

_MANY_TASKS: Final = ("digest", "personal notices")


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """What is kept of a table, in words; `expired` returns which rows expire by a time, None if elsewhere."""

    kept: str
    expired: Callable[[datetime], ColumnElement[bool]] | None = None

    def expired_at(self, now: datetime) -> ColumnElement[bool]:
        """Return which rows have expired; for tables whose rule is carried out by it."""
        if self.expired is None:
            raise AssertionError("the rule of this table is carried out elsewhere")
        return self.expired(now)


def _messages(now: datetime) -> ColumnElement[bool]:
    outbox, rooms = core.outbox, incidents.incident_rooms
    edited = [select(key).where(key.is_not(None)) for key in (rooms.c.card_key, rooms.c.notice_key)]
    # The newest of each state says where a channel is and whether its messages fail; an edit says neither.
    later = outbox.alias()
    is_not_newest = outbox.c.is_edit | exists().where(
        later.c.state == outbox.c.state,
        later.c.channel == outbox.c.channel,
        later.c.id > outbox.c.id,
        later.c.is_edit.is_(False),
    )
    return (
        outbox.c.state.in_(("sent", "failed"))
        & (outbox.c.created_at < now - MESSAGES)
        & is_not_newest
        & outbox.c.key.not_in(edited[0])
        & outbox.c.key.not_in(edited[1])
    )


def _changes(now: datetime) -> ColumnElement[bool]:
    changes, whole = deployments.deployment_changes.c, deployments.deployments.c
    gone = select(whole.service, whole.deployment).where(whole.finished_at < now - HISTORY)
    return tuple_(changes.service, changes.deployment).in_(gone)


def _tasks(now: datetime) -> ColumnElement[bool]:
    columns = tasks.due_tasks.c
    are_many = columns.kind.in_(_MANY_TASKS) | columns.kind.startswith("webhook ")
    return (columns.ended_at < now - MESSAGES) & (are_many | (columns.ended_at < now - HISTORY))


def _gone_services(now: datetime, kept: timedelta) -> Select[tuple[str]]:
    known = readiness.known_services.c
    return select(known.service).where(known.gone_at < now - kept)


def _standings(now: datetime) -> ColumnElement[bool]:
    held = select(core.holds.c.service).where(core.holds.c.lifted_at.is_(None))
    service = core.standings.c.service
    return service.in_(_gone_services(now, UNUSED)) & service.not_in(held)


def _archived(_: datetime) -> ColumnElement[bool]:
    return core.audit.c.id <= select(func.max(core.audit_archives.c.row)).scalar_subquery()


_OF_INCIDENTS: Final = RetentionRule("for good: what an incident taught is looked up years later")
_A_YEAR: Final = f"{HISTORY.days} days after it ended"
_SERVICES: Final = f"{HISTORY.days} days after the service left the policies"

RULES: Final[Mapping[Table, RetentionRule]] = {
    core.outbox: RetentionRule(
        f"{MESSAGES.days} days; the newest of each channel and what is still edited longer", _messages
    ),
    threads: RetentionRule(
        f"{MESSAGES.days} days after it ended, {HISTORY.days} days after its last message",
        lambda now: (threads.c.ended_at < now - MESSAGES) | (threads.c.touched_at < now - HISTORY),
    ),
    core.holds: RetentionRule(_A_YEAR, lambda now: core.holds.c.lifted_at < now - HISTORY),
    core.exemptions: RetentionRule(
        f"{_A_YEAR} or was used; without an end until it is used",
        lambda now: (core.exemptions.c.until < now - HISTORY) | (core.exemptions.c.used_at < now - HISTORY),
    ),
    deployments.begun_changes: RetentionRule(
        "30 days after it began",
        lambda now: deployments.begun_changes.c.began_at < now - timedelta(days=30),
    ),
    gate_waits.gate_waits: RetentionRule(
        f"{MESSAGES.days} days after it ended", lambda now: gate_waits.gate_waits.c.ended_at < now - MESSAGES
    ),
    gate_waits.gate_calls: RetentionRule(
        "1 day", lambda now: gate_waits.gate_calls.c.at < now - timedelta(days=1)
    ),
    exemptions.exemption_requests: RetentionRule(
        f"{HISTORY.days} days after it was asked",
        lambda now: exemptions.exemption_requests.c.asked_at < now - HISTORY,
    ),
    freeze_schedules: RetentionRule(
        f"{HISTORY.days} days after it was removed or was over for good",
        lambda now: freeze_schedules.c.removed_at < now - HISTORY,
    ),
    # Before their deployments, by which they are found.
    deployments.deployment_changes: RetentionRule("as long as their deployment", _changes),
    deployments.deployments: RetentionRule(
        _A_YEAR, lambda now: deployments.deployments.c.finished_at < now - HISTORY
    ),
    deployments.deployment_incidents: _OF_INCIDENTS,
    tasks.due_tasks: RetentionRule(
        f"{HISTORY.days} days after it was done; digests, personal notices and webhooks {MESSAGES.days} days",
        _tasks,
    ),
    flags.flag_changes: RetentionRule(_A_YEAR, lambda now: flags.flag_changes.c.settled_at < now - HISTORY),
    flags.flag_ramps: RetentionRule(_A_YEAR, lambda now: flags.flag_ramps.c.ended_at < now - HISTORY),
    flags.flag_promises: RetentionRule(_A_YEAR, lambda now: flags.flag_promises.c.ended_at < now - HISTORY),
    core.audit: RetentionRule("until they are archived", _archived),
    core.audit_archives: RetentionRule("one row an archive: the log goes on after the last one"),
    core.audit_head: RetentionRule("one row"),
    core.api_tokens: RetentionRule("for good, revoked ones too: the audit log names them"),
    core.slos: RetentionRule("30 days after the SLO left the policies"),
    core.buckets: RetentionRule(
        "minutes 12 hours, five minutes 4 days; hours and days for two of the longest window and "
        "since the goals began (400 days at most), at least 124 days"
    ),
    core.event_ids: RetentionRule(
        f"{EVENT_IDS.days} days", lambda now: core.event_ids.c.at < now - EVENT_IDS
    ),
    core.standings: RetentionRule(f"{UNUSED.days} days after the service left the policies", _standings),
    core.flags: RetentionRule("one row a flag and environment"),
    flags.flag_sightings: RetentionRule(
        f"{HISTORY.days} days after the flag last changed; one that is still read is recorded anew",
        lambda now: flags.flag_sightings.c.seen_at < now - HISTORY,
    ),
    incidents.incidents: _OF_INCIDENTS,
    incidents.incident_services: _OF_INCIDENTS,
    incidents.incident_impacts: _OF_INCIDENTS,
    incidents.incident_entries: _OF_INCIDENTS,
    incidents.incident_roles: _OF_INCIDENTS,
    incidents.incident_rooms: _OF_INCIDENTS,
    incidents.incident_steps: _OF_INCIDENTS,
    incidents.incident_alerts: _OF_INCIDENTS,
    incidents.incident_reminders: _OF_INCIDENTS,
    incidents.actions: _OF_INCIDENTS,
    incidents.facilitator_turns: RetentionRule("one row a team"),
    installations.installations: RetentionRule("until the app is uninstalled"),
    installations.oauth_states: RetentionRule(
        "until they expire", lambda now: installations.oauth_states.c.expires_at < now
    ),
    forecasts.forecasts: RetentionRule(
        f"{FORECASTS.days} days", lambda now: forecasts.forecasts.c.made_on < now - FORECASTS
    ),
    forecasts.forecast_scores: RetentionRule(
        f"{HISTORY.days} days", lambda now: forecasts.forecast_scores.c.day < now - HISTORY
    ),
    adjustments.adjustments: RetentionRule(
        f"{HISTORY.days} days after the time that it is about",
        lambda now: adjustments.adjustments.c.ends_at < now - HISTORY,
    ),
    # Before their services, by which they are found.
    readiness.launch_ticks: RetentionRule(
        _SERVICES, lambda now: readiness.launch_ticks.c.service.in_(_gone_services(now, HISTORY))
    ),
    readiness.known_services: RetentionRule(
        _SERVICES, lambda now: readiness.known_services.c.gone_at < now - HISTORY
    ),
    rotations.rotation_periods: RetentionRule("for good: whose turn it is follows from all that there were"),
    rotations.rotation_turns: RetentionRule("for good: whose turn it is follows from all that there were"),
    rotations.rotation_absences: RetentionRule(
        _A_YEAR, lambda now: rotations.rotation_absences.c.until_at < now - HISTORY
    ),
    rotations.rotation_swaps: RetentionRule(
        f"{HISTORY.days} days after it was asked",
        lambda now: rotations.rotation_swaps.c.asked_at < now - HISTORY,
    ),
    rotations.rotation_calendars: RetentionRule("one row a rotation"),
    reviews.freeze_reviews: RetentionRule(
        _A_YEAR, lambda now: reviews.freeze_reviews.c.ended_at < now - HISTORY
    ),
    digests.digest_pauses: RetentionRule(
        "until the digests are resumed", lambda now: digests.digest_pauses.c.until < now - HISTORY
    ),
    webhooks.webhook_endpoints: RetentionRule(
        "400 days after it left the policies",
        lambda now: webhooks.webhook_endpoints.c.removed_at < now - HISTORY,
    ),
    webhooks.webhook_deliveries: RetentionRule(
        f"{DELIVERIES.days} days; what is not delivered yet longer",
        lambda now: (
            (webhooks.webhook_deliveries.c.state != "pending")
            & (webhooks.webhook_deliveries.c.created_at < now - DELIVERIES)
        ),
    ),
    people.welcomed_people: RetentionRule("for good: each person is welcomed once"),
    people.personal_preferences: RetentionRule("until the person is deactivated or the app is uninstalled"),
    label_values.label_values: RetentionRule("until the value is dropped from its document"),
    replicas.replicas: RetentionRule("while the replica lives"),
    replicas.leases: RetentionRule("while the replica lives"),
    replicas.requests: RetentionRule(
        f"{REQUESTS.days} days", lambda now: replicas.requests.c.at < now - REQUESTS
    ),
    replicas.conditions: RetentionRule("while the condition lasts"),
}
