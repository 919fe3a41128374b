"""`/velocity`: the five delivery measures of a service or a team, beside its budgets and what both cost."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from bot.catalog.window import Span
from bot.slack.arguments import UsageError, name, split, unknown
from bot.slack.blockkit.mrkdwn import code, markup
from bot.slack.capabilities import Capabilities
from bot.slack.incidents.access import IncidentAccess
from bot.slack.interactions import Interaction, Reply
from bot.slack.typed.lengths import read_length
from bot.slack.velocity.goals import goals_reply
from bot.slack.velocity.reply import VelocityView, velocity_reply
from bot.suggestions import suggest
from bot.velocity.reader import DEFAULT_SPAN
from bot.velocity.scope import UnknownScopeError, VelocityScope, all_services, find_scope, service_scope

SHORTEST: Final = timedelta(days=1)
LONGEST: Final = timedelta(days=366)
_GOALS = frozenset({"goal", "goals"})
_FORM = code("/velocity SERVICE 90d")
_PREPOSITIONS = frozenset({"last", "since", "the", "for"})


class VelocityCommand:
    """The `/velocity` command."""

    def __init__(self, capabilities: Capabilities, access: IncidentAccess) -> None:
        self._velocity = capabilities.velocity
        self._status_reader = capabilities.status_reader
        self._clock = capabilities.clock
        self._access = access

    async def answer(self, interaction: Interaction) -> Reply:
        """Return the measures of what is named; raises `UsageError`.

        Without a name they are those of the service whose channel this is, elsewhere of all services.
        """
        words = split(interaction.text)
        if words and words[0].casefold() in _GOALS:
            return await self._goals(words[1:])
        named, length = _read(words)
        scope = self._scope(named) if named else self._scope_here(interaction)
        now = self._clock.now()
        span = Span(now - length, now)
        velocity = await self._velocity.reader.velocity(scope, span)
        statuses = [await self._status_reader.service(each) for each in scope.service_names]
        budgets = {status.service.name: status.budgets for status in statuses}
        costs = await self._velocity.costs.costs(scope, span, budgets)
        view = VelocityView(velocity, costs, statuses, self._status_reader.catalog, self._velocity.docs_url)
        return velocity_reply(view)

    async def _goals(self, words: Sequence[str]) -> Reply:
        """Return the goals that are under way, or those that are named."""
        catalog, now = self._status_reader.catalog, self._clock.now()
        if not words:
            return goals_reply(await self._velocity.goals.current(catalog, now))
        named = name(words[0])
        goal = catalog.goals.get(named)
        if goal is None:
            instead = markup("{} shows those under way.", code("/velocity goals"))
            raise unknown("goal", named, suggest(named, catalog.goals, most=3), instead)
        return goals_reply([await self._velocity.goals.progress(catalog, goal, now)])

    def _scope(self, named: str) -> VelocityScope:
        catalog = self._status_reader.catalog
        if named.casefold() == "all":
            return all_services(catalog)
        if named.startswith("#"):
            return service_scope(self._status_reader.find(named))
        try:
            return find_scope(catalog, named)
        except UnknownScopeError as error:
            instead = markup("{} shows all services together.", code("/velocity all"))
            raise unknown("service or team", named, error.near, instead) from error

    def _scope_here(self, interaction: Interaction) -> VelocityScope:
        here = self._access.services_of_channel(interaction)
        catalog = self._status_reader.catalog
        return service_scope(catalog.services[here[0]]) if len(here) == 1 else all_services(catalog)


def _read(words: Sequence[str]) -> tuple[str | None, timedelta]:
    """Read `[SERVICE | TEAM] [90d]`, in any order; raises `UsageError`."""
    named, length = None, None
    rest = [word for word in words if word.casefold() not in _PREPOSITIONS]
    while rest:
        if length is None and (read := read_length(rest)) is not None:
            length, rest = read[0], rest[read[1] :]
        elif named is None:
            named = name(rest.pop(0))
        else:
            raise UsageError(markup("One service or team at a time, and how far to look back: {}.", _FORM))
    if length is not None and not SHORTEST <= length <= LONGEST:
        raise UsageError(markup("It looks back from 1 day to 366 days: {}.", _FORM))
    return named, length or DEFAULT_SPAN
