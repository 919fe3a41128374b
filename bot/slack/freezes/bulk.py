"""`/freeze all` and `/freeze label team=shop`: holds on many services by one command, and their end."""

from collections.abc import Sequence

from bot.catalog.catalog import Service
from bot.catalog.selection import ServiceSelection
from bot.freezes.hold_registry import AlreadyRequestedError
from bot.slack.arguments import UsageError, reason
from bot.slack.blockkit.mrkdwn import Markup, code, markup, mention, when
from bot.slack.capabilities import Capabilities
from bot.slack.freezes.permission import require_permission
from bot.slack.freezes.selection import read_selection, selection_text
from bot.slack.interactions import Interaction, Reply, changed, say
from bot.slack.permissions import People
from bot.slack.typed.zones import end_reader


class BulkFreezes:
    """The forms of `/freeze` that are about many services."""

    def __init__(self, capabilities: Capabilities, people: People) -> None:
        self._status_reader = capabilities.status_reader
        self._holds = capabilities.bulk_holds
        self._clock = capabilities.clock
        self._people = people

    async def place(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        """Hold the services that the words name; raises `UsageError`."""
        selection, rest = read_selection(words, self._status_reader)
        services = self._meant(selection)
        reader = await end_reader(self._people, interaction.user, rest, self._clock.now())
        until, rest = reader.read(rest)
        why = reason(rest)
        if not why:
            raise UsageError(
                markup("Say why, so that everyone knows: {}.", code(_form(words, "for 4h REASON")))
            )
        request = await self._permitted(interaction, "freeze services")
        try:
            placed = await self._holds.place(
                services,
                by=interaction.user,
                reason=why,
                until=until.at if until else None,
                request=request,
                now=self._clock.now(),
            )
        except AlreadyRequestedError:
            return say(Markup("This request was carried out already."))
        end = markup(" until {}", when(until.at)) if until else Markup(" until somebody lifts it")
        done = markup(
            ":snowflake: {} frozen ({}) — by {}{}: {}",
            _count(len(placed)), selection_text(selection), mention(interaction.user), end, why,
        )  # fmt: skip
        return self._changed(interaction, services, done)

    async def lift(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        """Lift what people hold of the services that the words name; raises `UsageError`."""
        selection, rest = read_selection(words, self._status_reader)
        why = reason(rest)
        services = self._meant(selection)
        request = await self._permitted(interaction, "lift a freeze")
        try:
            lifted = await self._holds.lift(
                services,
                by=interaction.user,
                reason=why,
                request=request,
                now=self._clock.now(),
            )
        except AlreadyRequestedError:
            return say(Markup("This request was carried out already."))
        if not lifted:
            return say(
                markup("No person holds any of {}: there is nothing to lift.", selection_text(selection))
            )
        count = len({hold.service for hold in lifted})
        done = markup(
            "{} lifted what people held of {} ({}){}",
            mention(interaction.user), _count(count), selection_text(selection),
            markup(": {}", why) if why else Markup("."),
        )  # fmt: skip
        return self._changed(interaction, services, done)

    def _meant(self, selection: ServiceSelection) -> Sequence[Service]:
        services = self._status_reader.catalog.services
        return [services[name] for name in selection.of(services) if name in services]

    async def _permitted(self, interaction: Interaction, action: str) -> str:
        entries = self._status_reader.catalog.workspace.permissions.freeze
        return await require_permission(self._people, interaction, entries, action)

    def _changed(self, interaction: Interaction, services: Sequence[Service], done: Markup) -> Reply:
        announcements = self._status_reader.catalog.workspace.announcements
        return changed(interaction, (announcements, *(each.channel for each in services)), done)


def _count(count: int) -> str:
    return "1 service" if count == 1 else f"{count} services"


def _form(words: Sequence[str], rest: str) -> str:
    """Return the command as it should be typed, with what was named."""
    named = words[:1] if words[0].casefold() == "all" else words[:2]
    return f"/freeze {' '.join(named)} {rest}"
