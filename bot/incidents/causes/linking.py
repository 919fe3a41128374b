"""Links deployments to the incidents that they caused: as people say, and as rollbacks and reverts show.

What a person says of an incident stands: nothing that is detected later changes it. Each change is on the
timeline and in the audit log, in one transaction with the link.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.current import CurrentCatalog
from bot.deployments.deployment import DeploymentState, short_commit
from bot.deployments.judgement import ATTRIBUTE_WITHIN, NO_DEPLOYMENT, DeploymentLink, LinkMeans, restorations
from bot.deployments.rework import is_of_undoing
from bot.deployments.undo_detector import DetectedUndo
from bot.freezes.hold import GOVERNOR
from bot.incidents.audit_entries import audit_entry, next_version
from bot.incidents.causes import records as causes
from bot.incidents.causes.cause import HOW, CausingDeployment, IncidentCauses, describe, is_explained_by_undo
from bot.incidents.incident import IllegalChangeError, Incident
from bot.incidents.records import incidents as records
from bot.incidents.timeline import EntryKind, TimelineEntry
from bot.store import audit
from bot.store.database import Database
from bot.store.tables.deployments import deployments

AROUND = timedelta(minutes=30)
"""How long after its recorded start a deployment may still have caused an incident."""


@dataclass(frozen=True, slots=True)
class UndoneFlag:
    """A flag, with its environment, that was turned back; `changed_at` are its changes before that."""

    service: str
    flag: str
    changed_at: tuple[datetime, ...]
    means: LinkMeans
    by: str


class CauseEvent(StrEnum):
    """What the audit log calls it that something became known of a cause."""

    CAUSED_BY = "caused_by"
    CLEARED = "cleared_deployments"
    TAKEN_BACK = "cause_taken_back"
    FOUND = "cause_found"


@dataclass(frozen=True, slots=True)
class _Said:
    """What became known of a cause, for the timeline and the audit log."""

    action: CauseEvent
    text: str
    deployment: str | None
    by: str
    at: datetime


class CauseLinks:
    """The one way to say what caused an incident."""

    def __init__(self, database: Database, current: CurrentCatalog) -> None:
        self._database = database
        self._current = current

    async def of(self, connection: AsyncConnection, incident: Incident) -> IncidentCauses:
        """Return what is known of the causes of an incident."""
        within = {service: self._attribute_within(service) for service in incident.services}
        return await causes.read_causes(connection, incident, within)

    async def candidates(self, incident: Incident) -> Sequence[CausingDeployment]:
        """Return the deployments that may have caused an incident, the newest first.

        Those that began shortly after it are among them: when it began is often only known roughly.
        """
        until = incident.started_at + AROUND
        async with self._database.reading() as connection:
            return await causes.read_candidates(connection, incident.services, until)

    async def blame(self, id_: int, deployment: str, *, by: str, now: datetime) -> bool:
        """Record that a deployment, by its id, caused an incident, and nothing else did.

        `NO_DEPLOYMENT` says that none did. Return whether that is new. Raises `UnknownIncidentError`, and
        `IllegalChangeError` for a deployment of other services and for an incident that counts for nothing.
        """
        async with self._database.transaction() as connection:
            incident = await _counted(connection, id_)
            if deployment == NO_DEPLOYMENT:
                services: Sequence[str] = incident.services or (NO_DEPLOYMENT,)
            else:
                services = await causes.services_deployed(connection, deployment, incident.services)
            if not services:
                raise IllegalChangeError("deployment", "no such deployment of its services is known")
            wanted = {(service, deployment) for service in services}
            links = [link for link in await causes.read_links(connection, id_) if not link.is_removed]
            said = {(l_.service, l_.deployment) for l_ in links if l_.means is LinkMeans.PERSON}
            if said == wanted and len(links) == len(said):
                return False
            for link in links:
                if (link.service, link.deployment) not in wanted:
                    await causes.remove_link(connection, link, by, now)
            for service in services:
                link = DeploymentLink(service, deployment, id_, LinkMeans.PERSON, by, now)
                await causes.set_link(self._database, connection, link)
            action, text = CauseEvent.CLEARED, "no deployment caused it"
            found = await causes.find_deployment(connection, deployment) if deployment else None
            if found is not None:
                action, text = CauseEvent.CAUSED_BY, f"caused by {describe(found, services)}"
            await _note(connection, incident, _Said(action, text, deployment, by, now))
        return True

    async def forget(self, id_: int, *, by: str, now: datetime) -> bool:
        """Take back what was said of the cause of an incident; return whether there was anything.

        What is near in time is suspected again. Raises `UnknownIncidentError`, `IllegalChangeError`.
        """
        async with self._database.transaction() as connection:
            incident = await _counted(connection, id_)
            links = [link for link in await causes.read_links(connection, id_) if not link.is_removed]
            for link in links:
                await causes.remove_link(connection, link, by, now)
            if not links:
                return False
            text = "what caused it is open again"
            await _note(connection, incident, _Said(CauseEvent.TAKEN_BACK, text, None, by, now))
        return True

    async def link_undone(self, connection: AsyncConnection, undo: DetectedUndo, now: datetime) -> None:
        """Link a deployment that was undone to the incidents that it was undone for."""
        longest = self._attribute_within(undo.service)
        for incident in await records.read_many(connection, service=undo.service):
            if is_explained_by_undo(
                incident,
                deployed_at=undo.started_at,
                undoing_began_at=undo.undoing_started_at,
                undone_at=undo.undone_at,
                attribute_within=longest,
            ):
                link = DeploymentLink(undo.service, undo.deployment, incident.id, undo.means, GOVERNOR, now)
                await self._add(connection, incident, link, f"caused by {short_commit(undo.commit)}", now)

    async def unlink_undone(
        self, connection: AsyncConnection, service: str, deployment: str, now: datetime
    ) -> None:
        """Take back what was linked since a deployment seemed to be undone, until others became known."""
        for link in await causes.drop_found(connection, service, deployment):
            incident = await records.read(connection, link.incident_id, lock=True)
            said = _Said(CauseEvent.TAKEN_BACK, "what caused it is open again", deployment, GOVERNOR, now)
            await _note(connection, incident, said)

    async def link_flag(self, connection: AsyncConnection, undone: UndoneFlag, now: datetime) -> None:
        """Link a flag's change to the open incidents of its service, since it was undone meanwhile."""
        longest = self._attribute_within(undone.service)
        for incident in await records.read_many(connection, unresolved=True, service=undone.service):
            since = [incident.started_at - changed_at for changed_at in undone.changed_at]
            if incident.status.is_active and any(timedelta() <= each <= longest for each in since):
                link = DeploymentLink(undone.service, undone.flag, incident.id, undone.means, undone.by, now)
                await self._add(connection, incident, link, f"caused by the flag {undone.flag}", now)

    async def follow_undos(
        self, connection: AsyncConnection, incident: Incident, services: Collection[str], now: datetime
    ) -> None:
        """Link an incident to what was undone for it already, before anybody opened or changed it."""
        rows = deployments.c
        for service in services:
            undoing = await connection.execute(
                select(deployments).where(
                    rows.service == service,
                    rows.undoes.is_not(None),
                    rows.state == DeploymentState.SUCCEEDED.value,
                    rows.production,
                )
            )
            found = undoing.all()
            restoring = restorations({row.deployment: row.undoes for row in found})
            for row in found:
                if row.deployment not in restoring or row.finished_at < incident.started_at:
                    continue
                undone = await causes.find_deployment(connection, row.undoes)
                if undone is None or not is_explained_by_undo(
                    incident,
                    deployed_at=undone.started_at,
                    undoing_began_at=row.started_at,
                    undone_at=row.finished_at,
                    attribute_within=self._attribute_within(service),
                ):
                    continue
                means = LinkMeans.ROLLBACK if is_of_undoing(row.rework) else LinkMeans.REVERT
                link = DeploymentLink(service, row.undoes, incident.id, means, GOVERNOR, now)
                text = f"caused by {undone.short_commit}"
                await self._add(connection, incident, link, text, now, is_changed=False)

    async def _add(
        self,
        connection: AsyncConnection,
        incident: Incident,
        link: DeploymentLink,
        text: str,
        now: datetime,
        *,
        is_changed: bool = True,
    ) -> None:
        """Store a link that was found, unless a person has said what caused the incident."""
        known = await causes.read_links(connection, incident.id)
        if any(other.means is LinkMeans.PERSON for other in known):
            return
        if not await causes.add_link(self._database, connection, link):
            return
        told = f"{text}: {HOW[link.means]}"
        said = _Said(CauseEvent.FOUND, told, link.deployment, link.by, now)
        await _note(connection, incident, said, is_changed=is_changed)

    def _attribute_within(self, service: str) -> timedelta:
        known = self._current.catalog.services.get(service)
        return ATTRIBUTE_WITHIN if known is None else known.error_budget_policy.attribute_within


async def _counted(connection: AsyncConnection, id_: int) -> Incident:
    """Return an incident for update; raises `IllegalChangeError` for one that counts for nothing."""
    incident = await records.read(connection, id_, lock=True)
    if incident.merged_into is not None:
        why = f"it was merged into incident {incident.merged_into}; change that one, or reopen this one"
        raise IllegalChangeError("deployment", why)
    if not incident.status.counts:
        raise IllegalChangeError("deployment", f"the incident is {incident.status}; reopen it first")
    return incident


async def _note(
    connection: AsyncConnection, incident: Incident, said: _Said, *, is_changed: bool = True
) -> None:
    """Put what is known of the cause on the timeline and in the audit log; the card follows a new version."""
    entry = TimelineEntry(said.at, EntryKind.CAUSE, said.text, said.by)
    await records.add_entry(connection, incident.id, entry)
    after = incident
    if is_changed:
        # More than one link may be found in a transaction.
        current = await records.read(connection, incident.id, lock=True)
        after = next_version(current, said.by, said.at)
        await records.write(connection, current, after, said.at)
    audited = audit_entry(said.action, after, said.by, after={"deployment": said.deployment})
    await audit.record(connection, audited, said.at)
