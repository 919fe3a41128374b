"""`/digest`: look at a channel's digest, send it now, pause and resume it; the planning sheet."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.catalog.catalog import Catalog, Service
from bot.catalog.digests import DigestKind
from bot.slack.arguments import UsageError, name, reason, split
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, channel_link, code, join, markup, mention, when
from bot.slack.capabilities import Capabilities
from bot.slack.digests.messages import preview
from bot.slack.digests.planning_sheet import planning_reply
from bot.slack.incidents.access import IncidentAccess
from bot.slack.interactions import Interaction, Reply, changed, say
from bot.slack.permissions import Allowed, People, refusal
from bot.slack.typed.zones import end_reader
from bot.store.addresses import local
from bot.velocity.scope import UnknownScopeError, team_scope

SUBCOMMANDS = ("now", "pause", "resume", "planning")
_KINDS = {DigestKind.WEEKLY: "The digest", DigestKind.STAND_UP: "The stand-up line"}


@dataclass(frozen=True, slots=True)
class DigestChannel:
    """A channel whose digests a command is about, and the services that speak there."""

    address: str
    services: tuple[Service, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the services."""
        return tuple(service.name for service in self.services)


class DigestCommand:
    """The `/digest` command."""

    def __init__(self, capabilities: Capabilities, people: People) -> None:
        self._status_reader = capabilities.status_reader
        self._digests = capabilities.digests
        self._clock = capabilities.clock
        self._people = people
        self._access = IncidentAccess(capabilities, people)

    async def answer(self, interaction: Interaction) -> Reply:
        """Return a digest, or change when it comes; raises `UsageError`, `UnknownServiceError`."""
        words = split(interaction.text)
        rest = words[1:]
        match [word.casefold() for word in words[:1]]:
            case ["now"]:
                return await self._now(interaction, rest)
            case ["pause"]:
                return await self._pause(interaction, rest)
            case ["resume"]:
                return await self._resume(interaction, rest)
            case ["planning"]:
                return await self._planning(interaction, rest)
            case _:
                return await self._preview(interaction, words)

    async def _preview(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        channel = self._channel(interaction, words, "")
        contents = await self._digests.contents(channel.address, channel.names)
        return preview(contents, await self._notes(channel))

    async def _now(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        channel = self._channel(interaction, words, "now ")
        request = await self._require_permission(interaction, channel, "send a digest")
        contents = await self._digests.contents(channel.address, channel.names)
        if not await self._digests.send_now(contents, by=interaction.user, request=request):
            return say(Markup("The digest was sent by this request already."))
        where = channel_link(local(channel.address))
        return changed(interaction, [channel.address], markup("The digest is posted in {}.", where))

    async def _pause(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        end = await end_reader(self._people, interaction.user, words, self._clock.now())
        until, rest = end.read(words)
        named = [word for word in rest[:1] if self._is_service(word)]
        channel = self._channel(interaction, named, "pause ")
        request = await self._require_permission(interaction, channel, "pause digests")
        at = until.at if until else None
        why = reason(rest[len(named) :])
        if not await self._digests.pause(
            channel.address, at, by=interaction.user, reason=why, request=request
        ):
            return say(Markup("The digests were paused by this request already."))
        lasts = markup(" until {}", when(at)) if at else NOTHING
        note = markup("Next: {} lets them come again.", code("/digest resume"))
        who, where = mention(interaction.user), _where(channel)
        return _told(markup("{} paused the digests of {}{}.", who, where, lasts), note)

    async def _resume(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        channel = self._channel(interaction, words, "resume ")
        request = await self._require_permission(interaction, channel, "resume digests")
        if not await self._digests.resume(channel.address, by=interaction.user, request=request):
            return say(join("\n", [Markup("The digests are not paused."), *await self._notes(channel)]))
        done = markup("{} let the digests of {} come again.", mention(interaction.user), _where(channel))
        return _told(done, join("\n", await self._notes(channel)))

    async def _planning(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        catalog = self._status_reader.catalog
        if words and words[0].startswith("@"):
            try:
                team = team_scope(catalog, name(words[0]))
            except UnknownScopeError as error:
                near = f" Did you mean {error.near[0]}?" if error.near else ""
                raise UsageError(markup("No service names the team {}.{}", code(words[0]), near)) from error
            return planning_reply(
                await self._digests.planning(team.service_names), team.name, interaction.query
            )
        channel = self._channel(interaction, words, "planning ", only=True)
        of = words[0].casefold().removeprefix("#") if words else listed_names(channel)
        return planning_reply(await self._digests.planning(channel.names), of, interaction.query)

    def _channel(
        self, interaction: Interaction, words: Sequence[str], before: str, *, only: bool = False
    ) -> DigestChannel:
        """Return the channel of the service that is named, else that in which the command was typed.

        With `only`, it has no service but the named one.
        """
        catalog = self._status_reader.catalog
        if words:
            service = self._status_reader.find(name(words[0]))
            services = (service,) if only else _services_in(catalog, service.channel)
            return DigestChannel(service.channel, services)
        here = [catalog.services[service] for service in self._access.services_of_channel(interaction)]
        if not here:
            forms = code(f"/digest {before}SERVICE")
            raise UsageError(markup("No service speaks in this channel. Name one: {}.", forms))
        return DigestChannel(here[0].channel, tuple(here))

    def _is_service(self, word: str) -> bool:
        return word.casefold() in self._status_reader.catalog.services

    async def _notes(self, channel: DigestChannel) -> list[Markup]:
        """Return when the channel's digests come, or that they are paused."""
        pause = await self._digests.find_pause(channel.address)
        if pause is not None:
            until = markup(" until {}", when(pause.until)) if pause.until else NOTHING
            form = code("/digest resume")
            return [markup("Paused by {}{}. Next: {}.", mention(pause.by), until, form)]
        upcoming = await self._digests.upcoming(self._status_reader.catalog, channel.address)
        if not upcoming:
            return [markup("The policies switch the digests of {} off.", _where(channel))]
        return [
            markup("{} of {} comes {}.", _KINDS[schedule.kind], _where(channel), when(at))
            for schedule, at in upcoming
        ]

    async def _require_permission(self, interaction: Interaction, channel: DigestChannel, action: str) -> str:
        """Return the idempotency key if the person may; raises `UsageError` with who may.

        Those may who may freeze a service, and the teams of the channel's services.
        """
        teams = [local(entry) for service in channel.services for entry in service.teams.entries]
        freeze = self._status_reader.catalog.workspace.permissions.freeze
        entries = list(dict.fromkeys([*freeze, *teams]))
        permission = await self._people.check_permission(interaction.user, entries)
        if not isinstance(permission, Allowed):
            raise UsageError(refusal(permission, action))
        if interaction.request is None:
            raise UsageError(Markup("Type the command to change something."))
        return interaction.request


def listed_names(channel: DigestChannel) -> str:
    """Return what a channel's sheet is called: its service, or the channel where there are several."""
    return channel.names[0] if len(channel.names) == 1 else local(channel.address)


def _told(done: Markup, note: Markup) -> Reply:
    """Return the reply, which the channel sees: it hears no more, or again."""
    return say(join("\n", [done, note]), seen_by_channel=True)


def _services_in(catalog: Catalog, address: str) -> tuple[Service, ...]:
    return tuple(service for service in catalog.services.values() if service.channel == address)


def _where(channel: DigestChannel) -> Markup:
    return channel_link(local(channel.address))
