"""Shows launch checklists and ticks their items, for people of one Slack workspace."""

from dataclasses import dataclass, replace

from bot.catalog.catalog import EVERYONE, Service
from bot.slack.blockkit.mrkdwn import bold, markup
from bot.slack.capabilities import Capabilities
from bot.slack.interactions import Reply, say
from bot.slack.permissions import Allowed, People, refusal
from bot.slack.readiness.messages import checklist_reply
from bot.store.addresses import local
from bot.teams.readiness.checklist import LaunchItem


@dataclass(frozen=True, slots=True)
class TickPress:
    """A press of the checkbox of an item: who pressed, and whether it is ticked then."""

    service: str
    item: LaunchItem
    user: str
    is_ticked: bool


class LaunchTicking:
    """Shows checklists and ticks their items."""

    def __init__(self, capabilities: Capabilities, people: People) -> None:
        self._launches = capabilities.launches
        self._status_reader = capabilities.status_reader
        self._clock = capabilities.clock
        self._people = people

    async def show(self, name: str) -> Reply:
        """Return the checklist of a service; raises `UnknownServiceError`."""
        service = self._status_reader.find(name)
        return checklist_reply(service, await self._launches.checklist(service.name))

    async def press(self, press: TickPress) -> Reply:
        """Tick an item or take its tick away; the reply replaces a checklist that is the person's own."""
        service = self._status_reader.catalog.services.get(press.service)
        if service is None:
            return say(markup("{} is not in the policies any more.", bold(press.service)))
        permission = await self._people.check_permission(press.user, _may_tick(service))
        if not isinstance(permission, Allowed):
            return say(refusal(permission, "tick its launch checklist"))
        checklist = await self._launches.tick(
            service, press.item, by=press.user, is_done=press.is_ticked, now=self._clock.now()
        )
        return replace(checklist_reply(service, checklist), replaces=True)


def _may_tick(service: Service) -> tuple[str, ...]:
    return tuple(map(local, service.teams.entries)) or (EVERYONE,)
