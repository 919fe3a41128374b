"""Who is in a team: people as the policies list them, and the members of user groups as Slack says."""

from collections.abc import Iterable, Sequence

from bot.catalog.teams import TeamUnknownError, each_once
from bot.slack.webapi.clients import ClientOf
from bot.slack.webapi.errors import RateLimitedError, SlackError, SlackRefusedError
from bot.slack.webapi.user_groups import UserGroups
from bot.store.addresses import local, team_of


class SlackTeamMembers:
    """Reads the people of teams in every Slack workspace; each entry names its workspace.

    User groups are cached for some minutes.
    """

    def __init__(self, client_of: ClientOf) -> None:
        self._client_of = client_of
        self._user_groups: dict[str | None, UserGroups] = {}

    async def of(self, team: Iterable[str]) -> Sequence[str]:
        """Return the ids of a team's people, each once, in order; raises `TeamUnknownError`."""
        try:
            return await self.read(team)
        except SlackError as fault:
            after_s = fault.retry_after_s if isinstance(fault, RateLimitedError) else None
            raise TeamUnknownError(fault.error, retryable=fault.retryable, after_s=after_s) from fault

    async def read(self, team: Iterable[str]) -> Sequence[str]:
        """Return what `of` does; raises `SlackError`."""
        people: list[str] = []
        for entry in team:
            people += await self._group(entry) if local(entry).startswith("@") else [local(entry)]
        return each_once(people)

    async def _group(self, entry: str) -> Sequence[str]:
        workspace = team_of(entry)
        if workspace not in self._user_groups:
            self._user_groups[workspace] = UserGroups(self._client_of(workspace))
        group = await self._user_groups[workspace].find(local(entry))
        if group is None:
            raise SlackRefusedError("no_such_group")
        return sorted(group.members)
