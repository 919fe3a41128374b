"""Carries out the step `facilitators`: names who leads a postmortem, one from each team, in turn."""

import hashlib
from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.teams import Team
from bot.clock import Clock
from bot.freezes.hold import GOVERNOR
from bot.incidents.incident import Incident, Role, next_in_turn
from bot.incidents.lifecycle import IncidentLifecycle
from bot.incidents.ports import (
    EligibleForRoles,
    IncidentChannelPort,
    PairOf,
    ServingPair,
    nobody_serves,
)
from bot.incidents.records import incidents as records
from bot.incidents.workflow.channel_creation import team_of
from bot.store.database import Database
from bot.store.tables.incidents import facilitator_turns

_LONGEST_KEY = 100


class Facilitators:
    """Assigns the facilitators' roles of an incident; each team's members take turns."""

    def __init__(
        self,
        database: Database,
        channels: IncidentChannelPort,
        lifecycle: IncidentLifecycle,
        current: CurrentCatalog,
        clock: Clock,
        *,
        eligible: EligibleForRoles,
        pair_of: PairOf = nobody_serves,
    ) -> None:
        self._database = database
        self._channels = channels
        self._eligible = eligible
        self._pair_of = pair_of
        self._lifecycle = lifecycle
        self._current = current
        self._clock = clock

    async def assign(self, incident: Incident) -> None:
        """Assign the roles that nobody has yet; raises `ChannelError`.

        The pair that serves in the services' rotation goes first, unless the incident is private; then each
        team's members take turns. Each team is that of the first service that has one. A role whose team has
        no members stays open; who cannot have a role, such as a bot, is passed over.
        """
        services = self._current.catalog.services
        teams = _teams([services[name] for name in incident.services if name in services])
        workspace = team_of(self._current.workspace, incident)
        members = {
            team: list(await self._eligible(workspace, await self._channels.members(team)))
            for team in teams.values()
            if team
        }
        serving = await self._serving(workspace, incident)
        async with self._database.transaction() as connection:
            before = await records.read(connection, incident.id, lock=True)
            roles = await self._assign(connection, {**serving, **before.roles}, teams, members)
            await self._lifecycle.give_roles_within(
                connection, incident.id, roles, by=GOVERNOR, now=self._clock.now()
            )

    async def _serving(self, workspace: str | None, incident: Incident) -> Mapping[Role, str]:
        """Return the facilitators' roles as the pair of the rotation takes them."""
        pair = ServingPair() if incident.private else await self._pair_of(incident.services)
        eligible = await self._eligible(workspace, pair.people)
        named = {
            Role.FACILITATOR_DEVELOPMENT: pair.development,
            Role.FACILITATOR_RELIABILITY: pair.reliability,
        }
        return {role: person for role, person in named.items() if person is not None and person in eligible}

    async def _assign(
        self,
        connection: AsyncConnection,
        given: Mapping[Role, str],
        teams: Mapping[Role, Team],
        members: Mapping[Team, Sequence[str]],
    ) -> dict[Role, str]:
        """Return the given roles, and those that are free assigned to whoever's turn it is."""
        roles = dict(given)
        for role, team in teams.items():
            if not team or role in roles:
                continue
            key = _turn_key(team)
            query = select(facilitator_turns.c.person).where(facilitator_turns.c.team == key)
            last = (await connection.execute(query.with_for_update())).scalar_one_or_none()
            taken = set(roles.values()) & {roles.get(Role.FACILITATOR_DEVELOPMENT)}
            person = next_in_turn([member for member in members[team] if member not in taken], last)
            if person is None:
                continue
            roles[role] = person
            turn = self._database.insert(facilitator_turns).values(team=key, person=person)
            await connection.execute(
                turn.on_conflict_do_update(index_elements=["team"], set_={"person": person})
            )
        return roles


def _teams(services: Sequence[Service]) -> dict[Role, Team]:
    """Return the team of each facilitator's role, empty where no service has one."""
    teams = {
        Role.FACILITATOR_DEVELOPMENT: [service.teams.development for service in services],
        Role.FACILITATOR_RELIABILITY: [service.teams.reliability for service in services],
    }
    return {role: next((team for team in named if team), ()) for role, named in teams.items()}


def _turn_key(team: Team) -> str:
    """Return by what a team's turns are stored: the same for the same people, in whichever order."""
    key = " ".join(sorted(team))
    return key if len(key) <= _LONGEST_KEY else hashlib.sha256(key.encode()).hexdigest()
