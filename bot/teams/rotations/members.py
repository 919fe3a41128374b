"""Who may serve in a rotation: the people of its two teams whose accounts can have a role."""

from collections.abc import Awaitable, Callable, Collection

from bot.catalog.rotation import Rotation
from bot.catalog.teams import TeamMembers
from bot.store.addresses import team_of
from bot.teams.rotations.plan import Side
from bot.teams.rotations.ports import Members

EligibleToServe = Callable[[str | None, Collection[str]], Awaitable[Collection[str]]]
"""Returns who of a Slack workspace (the main one for None) can have a role; raises `TeamUnknownError`."""


class EligibleMembers:
    """Reads the people of both teams, without bots and accounts that are closed."""

    def __init__(self, team_members: TeamMembers, eligible: EligibleToServe) -> None:
        self._team_members = team_members
        self._eligible = eligible

    async def of(self, rotation: Rotation) -> Members:
        """Return who may serve on each side; raises `TeamUnknownError`."""
        teams = {Side.DEVELOPMENT: rotation.development, Side.RELIABILITY: rotation.reliability}
        members = {}
        for side, team in teams.items():
            workspace = next((team_of(entry) for entry in team), None)
            members[side] = list(await self._eligible(workspace, await self._team_members.of(team)))
        return members
