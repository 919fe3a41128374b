"""Carries out the step `shadows`: the pair of the rotation joins an incident, to look on and learn."""

from collections.abc import Mapping

from bot.clock import Clock
from bot.freezes.hold import GOVERNOR
from bot.incidents.incident import Incident, Role
from bot.incidents.lifecycle import IncidentLifecycle
from bot.incidents.ports import IncidentChannelPort, PairOf, ServingPair
from bot.incidents.records import incidents as records
from bot.incidents.records.channels import ChannelKind
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.workflow.archiving import StepBlockedError
from bot.store.database import Database


class Shadows:
    """Invites the pair of the rotation to an incident's channel, and gives both the role of a shadow."""

    def __init__(
        self,
        database: Database,
        channels: IncidentChannelPort,
        lifecycle: IncidentLifecycle,
        clock: Clock,
        *,
        pair_of: PairOf,
    ) -> None:
        self._database = database
        self._channels = channels
        self._lifecycle = lifecycle
        self._clock = clock
        self._pair_of = pair_of

    async def join(self, snapshot: IncidentSnapshot) -> None:
        """Let the pair join; nobody joins a private incident, or one that is over, unasked.

        Raises `ChannelError`, and `StepBlockedError` while there is no channel yet.
        """
        incident = snapshot.incident
        if incident.private or incident.status.is_over:
            return
        pair = await self._pair_of(incident.services)
        if not pair.people:
            return
        channel_id = snapshot.channel_id(ChannelKind.INCIDENT)
        if channel_id is None:
            raise StepBlockedError
        for person in pair.people:
            await self._channels.invite(channel_id, person)
        async with self._database.transaction() as connection:
            before = await records.read(connection, incident.id, lock=True)
            roles = with_shadows(before, pair)
            await self._lifecycle.give_roles_within(
                connection, incident.id, roles, by=GOVERNOR, now=self._clock.now()
            )


def with_shadows(incident: Incident, pair: ServingPair) -> Mapping[Role, str]:
    """Return the roles with the pair as shadows; whoever has a role already keeps it instead."""
    roles = dict(incident.roles)
    shadows = {Role.SHADOW_DEVELOPMENT: pair.development, Role.SHADOW_RELIABILITY: pair.reliability}
    for role, person in shadows.items():
        if person is not None and role not in roles and person not in incident.roles.values():
            roles[role] = person
    return roles
