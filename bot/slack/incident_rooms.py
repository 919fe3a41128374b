"""The rooms of incidents in every Slack workspace: each address is handed to the one that it names."""

from collections.abc import Sequence
from dataclasses import replace

from bot.incidents.ports import ChannelInfo
from bot.slack.incidents.channels import IncidentChannels
from bot.slack.webapi.clients import ClientOf
from bot.store.addresses import local, qualified, team_of
from bot.store.outbox import MessageLocation, OutboxMessage


class WorkspaceIncidentChannels:
    """Carries out what incidents need. Names, ids, teams and people are addresses of the store."""

    def __init__(self, client_of: ClientOf) -> None:
        self._client_of = client_of
        self._rooms: dict[str | None, IncidentChannels] = {}

    async def make(self, name: str, *, private: bool) -> str:
        """Make a channel and answer its id."""
        return qualified(team_of(name), await self._in(name).make(local(name), private=private))

    async def find(self, name: str) -> ChannelInfo | None:
        """Return the channel of that name if the bot is in it."""
        found = await self._in(name).find(local(name))
        return found and replace(found, id=qualified(team_of(name), found.id))

    async def set_topic(self, channel_id: str, topic: str) -> None:
        """Say what the channel talks about."""
        await self._in(channel_id).set_topic(local(channel_id), topic)

    async def set_purpose(self, channel_id: str, purpose: str) -> None:
        """Say what the channel is for."""
        await self._in(channel_id).set_purpose(local(channel_id), purpose)

    async def invite(self, channel_id: str, who: str) -> None:
        """Bring a person, or all of a user group, into the channel."""
        await self._in(channel_id).invite(local(channel_id), local(who))

    async def archive(self, channel_id: str) -> None:
        """Archive a channel."""
        await self._in(channel_id).archive(local(channel_id))

    async def pin(self, place: MessageLocation) -> None:
        """Pin a message to its channel."""
        await self._in(place.channel_id).pin(replace(place, channel_id=local(place.channel_id)))

    async def rewrite(self, place: MessageLocation, message: OutboxMessage) -> None:
        """Put other words in place of the bot's own message."""
        await self._in(place.channel_id).rewrite(replace(place, channel_id=local(place.channel_id)), message)

    async def members(self, team: str) -> Sequence[str]:
        """Return who is in a user group (`@handle`); a person is a team of one."""
        return await self._in(team).members(local(team))

    def _in(self, address: str) -> IncidentChannels:
        team = team_of(address)
        if team not in self._rooms:
            self._rooms[team] = IncidentChannels(self._client_of(team))
        return self._rooms[team]
