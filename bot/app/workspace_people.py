"""The people of each Slack workspace: their names, and who of them may have a part in something."""

from collections.abc import Callable, Collection, Mapping, Sequence

from bot.catalog.current import CurrentCatalog
from bot.slack.permissions import AccountUnknown, People, Undetermined
from bot.slack.webapi.clients import ClientOf


class WorkspacePeople:
    """Asks Slack about people, each workspace (the main one for None) by its own client."""

    def __init__(self, client_of: ClientOf, current: CurrentCatalog) -> None:
        self._client_of = client_of
        self._current = current
        self._people: dict[str | None, People] = {}

    async def names(self, team: str | None, users: Collection[str]) -> Mapping[str, str]:
        """Return the display names of people, by their ids."""
        return await self.of(team).names(users)

    async def eligible(
        self, team: str | None, users: Collection[str], unknown: Callable[[], Exception]
    ) -> Collection[str]:
        """Return those whose accounts may have a part; raises `unknown` where Slack does not say."""
        people, eligible = self.of(team), []
        for user in users:
            denial = await people.check_account(user)
            if isinstance(denial, AccountUnknown | Undetermined):
                raise unknown()
            if denial is None:
                eligible.append(user)
        return eligible

    def of(self, team: str | None) -> People:
        """Return the people of a workspace, each time the same."""
        if team not in self._people:
            self._people[team] = People(self._client_of(team), lambda: self._guests(team))
        return self._people[team]

    def _guests(self, team: str | None) -> Sequence[str]:
        workspace = self._current.workspace if team is None else self._current.workspace.in_team(team)
        return workspace.permissions.guests if workspace is not None else ()
