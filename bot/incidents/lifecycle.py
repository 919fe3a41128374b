"""Opens incidents and changes them: timeline, audit row and next steps in one transaction each.

What is to be done in Slack and to holds is only written down here; `workflow/runner.py` carries it out.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.incidents import holds as own_holds
from bot.incidents.audit_entries import difference, entry, facts, told, touched
from bot.incidents.downtime import Impact
from bot.incidents.incident import (
    MOST_TITLE,
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
    with_impact,
)
from bot.incidents.postmortem import PostmortemPart
from bot.incidents.records import incidents as records
from bot.incidents.records import steps
from bot.incidents.records.steps import ChannelKind, StepName
from bot.incidents.timeline import EntryKind, TimelineEntry
from bot.store import audit
from bot.store.database import Database
from bot.store.tables.incidents import incidents

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NewIncident:
    """What somebody says who opens an incident.

    `key` names the incident for whoever opens it; `share` None means that nobody said how bad it is, and
    all requests are assumed to fail. `is_person`: a person opened it, who thereby knows of it.
    """

    key: str
    title: str
    severity: Severity
    services: tuple[str, ...]
    by: str
    started_at: datetime | None = None
    share: float | None = None
    private: bool = False
    alert_group: str | None = None
    is_person: bool = False


@dataclass(frozen=True, slots=True)
class OpenedIncident:
    """The incident, and whether it was opened just now or had been there."""

    incident: Incident
    is_new: bool


Compute = Callable[[Incident], Incident]


class IncidentLifecycle:
    """The one way to change incidents."""

    def __init__(
        self,
        database: Database,
        current: CurrentCatalog,
    ) -> None:
        self._database = database
        self._current = current

    async def open(self, opening: NewIncident, now: datetime) -> OpenedIncident:
        """Open an incident, or answer the one that this key has opened. Raises `IllegalChangeError`."""
        async with self._database.transaction() as connection:
            opened = await self.open_within(connection, opening, now)
        if opened.is_new:
            self._after(opened.incident, "opened")
        return opened

    async def open_within(
        self, connection: AsyncConnection, opening: NewIncident, now: datetime
    ) -> OpenedIncident:
        """Do as `open` within the caller's transaction."""
        incident = _beginning(opening, now)
        values = records.row_of(incident) | {"updated_at": now, "alert_group": opening.alert_group}
        added = (
            self._database.insert(incidents).values(values).on_conflict_do_nothing().returning(incidents.c.id)
        )
        id_ = (await connection.execute(added)).scalar_one_or_none()
        if id_ is None:
            known = await records.read_by_key(connection, opening.key)
            if known is None:
                raise LookupError(f"the incident with key {opening.key} is not to be seen")
            return OpenedIncident(known, is_new=False)
        incident = replace(incident, id=id_)
        await records.add(connection, incident)
        said = f"{incident.severity} opened: {incident.title}"
        await records.note(connection, id_, TimelineEntry(now, EntryKind.OPENED, said, opening.by))
        await audit.record(connection, entry("opened", incident, opening.by, after=facts(incident)), now)
        await steps.open_room(connection, id_, ChannelKind.INCIDENT, self._people(incident))
        await self._plan_holds(connection, incident, held=False)
        return OpenedIncident(incident, is_new=True)

    async def change(self, id_: int, change: IncidentChange, *, by: str, now: datetime) -> Incident:
        """Change status, severity, times or impact. Raises `UnknownIncident`, `IllegalChangeError`."""
        return await self._change(id_, "changed", lambda known: changed(known, change, now), by, now)

    async def record_impact(self, id_: int, impact: Impact, *, by: str, now: datetime) -> Incident:
        """State how bad it was from when to when. Raises `UnknownIncident`, `IllegalChangeError`."""
        return await self._change(
            id_, "impact_stated", lambda known: with_impact(known, impact, now), by, now
        )

    async def assign(self, id_: int, role: Role, person: str | None, *, by: str, now: datetime) -> Incident:
        """Return a role to a person, or to nobody. Raises `UnknownIncident`."""

        def assigned(known: Incident) -> Incident:
            others = {one: who for one, who in known.roles.items() if one is not role}
            return replace(known, roles=others | ({role: person} if person else {}))

        return await self._change(id_, "role_given", assigned, by, now)

    async def classify(self, id_: int, cause: CauseClass, *, by: str, now: datetime) -> Incident:
        """Say what class of cause it had. Raises `UnknownIncident`."""
        return await self._change(id_, "classified", lambda known: replace(known, cause=cause), by, now)

    async def write_part(
        self, id_: int, part: PostmortemPart, text: str, *, by: str, now: datetime
    ) -> Incident:
        """Write a part of the postmortem's document. Raises `UnknownIncident`, `IllegalChangeError`."""

        def written(known: Incident) -> Incident:
            if known.finished_at is not None:
                raise IllegalChangeError("document", "the postmortem is closed; open it again to change it")
            return replace(known, document={**known.document, part.value: text})

        return await self._change(id_, "document_written", written, by, now)

    async def snooze(self, id_: int, until: datetime, *, by: str, now: datetime) -> Incident:
        """Send no reminders until a time. Raises `UnknownIncident`."""
        return await self._change(id_, "snoozed", lambda known: replace(known, snoozed_until=until), by, now)

    async def request_postmortem(self, id_: int, *, by: str, now: datetime) -> Incident:
        """Open the postmortem's channel; asking twice changes nothing. Raises `UnknownIncident`.

        One that was closed is opened again.
        """

        def requested(known: Incident) -> Incident:
            return replace(known, postmortem_at=known.postmortem_at or now, finished_at=None)

        return await self._change(id_, "postmortem_requested", requested, by, now)

    async def note(
        self,
        id_: int,
        text: str,
        *,
        by: str,
        now: datetime,
        at: datetime | None = None,
        mark: str | None = None,
    ) -> bool:
        """Put words onto the timeline, once for each mark; return whether they are new.

        A mark makes it a pinned message, which `unnote` takes off again. Raises `UnknownIncident`.
        """
        kind = EntryKind.PIN if mark else EntryKind.NOTE
        async with self._database.transaction() as connection:
            incident = await records.read(connection, id_, lock=True)
            if mark is not None and await records.has_mark(connection, id_, mark):
                return False
            await records.note(connection, id_, TimelineEntry(at or now, kind, text, by, mark))
            after = touched(incident, by, now)
            await records.write(connection, incident, after, now)
            await audit.record(connection, entry("noted", after, by, after={"kind": kind.value}), now)
        self._after(after, "noted")
        return True

    async def unnote(self, id_: int, mark: str, *, by: str, now: datetime) -> bool:
        """Take a pinned message off the timeline; return whether it was there. Raises `UnknownIncident`."""
        async with self._database.transaction() as connection:
            incident = await records.read(connection, id_, lock=True)
            if not await records.unnote(connection, id_, mark):
                return False
            after = touched(incident, by, now)
            await records.write(connection, incident, after, now)
            await audit.record(connection, entry("unnoted", after, by, before={"kind": "pin"}), now)
        self._after(after, "unnoted")
        return True

    async def change_within(
        self, connection: AsyncConnection, id_: int, action: str, compute: Compute, *, by: str, now: datetime
    ) -> Incident:
        """Change an incident within the caller's transaction."""
        before = await records.read(connection, id_, lock=True)
        computed = compute(before)
        if computed == before:
            return before
        after = touched(computed, by, now)
        await records.write(connection, before, after, now)
        for line in told(before, after, by, now):
            await records.note(connection, id_, line)
        was, became = difference(facts(before), facts(after))
        await audit.record(connection, entry(action, after, by, was, became), now)
        await self._plan_holds(connection, after, held=before.wants_hold)
        if before.private is not after.private:
            await own_holds.reword(connection, after)
        if before.postmortem_at is None and after.postmortem_at is not None:
            await steps.open_room(connection, id_, ChannelKind.POSTMORTEM, self._people(after))
        if steps.wanted_rooms(before) != steps.wanted_rooms(after):
            await self.reopen_within(connection, after, was_closed=before.finished_at is not None)
        return after

    async def reopen_within(
        self, connection: AsyncConnection, incident: Incident, *, was_closed: bool = True
    ) -> None:
        """See to it that the rooms that are wanted can be talked in, within the caller's transaction."""
        rooms = await steps.read_rooms(connection, incident.id)
        for kind in steps.wanted_rooms(incident):
            room = rooms.get(kind)
            if room is not None and room.is_archived:
                await steps.reopen_room(connection, room, self._people(incident))
        for room in rooms.values() if was_closed and incident.finished_at is None else ():
            await steps.keep_room(connection, room)

    async def _change(self, id_: int, action: str, compute: Compute, by: str, now: datetime) -> Incident:
        async with self._database.transaction() as connection:
            after = await self.change_within(connection, id_, action, compute, by=by, now=now)
        self._after(after, action)
        return after

    async def _plan_holds(self, connection: AsyncConnection, incident: Incident, *, held: bool) -> None:
        if incident.wants_hold is not held:
            name = StepName.HOLD if incident.wants_hold else StepName.LIFT
            await steps.plan(
                connection, incident.id, ChannelKind.INCIDENT, [(name, one) for one in incident.services]
            )

    def _people(self, incident: Incident) -> Sequence[str]:
        """Return whom to bring together: both teams of each service, and whoever opened it."""
        known = self._current.catalog.services
        return invited([known[name] for name in incident.services if name in known], incident.opened_by)

    def _after(self, incident: Incident, action: str) -> None:
        log.info("incident", id=incident.id, action=action, status=incident.status.value)


def invited(services: Iterable[Service], asker: str) -> Sequence[str]:
    """Return teams and people, each once. An asker who is no person in Slack (an API token) stays out."""
    teams = [team for one in services for team in (one.teams.development, one.teams.reliability) if team]
    is_person = asker[:1] in {"U", "W"} and asker.isalnum() and asker.isupper()
    return list(dict.fromkeys([*teams, *([asker] if is_person else [])]))


def _beginning(opening: NewIncident, now: datetime) -> Incident:
    title = " ".join(opening.title.split())[:MOST_TITLE]
    if not title:
        raise IllegalChangeError("title", "an incident needs a title")
    start = opening.started_at or now
    check_start(start, now)
    if opening.share is not None:
        check_share(opening.share)
    impact = Impact(
        start, None, 1.0 if opening.share is None else opening.share, assumed=opening.share is None
    )
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
