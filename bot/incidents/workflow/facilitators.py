"""Names who leads a postmortem: one from each side, in turn."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select

from bot.catalog.catalog import Service
from bot.freezes.hold import GOVERNOR
from bot.incidents.audit_entries import difference, entry, facts, told, touched
from bot.incidents.incident import Incident, Role, next_in_turn
from bot.incidents.ports import IncidentChannelPort
from bot.incidents.records import incidents as records
from bot.store import audit
from bot.store.database import Database
from bot.store.tables.incidents import facilitator_turns


async def name(
    database: Database,
    rooms: IncidentChannelPort,
    incident: Incident,
    services: Sequence[Service],
    now: datetime,
) -> None:
    """Return the facilitators' roles of an incident that has none yet. Raises `RoomFault`.

    The sides are those of its first service that has such a team. A side that nobody is on stays open.
    """
    sides = {
        Role.FACILITATOR_DEVELOPMENT: [one.teams.development for one in services],
        Role.FACILITATOR_RELIABILITY: [one.teams.reliability for one in services],
    }
    teams = {role: next((team for team in found if team), None) for role, found in sides.items()}
    members = {team: await rooms.members(team) for team in teams.values() if team is not None}
    async with database.transaction() as connection:
        before = await records.read(connection, incident.id, lock=True)
        roles = dict(before.roles)
        for role, team in teams.items():
            if team is None or role in roles:
                continue
            query = select(facilitator_turns.c.person).where(facilitator_turns.c.team == team)
            last = (await connection.execute(query.with_for_update())).scalar_one_or_none()
            taken = set(roles.values()) & {roles.get(Role.FACILITATOR_DEVELOPMENT)}
            person = next_in_turn([one for one in members[team] if one not in taken], last)
            if person is None:
                continue
            roles[role] = person
            turn = database.insert(facilitator_turns).values(team=team, person=person)
            await connection.execute(
                turn.on_conflict_do_update(index_elements=["team"], set_={"person": person})
            )
        if roles == dict(before.roles):
            return
        after = touched(replace(before, roles=roles), GOVERNOR, now)
        await records.write(connection, before, after, now)
        for line in told(before, after, GOVERNOR, now):
            await records.note(connection, incident.id, line)
        was, became = difference(facts(before), facts(after))
        await audit.record(connection, entry("role_given", after, GOVERNOR, was, became), now)
