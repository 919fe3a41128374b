"""The contents of the home tab: a workspace's status, and what of it concerns the person who opened the tab.

Reads what `/budget`, `/incident list`, `/action list` and `/flag show` read; `view.py` draws it.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from bot.clock import Clock
from bot.flags.ownership import owners
from bot.flags.ramps.control import RampControl
from bot.flags.records.ramps import StoredRamp
from bot.freezes.status import ServiceStatus
from bot.incidents.action import Action
from bot.incidents.incident import Incident
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.visibility import OPERATOR, Viewer
from bot.slack.incidents.access import IncidentAccess
from bot.slack.incidents.action_command import by_urgency
from bot.slack.permissions import UNKNOWN_ZONE, Allowed, Zone
from bot.store.addresses import local
from bot.velocity.goals.progress import GoalProgress
from bot.velocity.goals.reader import GoalReader

_MOST_READ = 200


@dataclass(frozen=True, slots=True)
class WorkspaceStatus:
    """The status of a workspace, the same for everybody."""

    statuses: Sequence[ServiceStatus]
    incidents: Sequence[IncidentSnapshot]
    actions: Sequence[Action]
    ramps: Sequence[StoredRamp]
    goals: Sequence[GoalProgress] = ()


@dataclass(frozen=True, slots=True)
class Contents:
    """What one person sees, the most urgent first, in their time zone.

    `is_all` means that all services are shown, because the person belongs to no team; `others` are those of
    other teams.
    """

    statuses: Sequence[ServiceStatus]
    is_all: bool = False
    others: Sequence[ServiceStatus] = ()
    incidents: Sequence[IncidentSnapshot] = ()
    actions: Sequence[Action] = ()
    ramps: Sequence[StoredRamp] = ()
    goals: Sequence[GoalProgress] = ()
    zone: Zone = UNKNOWN_ZONE


class HomeContents:
    """Collects contents: `workspace_status` once for everybody, then `for_person` for each."""

    def __init__(self, access: IncidentAccess, ramps: RampControl, goals: GoalReader, clock: Clock) -> None:
        self._access = access
        self._ramps = ramps
        self._goals = goals
        self._clock = clock

    async def workspace_status(self) -> WorkspaceStatus:
        """Return the status of the workspace's services."""
        access, catalog = self._access, self._access.status_reader.catalog
        return WorkspaceStatus(
            await access.status_reader.services(),
            # All, of which `for_person` shows each what they may see.
            await access.snapshots.list(OPERATOR, unresolved=True, limit=_MOST_READ),
            [one for one in await access.actions.of_service(None, OPERATOR) if catalog.shows(one.service)],
            [one for one in await self._ramps.running() if catalog.shows_flag(one.ramp.flag)],
            await self._goals.current(catalog, self._clock.now()),
        )

    async def for_person(self, user: str, status: WorkspaceStatus) -> Contents:
        """Return what a person sees of it."""
        own_services = [service for service in status.statuses if await self._is_own(user, service)]
        shown = own_services or status.statuses
        services = {service.service.name for service in shown}
        incidents = [
            snapshot for snapshot in status.incidents if self._concerns(user, snapshot.incident, services)
        ]
        return Contents(
            shown,
            is_all=not own_services,
            others=[service for service in status.statuses if service.service.name not in services],
            incidents=sorted(
                incidents, key=lambda snapshot: (snapshot.incident.severity, snapshot.incident.opened_at)
            ),
            # The owner of an action knows its text, even if its incident is private.
            actions=by_urgency([action for action in status.actions if action.owner == user]),
            ramps=[stored for stored in status.ramps if not services.isdisjoint(self._owners(stored))],
            goals=[each for each in status.goals if not services.isdisjoint(each.goal.services)],
            zone=await self._access.people.zone(user),
        )

    async def _is_own(self, user: str, status: ServiceStatus) -> bool:
        entries = [local(entry) for entry in status.service.teams.entries]
        return isinstance(await self._access.people.find_entry(user, entries), Allowed) if entries else False

    def _concerns(self, user: str, incident: Incident, services: AbstractSet[str]) -> bool:
        """Return whether an incident affects a person's services or is their work, and they may see it."""
        works_on_it = user == incident.opened_by or user in incident.roles.values()
        return self._access.may_see(incident, Viewer(user)) and (
            works_on_it or not incident.services or not services.isdisjoint(incident.services)
        )

    def _owners(self, stored: StoredRamp) -> set[str]:
        return {service.name for service in owners(self._access.status_reader.catalog, stored.ramp.flag)}
