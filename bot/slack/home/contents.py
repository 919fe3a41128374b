"""What the home tab shows of a workspace, and which of it concerns the person who looks.

Reads what `/budget`, `/incident list`, `/action list` and `/flag show` read; draws nothing.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from bot.flags.ownership import owners
from bot.flags.ramps.control import RampControl
from bot.flags.records.ramps import StoredRamp
from bot.freezes.status import ServiceStatus
from bot.incidents.action import Action
from bot.incidents.incident import Incident
from bot.incidents.ports import IncidentSnapshot
from bot.slack.incidents.access import IncidentAccess
from bot.slack.incidents.action_command import by_urgency
from bot.slack.permissions import UNKNOWN_ZONE, Allowed, Zone
from bot.store.addresses import local

_MOST_READ = 200


@dataclass(frozen=True, slots=True)
class WorkspaceStatus:
    """How everything stands in a workspace, whoever looks."""

    statuses: Sequence[ServiceStatus]
    incidents: Sequence[IncidentSnapshot]
    actions: Sequence[Action]
    ramps: Sequence[StoredRamp]


@dataclass(frozen=True, slots=True)
class Contents:
    """What one person sees, the most urgent first; `zone` is theirs.

    `is_all` says that the services are all there are, as the person belongs to no team.
    """

    statuses: Sequence[ServiceStatus]
    is_all: bool = False
    incidents: Sequence[IncidentSnapshot] = ()
    actions: Sequence[Action] = ()
    ramps: Sequence[StoredRamp] = ()
    zone: Zone = UNKNOWN_ZONE


class HomeContents:
    """Gathers contents: `standing` once for everybody, then `of` for each."""

    def __init__(self, access: IncidentAccess, ramps: RampControl) -> None:
        self._access = access
        self._ramps = ramps

    async def standing(self) -> WorkspaceStatus:
        """Return what stands in the services of this workspace."""
        access, catalog = self._access, self._access.status_reader.catalog
        return WorkspaceStatus(
            await access.status_reader.services(),
            await access.incidents.snapshots.list(unresolved=True, limit=_MOST_READ),
            [one for one in await access.incidents.actions.of_service() if catalog.shows(one.service)],
            [one for one in await self._ramps.running() if catalog.shows_flag(one.ramp.flag)],
        )

    async def of(self, user: str, standing: WorkspaceStatus) -> Contents:
        """Return what a person sees of it."""
        mine = [one for one in standing.statuses if await self._is_mine(user, one)]
        shown = mine or standing.statuses
        services = {one.service.name for one in shown}
        incidents = [one for one in standing.incidents if self._concerns(user, one.incident, services)]
        return Contents(
            shown,
            is_all=not mine,
            incidents=sorted(incidents, key=lambda one: (one.incident.severity, one.incident.opened_at)),
            # Whoever owns an action was told what it says, though its incident be private.
            actions=by_urgency([one for one in standing.actions if one.owner == user]),
            ramps=[one for one in standing.ramps if not services.isdisjoint(self._owners(one))],
            zone=await self._access.people.zone(user),
        )

    async def _is_mine(self, user: str, status: ServiceStatus) -> bool:
        teams = status.service.teams
        entries = [local(team) for team in (teams.development, teams.reliability) if team]
        return (
            isinstance(await self._access.people.check_permission(user, entries), Allowed)
            if entries
            else False
        )

    def _concerns(self, user: str, incident: Incident, services: AbstractSet[str]) -> bool:
        """Return whether an incident is one of the person's services or work, and theirs to see."""
        works_on_it = user == incident.opened_by or user in incident.roles.values()
        return self._access.may_see(incident, user) and (
            works_on_it or not incident.services or not services.isdisjoint(incident.services)
        )

    def _owners(self, kept: StoredRamp) -> set[str]:
        return {one.name for one in owners(self._access.status_reader.catalog, kept.ramp.flag)}
