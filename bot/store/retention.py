"""How long the rows of each table are kept: a rule for every table, and the deletion of what has expired.

Some rules are carried out elsewhere, next to what they belong to; the audit log is never shortened, so that
its chain stays whole. `docs/operating.md` shows the rules, and a test compares.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import ColumnElement, Table, delete, exists, func, select, tuple_

from bot.store.database import Database
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

log = structlog.get_logger(__name__)

MESSAGES: Final = timedelta(days=90)
"""How long a message is kept that was sent or has failed."""
HISTORY: Final = timedelta(days=400)
"""How long is kept what is over: more than the year that an incident or a report may reach back."""
DELIVERIES: Final = timedelta(days=30)
"""How long it is known what became of an event that was sent out."""

_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """What is kept of a table, in words; `expired` returns which rows expire by a time, None if elsewhere."""

    kept: str
    expired: Callable[[datetime], ColumnElement[bool]] | None = None


def _messages(now: datetime) -> ColumnElement[bool]:
    outbox, rooms = core.outbox, incidents.incident_rooms
    edited = [select(key).where(key.is_not(None)) for key in (rooms.c.card_key, rooms.c.notice_key)]
    # The newest of each state says where a channel is and whether its messages fail.
    newest = select(func.max(outbox.c.id)).group_by(outbox.c.channel, outbox.c.state)
    return (
        outbox.c.state.in_(("sent", "failed"))
        & (outbox.c.created_at < now - MESSAGES)
        & outbox.c.id.not_in(newest)
        & outbox.c.key.not_in(edited[0])
        & outbox.c.key.not_in(edited[1])
    )


def _changes(_: datetime) -> ColumnElement[bool]:
    changes, whole = deployments.deployment_changes.c, deployments.deployments.c
    is_kept = exists().where(whole.service == changes.service, whole.deployment == changes.deployment)
    return ~is_kept


_OF_INCIDENTS: Final = RetentionRule("for good: what an incident taught is looked up years later")
_A_YEAR: Final = f"{HISTORY.days} days after it ended"

RULES: Final[Mapping[Table, RetentionRule]] = {
    core.outbox: RetentionRule(
        f"{MESSAGES.days} days; the newest of each channel and what is still edited longer", _messages
    ),
    threads: RetentionRule(
        f"{MESSAGES.days} days after it ended", lambda now: threads.c.ended_at < now - MESSAGES
    ),
    core.holds: RetentionRule(_A_YEAR, lambda now: core.holds.c.lifted_at < now - HISTORY),
    core.exemptions: RetentionRule(
        f"{_A_YEAR}; without an end for good", lambda now: core.exemptions.c.until < now - HISTORY
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
        f"{HISTORY.days} days after it was removed",
        lambda now: freeze_schedules.c.removed_at < now - HISTORY,
    ),
    deployments.deployments: RetentionRule(
        _A_YEAR, lambda now: deployments.deployments.c.finished_at < now - HISTORY
    ),
    deployments.deployment_changes: RetentionRule("as long as their deployment", _changes),
    deployments.deployment_incidents: _OF_INCIDENTS,
    tasks.due_tasks: RetentionRule(
        f"{HISTORY.days} days after it was done", lambda now: tasks.due_tasks.c.ended_at < now - HISTORY
    ),
    flags.flag_changes: RetentionRule(_A_YEAR, lambda now: flags.flag_changes.c.settled_at < now - HISTORY),
    flags.flag_ramps: RetentionRule(_A_YEAR, lambda now: flags.flag_ramps.c.ended_at < now - HISTORY),
    flags.flag_promises: RetentionRule(_A_YEAR, lambda now: flags.flag_promises.c.ended_at < now - HISTORY),
    core.audit: RetentionRule("for good: each row's hash covers the one before it"),
    core.audit_head: RetentionRule("one row"),
    core.api_tokens: RetentionRule("for good, revoked ones too: the audit log names them"),
    core.slos: RetentionRule("30 days after the SLO left the policies"),
    core.buckets: RetentionRule(
        "minutes 12 hours, five minutes 4 days; hours and days for two of the longest window, "
        "at least 124 days"
    ),
    core.event_ids: RetentionRule("7 days"),
    core.standings: RetentionRule("one row a service"),
    core.flags: RetentionRule("one row a flag and environment"),
    flags.flag_sightings: RetentionRule("one row a flag and environment"),
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
        f"{HISTORY.days} days", lambda now: forecasts.forecasts.c.made_on < now - HISTORY
    ),
    forecasts.forecast_scores: RetentionRule(
        f"{HISTORY.days} days", lambda now: forecasts.forecast_scores.c.day < now - HISTORY
    ),
    adjustments.adjustments: RetentionRule(
        f"{HISTORY.days} days after the time that it is about",
        lambda now: adjustments.adjustments.c.ends_at < now - HISTORY,
    ),
    readiness.known_services: RetentionRule("one row a service: each is asked once"),
    readiness.launch_ticks: RetentionRule("one row a service and ticked item"),
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
    replicas.requests: RetentionRule("2 days"),
    replicas.conditions: RetentionRule("while the condition lasts"),
}


async def delete_expired(database: Database, now: datetime) -> None:
    """Delete what has expired, in small transactions, so that no other writer waits long."""
    for table, rule in RULES.items():
        if rule.expired is None:
            continue
        key = tuple_(*table.primary_key.columns)
        few = select(*table.primary_key.columns).where(rule.expired(now)).limit(_AT_ONCE)
        deleted, last = 0, _AT_ONCE
        while last == _AT_ONCE:
            async with database.transaction(in_turn=False) as connection:
                last = (await connection.execute(delete(table).where(key.in_(few)))).rowcount
            deleted += last
        if deleted:
            log.info("expired_rows_deleted", table=table.name, rows=deleted)
