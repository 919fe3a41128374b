"""Which incident is meant, who may see it and who may change it."""

import re
from collections.abc import Collection

from sqlalchemy import select

from bot.incidents.incident import Incident, UnknownIncidentError
from bot.incidents.ports import IncidentSnapshot
from bot.incidents.records import steps
from bot.slack.arguments import UsageError
from bot.slack.blockkit.mrkdwn import Markup, code, markup
from bot.slack.capabilities import Capabilities
from bot.slack.interactions import Interaction
from bot.slack.permissions import Allowed, People, refusal
from bot.store import idempotency as requests
from bot.store.addresses import qualified
from bot.store.tables.incidents import incidents

_NUMBER = re.compile(r"#?(\d{1,15})")


class IncidentAccess:
    """Finds incidents for people, and lets through those who may change them."""

    def __init__(
        self,
        capabilities: Capabilities,
        people: People,
    ) -> None:
        self.incidents = capabilities.incidents
        self.status_reader = capabilities.status_reader
        self.people = people
        self.clock = capabilities.clock
        self._database = capabilities.database

    async def here(self, channel: str) -> int | None:
        """Return which incident's channel this is, its own or its postmortem's."""
        async with self._database.reading() as connection:
            address = qualified(self.status_reader.catalog.workspace.elsewhere, channel)
            found = await steps.find_incident(connection, address) if channel else None
        return found[0] if found else None

    async def meant(
        self, interaction: Interaction, number: str = "", *, form: str = "/incident show ID"
    ) -> IncidentSnapshot:
        """Return the incident of that number, or the one whose channel this is. Raises `UsageError`."""
        here = await self.here(interaction.channel)
        if not number:
            if here is None:
                how = markup("Name the incident: {}.", code(form)) if form else _TYPE_THERE
                raise UsageError(markup("This is no incident's channel. {}", how))
            return await self.incidents.snapshots.of(here)
        found = _NUMBER.fullmatch(number)
        if found is None:
            raise UsageError(markup("{} is no incident's number. {} lists them.", code(number[:40]), _LIST))
        return await self.by_id(int(found[1]), interaction.user, here)

    async def by_id(self, id_: int, user: str, here: int | None = None) -> IncidentSnapshot:
        """Return an incident the person may see; raises `UsageError`, also for private ones of others."""
        try:
            view = await self.incidents.snapshots.of(id_)
        except UnknownIncidentError as error:
            raise _unknown(id_) from error
        if id_ != here and not self.may_see(view.incident, user):
            raise _unknown(id_)
        return view

    def may_see(self, incident: Incident, user: str) -> bool:
        """Return whether a person of this workspace may see it outside its channel."""
        first = next(iter(incident.services), None)
        return self.status_reader.catalog.shows(first) and may_see(incident, user)

    async def permit(self, interaction: Interaction) -> str:
        """Return the request's name if the person may change incidents. Raises `UsageError` with who may."""
        await self.permit_person(interaction.user)
        if interaction.request is None:
            raise UsageError(Markup("Type the command to change something."))
        return interaction.request

    async def permit_person(self, user: str) -> None:
        """Let a person through who may change incidents. Raises `UsageError` with who may."""
        right = await self.people.check_permission(
            user, self.status_reader.catalog.workspace.permissions.incidents
        )
        if not isinstance(right, Allowed):
            raise UsageError(refusal(right, "open or change an incident"))

    async def private_ids(self) -> Collection[int]:
        """Return the numbers of the incidents that are private."""
        query = select(incidents.c.id).where(incidents.c.private.is_(True))
        async with self._database.reading() as connection:
            return set(await connection.scalars(query))

    async def is_first(self, request: str) -> bool:
        """Return whether a request comes for the first time."""
        async with self._database.transaction(in_turn=False) as connection:
            return await requests.is_first(self._database, connection, request, self.clock.now())

    async def forget(self, request: str) -> None:
        """Let a request that failed be made again."""
        await requests.forget(self._database, request)

    @property
    def services(self) -> Collection[str]:
        """The services there are."""
        return self.status_reader.catalog.services


def may_see(incident: Incident, user: str) -> bool:
    """Return whether a person may see it outside its channel: a private one only those who work on it."""
    return not incident.private or user == incident.opened_by or user in incident.roles.values()


def _unknown(id_: int) -> UsageError:
    return UsageError(markup("There is no incident {}. {} lists them.", id_, _LIST))


_LIST = code("/incident list")
_TYPE_THERE = markup("Type it in one; {} says where they are.", _LIST)
