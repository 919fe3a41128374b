"""Opens incidents and changes them: timeline, audit row and next steps in one transaction each.

Steps in Slack and on holds are only planned here; `workflow/runner.py` carries them out.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.incidents import holds
from bot.incidents.audit_entries import audit_entry, difference, facts, next_version, timeline_entries
from bot.incidents.causes.linking import CauseLinks
from bot.incidents.downtime import Impact
from bot.incidents.finished_channels.rules import may_be_archived
from bot.incidents.incident import (
    CauseClass,
    IllegalChangeError,
    Incident,
    IncidentChange,
    Role,
    Severity,
    Status,
    changed,
    check_share,
    check_start,
    title_line,
    with_impact,
)
from bot.incidents.planned_tasks import plan_for_incident, plan_notice
from bot.incidents.postmortem import PostmortemPart
from bot.incidents.records import incidents as records
from bot.incidents.records import steps
from bot.incidents.records.channels import ChannelKind, read_channels, wanted_channels
from bot.incidents.records.steps import StepName
from bot.incidents.timeline import EntryKind, TimelineEntry
from bot.incidents.visibility import ANYBODY, may_see
from bot.store import audit
from bot.store.database import Database
from bot.store.tables.incidents import incidents

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NewIncident:
    """An incident to be opened.

    `key` identifies the incident for whoever opens it; `share` None means that the impact is unknown: then
    `assumed_share` is assumed, or what fits the severity. `is_person`: a person opens it, which
    acknowledges it. `entry`: what it was opened from, for its timeline.
    """

    key: str
    title: str
    severity: Severity
    services: tuple[str, ...]
    by: str
    started_at: datetime | None = None
    share: float | None = None
    assumed_share: float | None = None
    private: bool = False
    alert_group: str | None = None
    is_person: bool = False
    entry: TimelineEntry | None = None


@dataclass(frozen=True, slots=True)
class OpenedIncident:
    """The incident, and whether it was opened just now or before."""

    incident: Incident
    is_new: bool


Compute = Callable[[Incident], Incident]


class IncidentLifecycle:
    """The one way to change incidents."""

    def __init__(self, database: Database, current: CurrentCatalog) -> None:
        self._database = database
        self._current = current
        self.causes = CauseLinks(database, current)

    async def open(self, opening: NewIncident, now: datetime) -> OpenedIncident:
        """Open an incident, or return the one that was opened with this key. Raises `IllegalChangeError`."""
        async with self._database.transaction() as connection:
            opened = await self.open_within(connection, opening, now)
        if opened.is_new:
            _log_change(opened.incident, "opened")
        return opened

    async def open_within(
        self, connection: AsyncConnection, opening: NewIncident, now: datetime
    ) -> OpenedIncident:
        """Open an incident within the caller's transaction."""
        incident = _new_incident(opening, now)
        values = records.row_of(incident) | {"updated_at": now, "alert_group": opening.alert_group}
        inserted = self._database.insert(incidents).values(values).on_conflict_do_nothing()
        id_ = (await connection.execute(inserted.returning(incidents.c.id))).scalar_one_or_none()
        if id_ is None:
            existing = await records.read_by_key(connection, opening.key)
            if existing is None:
                raise LookupError(f"the incident with key {opening.key} may not be seen")
            return OpenedIncident(existing, is_new=False)
        incident = replace(incident, id=id_)
        await records.add(connection, incident)
        text = f"{incident.severity} opened: {incident.title}"
        await records.add_entry(connection, id_, TimelineEntry(now, EntryKind.OPENED, text, opening.by))
        if opening.entry is not None:
            await records.add_entry(connection, id_, opening.entry)
        await audit.record(
            connection, audit_entry("opened", incident, opening.by, after=facts(incident)), now
        )
        await self.causes.follow_undos(connection, incident, incident.services, now)
        await steps.open_channel(connection, id_, ChannelKind.INCIDENT, self._invitees(incident))
        if incident.wants_hold:
            await _plan_holds(connection, incident, StepName.HOLD, incident.services)
        await plan_for_incident(self._database, connection, incident, now)
        known = self._current.catalog.services
        services = [known[name] for name in incident.services if name in known]
        if services:
            await plan_notice(self._database, connection, incident, services, now)
        return OpenedIncident(incident, is_new=True)

    async def change(self, id_: int, change: IncidentChange, *, by: str, now: datetime) -> Incident:
        """Change what an `IncidentChange` names. Raises `UnknownIncidentError`, `IllegalChangeError`."""
        action = "changed"
        if _is_only(change, "title"):
            action = "renamed"
        elif _is_only(change, "services"):
            action = "services_changed"
        elif change.status is Status.CANCELLED:
            action = "cancelled"
        return await self._change(id_, action, lambda before: changed(before, change, now), by, now)

    async def change_services(
        self, id_: int, *, add: Collection[str] = (), remove: Collection[str] = (), by: str, now: datetime
    ) -> Incident:
        """Add services and remove others. Raises `UnknownIncidentError`, `IllegalChangeError`."""

        def with_services(before: Incident) -> Incident:
            services = [name for name in before.services if name not in remove]
            return changed(before, IncidentChange(services=(*services, *add)), now)

        return await self._change(id_, "services_changed", with_services, by, now)

    async def cancel(self, id_: int, reason: str, *, by: str, now: datetime) -> Incident:
        """Cancel an incident as a false alarm, and say why on its timeline. Raises `UnknownIncidentError`."""
        change = IncidentChange(status=Status.CANCELLED)
        async with self._database.transaction() as connection:
            before = await records.read(connection, id_, lock=True)
            after = await self.change_within(
                connection, id_, "cancelled", lambda before: changed(before, change, now), by=by, now=now
            )
            if reason and after != before:
                entry = TimelineEntry(now, EntryKind.NOTE, f"a false alarm: {reason}", by)
                await records.add_entry(connection, id_, entry)
        _log_change(after, "cancelled")
        return after

    async def reopen(self, id_: int, *, by: str, now: datetime) -> Incident:
        """Open an incident again that is over. Raises `UnknownIncidentError`, `IllegalChangeError`."""

        def reopened(before: Incident) -> Incident:
            if not before.status.is_over:
                raise IllegalChangeError("status", f"it is open: {before.status}")
            return changed(before, IncidentChange(status=Status.INVESTIGATING), now)

        return await self._change(id_, "reopened", reopened, by, now)

    async def record_impact(self, id_: int, impact: Impact, *, by: str, now: datetime) -> Incident:
        """State how bad it was from when to when. Raises `UnknownIncidentError`, `IllegalChangeError`."""
        return await self._change(
            id_, "impact_stated", lambda before: with_impact(before, impact, now), by, now
        )

    async def assign(self, id_: int, role: Role, person: str | None, *, by: str, now: datetime) -> Incident:
        """Assign a role to a person, or to nobody. Raises `UnknownIncidentError`."""

        def assigned(before: Incident) -> Incident:
            others = {other: holder for other, holder in before.roles.items() if other is not role}
            return replace(before, roles=others | ({role: person} if person else {}))

        return await self._change(id_, "role_given", assigned, by, now)

    async def give_roles_within(
        self, connection: AsyncConnection, id_: int, roles: Mapping[Role, str], *, by: str, now: datetime
    ) -> Incident:
        """Let the roles be held by these people and no others, within the caller's transaction."""
        return await self.change_within(
            connection, id_, "role_given", lambda before: replace(before, roles=roles), by=by, now=now
        )

    async def classify(self, id_: int, cause: CauseClass, *, by: str, now: datetime) -> Incident:
        """Set the class of cause. Raises `UnknownIncidentError`."""
        return await self._change(id_, "classified", lambda before: replace(before, cause=cause), by, now)

    async def write_part(
        self, id_: int, part: PostmortemPart, text: str, *, by: str, now: datetime
    ) -> Incident:
        """Write a part of the postmortem's document. Raises `UnknownIncidentError`, `IllegalChangeError`."""

        def written(before: Incident) -> Incident:
            if before.finished_at is not None:
                raise IllegalChangeError("document", "the postmortem is closed; open it again to change it")
            return replace(before, document={**before.document, part.value: text})

        return await self._change(id_, "document_written", written, by, now)

    async def snooze(self, id_: int, until: datetime, *, by: str, now: datetime) -> Incident:
        """Send no reminders until a time. Raises `UnknownIncidentError`."""
        return await self._change(
            id_, "snoozed", lambda before: replace(before, snoozed_until=until), by, now
        )

    async def request_postmortem(self, id_: int, *, by: str, now: datetime) -> Incident:
        """Open the postmortem's channel; opening it twice changes nothing. Raises `UnknownIncidentError`.

        A postmortem that was closed is opened again.
        """
        async with self._database.transaction() as connection:
            after = await self.request_postmortem_within(connection, id_, by=by, now=now)
        _log_change(after, "postmortem_requested")
        return after

    async def request_postmortem_within(
        self, connection: AsyncConnection, id_: int, *, by: str, now: datetime
    ) -> Incident:
        """Open the postmortem's channel within the caller's transaction."""

        def requested(before: Incident) -> Incident:
            if not before.status.counts:
                why = f"the incident is {before.status}; reopen it first"
                raise IllegalChangeError("postmortem", why)
            return replace(before, postmortem_at=before.postmortem_at or now, finished_at=None)

        return await self.change_within(connection, id_, "postmortem_requested", requested, by=by, now=now)

    async def note(
        self,
        id_: int,
        text: str,
        *,
        by: str,
        now: datetime,
        at: datetime | None = None,
        mark: str | None = None,
        url: str | None = None,
    ) -> bool:
        """Add a text to the timeline, once for each mark; return whether it is new.

        A mark makes it a pinned message, which `unnote` removes again. What concerns a merged incident
        goes to the one that it was merged into. Raises `UnknownIncidentError`.
        """
        kind = EntryKind.PIN if mark else EntryKind.NOTE
        async with self._database.transaction() as connection:
            incident = await _unmerged(connection, id_)
            id_ = incident.id
            if mark is not None and await records.has_mark(connection, id_, mark):
                return False
            await records.add_entry(connection, id_, TimelineEntry(at or now, kind, text, by, mark, url))
            after = next_version(incident, by, now)
            await records.write(connection, incident, after, now)
            await audit.record(connection, audit_entry("noted", after, by, after={"kind": kind.value}), now)
        _log_change(after, "noted")
        return True

    async def unnote(self, id_: int, mark: str, *, by: str, now: datetime) -> bool:
        """Remove a pinned message from the timeline; return whether it was there.

        Raises `UnknownIncidentError`.
        """
        async with self._database.transaction() as connection:
            incident = await _unmerged(connection, id_)
            id_ = incident.id
            if not await records.remove_entry(connection, id_, mark):
                return False
            after = next_version(incident, by, now)
            await records.write(connection, incident, after, now)
            await audit.record(connection, audit_entry("unnoted", after, by, before={"kind": "pin"}), now)
        _log_change(after, "unnoted")
        return True

    async def change_within(
        self, connection: AsyncConnection, id_: int, action: str, compute: Compute, *, by: str, now: datetime
    ) -> Incident:
        """Change an incident within the caller's transaction."""
        before = await records.read(connection, id_, lock=True)
        computed = compute(before)
        if computed == before:
            return before
        if before.merged_into is not None and (computed.merged_into, computed.private) == (
            before.merged_into,
            before.private,
        ):
            why = f"it was merged into incident {before.merged_into}; change that one, or reopen this one"
            raise IllegalChangeError("status", why)
        after = next_version(computed, by, now)
        await records.write(connection, before, after, now)
        await plan_for_incident(self._database, connection, after, now)
        for entry in timeline_entries(before, after, by, now):
            await records.add_entry(connection, id_, entry)
        was, became = difference(facts(before), facts(after))
        await audit.record(connection, audit_entry(action, after, by, was, became), now)
        await self._follow_services(connection, before, after)
        if (before.services, before.started_at) != (after.services, after.started_at):
            await self.causes.follow_undos(connection, after, after.services, now)
        if holds.reason(before) != holds.reason(after):
            await holds.update_reasons(connection, after)
        if may_see(before, ANYBODY) and not may_see(after, ANYBODY):
            await holds.leave_out_title(connection, after)
            await steps.plan(connection, id_, ChannelKind.INCIDENT, [(StepName.HIDE, "")])
        if _topic_of(before) != _topic_of(after):
            await self._update_topics(connection, after)
        if before.postmortem_at is None and after.postmortem_at is not None:
            await steps.open_channel(connection, id_, ChannelKind.POSTMORTEM, self._invitees(after))
        was_closed = may_be_archived(before)
        if wanted_channels(before) != wanted_channels(after) or was_closed != may_be_archived(after):
            await self.reopen_within(connection, after, was_closed=was_closed)
        return after

    async def reopen_within(
        self, connection: AsyncConnection, incident: Incident, *, was_closed: bool = True
    ) -> None:
        """Reopen archived channels that the incident needs, within the caller's transaction.

        `was_closed`: its channels could be archived, so steps that do so may be pending.
        """
        channels = await read_channels(connection, incident.id)
        for kind in wanted_channels(incident):
            channel = channels.get(kind)
            if channel is not None and channel.is_archived:
                await steps.reopen_channel(connection, channel, self._invitees(incident))
        for channel in channels.values() if was_closed and not may_be_archived(incident) else ():
            await steps.keep_open(connection, channel)

    async def _change(self, id_: int, action: str, compute: Compute, by: str, now: datetime) -> Incident:
        async with self._database.transaction() as connection:
            after = await self.change_within(connection, id_, action, compute, by=by, now=now)
        _log_change(after, action)
        return after

    async def _follow_services(self, connection: AsyncConnection, before: Incident, after: Incident) -> None:
        """Plan the holds that the change places or lifts, and the invitations of those who are new to it."""
        if after.wants_hold:
            held = set(before.services) if before.wants_hold else set()
            added = [service for service in after.services if service not in held]
            await _plan_holds(connection, after, StepName.HOLD, added)
        if before.wants_hold:
            ended = [service for service in before.services if not after.holds(service)]
            await _plan_holds(connection, after, StepName.LIFT, ended)
        if before.services == after.services:
            return
        known = set(self._invitees(before))
        invited = [invitee for invitee in self._invitees(after) if invitee not in known]
        for channel in (await read_channels(connection, after.id)).values():
            if not channel.is_archived:
                await steps.invite(connection, channel, invited)

    async def _update_topics(self, connection: AsyncConnection, incident: Incident) -> None:
        """Plan the topics of the incident's channels anew; those still to be set up say it anyway."""
        for channel in (await read_channels(connection, incident.id)).values():
            if channel.channel_id is not None and not channel.is_archived:
                await steps.plan(connection, incident.id, channel.kind, [(StepName.TOPIC, "")])

    def _invitees(self, incident: Incident) -> Sequence[str]:
        """Return whom to invite: both teams of each service, and whoever opened it."""
        services = self._current.catalog.services
        named = [services[name] for name in incident.services if name in services]
        return invitees(named, incident.opened_by)


async def _unmerged(connection: AsyncConnection, id_: int) -> Incident:
    """Return an incident for update, or the one that it was merged into."""
    incident = await records.read(connection, id_, lock=True)
    if incident.merged_into is None:
        return incident
    return await records.read(connection, incident.merged_into, lock=True)


def invitees(services: Iterable[Service], opened_by: str) -> Sequence[str]:
    """Return teams and people, each once; `opened_by` only if a person in Slack, not an API token."""
    teams = [entry for service in services for entry in service.teams.entries]
    is_person = opened_by[:1] in {"U", "W"} and opened_by.isalnum() and opened_by.isupper()
    return list(dict.fromkeys([*teams, *([opened_by] if is_person else [])]))


async def _plan_holds(
    connection: AsyncConnection, incident: Incident, name: StepName, services: Iterable[str]
) -> None:
    planned = [(name, service) for service in services]
    await steps.plan(connection, incident.id, ChannelKind.INCIDENT, planned)


def _topic_of(incident: Incident) -> tuple[object, ...]:
    """Return what the topics of its channels say."""
    return incident.title, incident.severity, incident.services


def _is_only(change: IncidentChange, field: str) -> bool:
    """Return whether a change names one field alone."""
    named = replace(change, keeps_assumed=False)
    return named == replace(IncidentChange(), **{field: getattr(change, field)})


def _log_change(incident: Incident, action: str) -> None:
    log.info("incident_changed", id=incident.id, action=action, status=incident.status.value)


def _new_incident(opening: NewIncident, now: datetime) -> Incident:
    title = title_line(opening.title)
    start = opening.started_at or now
    check_start(start, now)
    if opening.share is not None:
        check_share(opening.share)
    share = opening.assumed_share if opening.share is None else opening.share
    share = opening.severity.assumed_share if share is None else share
    impact = Impact(start, None, share, assumed=opening.share is None)
    return Incident(
        id=0,
        key=opening.key,
        marker=f"governor-{hashlib.sha256(opening.key.encode()).hexdigest()[:16]}",
        title=title,
        severity=opening.severity,
        status=Status.INVESTIGATING,
        services=tuple(dict.fromkeys(opening.services)),
        private=opening.private,
        opened_by=opening.by,
        opened_at=now,
        acknowledged_at=now if opening.is_person else None,
        impacts=(impact,),
    )
