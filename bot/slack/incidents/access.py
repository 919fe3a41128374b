"""Which incident a person means, who may see it and who may change it."""

import re
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from bot.catalog.catalog import Catalog, Service
from bot.incidents.incident import Incident, UnknownIncidentError
from bot.incidents.issues.following import IssueLinks
from bot.incidents.records.channels import find_incident
from bot.incidents.records.hidden import Hidden, read_hidden
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.visibility import Viewer, may_see
from bot.slack.arguments import UsageError
from bot.slack.blockkit.mrkdwn import Markup, code, markup
from bot.slack.capabilities import Capabilities
from bot.slack.interactions import Interaction, Reply
from bot.slack.permissions import Allowed, People, refusal, role_refusal
from bot.store import idempotency
from bot.store.addresses import local, qualified

_NUMBER = re.compile(r"#?([0-9]{1,15})")


class IncidentAccess:
    """Finds incidents for people of a Slack workspace, and checks who may see and change them."""

    def __init__(self, capabilities: Capabilities, people: People) -> None:
        self.snapshots = capabilities.incidents.snapshots
        self.actions = capabilities.incidents.actions
        self.issues = IssueLinks(capabilities.database)
        self.status_reader = capabilities.status_reader
        self.people = people
        self._database = capabilities.database
        self._clock = capabilities.clock

    @property
    def catalog(self) -> Catalog:
        """The policies in force, as the workspace sees them."""
        return self.status_reader.catalog

    @property
    def services(self) -> Collection[str]:
        """The names of the services that the workspace sees."""
        return self.catalog.services

    def find_service(self, name: str) -> Service:
        """Return the service of that name; raises `UnknownService`."""
        return self.status_reader.find(name)

    def services_of_channel(self, interaction: Interaction) -> tuple[str, ...]:
        """Return the services whose own channel this is: what is typed there is most likely about them."""
        here = {interaction.channel, f"#{interaction.channel_name}".casefold()}
        return tuple(
            service.name
            for service in self.catalog.services.values()
            if {local(service.channel), local(service.channel).casefold()} & here
        )

    def now(self) -> datetime:
        """Return the time."""
        return self._clock.now()

    async def incident_of_channel(self, channel: str) -> int | None:
        """Return the number of the incident whose channel, or postmortem's channel, this is."""
        if not channel:
            return None
        address = qualified(self.catalog.workspace.elsewhere, channel)
        async with self._database.reading() as connection:
            found = await find_incident(connection, address)
        return found[0] if found else None

    async def told_in_own_channel(self, reply: Reply, id_: int, channel: str) -> Reply:
        """Return a reply for a person in `channel`, which of all channels only the incident's own may see.

        A reply elsewhere could not be edited once the incident is private.
        """
        if not reply.seen_by_channel or await self.incident_of_channel(channel) == id_:
            return reply
        snapshot = await self.snapshots.of(id_)
        return replace(reply, seen_by_channel=False, told_in=local(snapshot.open_channel_id or ""))

    async def find(
        self, interaction: Interaction, number: str = "", *, form: str = "/incident show ID"
    ) -> IncidentSnapshot:
        """Return the incident of that number, or the one whose channel this is. Raises `UsageError`."""
        here = await self.incident_of_channel(interaction.channel)
        if not number:
            if here is None:
                how = markup("Name the incident: {}.", code(form)) if form else _TYPE_THERE
                raise UsageError(markup("This channel is not an incident's. {}", how))
            return await self.snapshots.of(here)
        match = _NUMBER.fullmatch(number)
        if match is None:
            raise UsageError(
                markup("{} is not the number of an incident. {} lists them.", code(number[:40]), _LIST)
            )
        return await self.by_id(int(match[1]), interaction.user, here)

    async def by_id(self, id_: int, user: str, here: int | None = None) -> IncidentSnapshot:
        """Return an incident that the person may see; `here` is the incident of the channel they are in.

        Raises `UsageError`, for private incidents of others as if there were none.
        """
        try:
            snapshot = await self.snapshots.of(id_)
        except UnknownIncidentError as error:
            raise _unknown(id_) from error
        if not self.may_see(snapshot.incident, Viewer(user, here)):
            raise _unknown(id_)
        return snapshot

    async def viewer(self, interaction: Interaction) -> Viewer:
        """Return who reads the reply, and in which incident's channel."""
        return Viewer(interaction.user, await self.incident_of_channel(interaction.channel))

    def may_see(self, incident: Incident, viewer: Viewer) -> bool:
        """Return whether somebody of this workspace may see an incident."""
        first = next(iter(incident.services), None)
        is_of_workspace = incident.id == viewer.here or self.catalog.shows(first)
        return is_of_workspace and may_see(incident, viewer)

    async def permit(self, interaction: Interaction, *, owner: str | None = None) -> str:
        """Return the request's name if the person may change incidents, or is the `owner` of what changes.

        Raises `UsageError` with who may.
        """
        if interaction.user != owner:
            await self.permit_person(interaction.user)
        if interaction.request is None:
            raise UsageError(Markup("Type the command to change something."))
        return interaction.request

    async def permit_person(self, user: str) -> None:
        """Raise `UsageError` with who may change incidents, unless the person may."""
        right = await self.people.check_permission(user, self.catalog.workspace.permissions.incidents)
        if not isinstance(right, Allowed):
            raise UsageError(refusal(right, "open or change an incident"))

    async def permit_role(self, person: str) -> None:
        """Raise `UsageError` unless a person can be given a role: it shows them private incidents."""
        denial = await self.people.check_account(person)
        if denial is not None:
            raise UsageError(role_refusal(person, denial))

    async def hidden(self, viewer: Viewer) -> Hidden:
        """Return the incidents and actions that the viewer may not see."""
        async with self._database.reading() as connection:
            return await read_hidden(connection, viewer)

    async def is_first(self, request: str) -> bool:
        """Record a request; return whether it is new."""
        async with self._database.transaction(in_turn=False) as connection:
            return await idempotency.is_first(self._database, connection, request, self.now())

    async def allow_repeat(self, request: str) -> None:
        """Remove the record of a request that failed, so that it may be repeated."""
        await idempotency.forget(self._database, request)


def _unknown(id_: int) -> UsageError:
    return UsageError(markup("There is no incident {}. {} lists them.", id_, _LIST))


_LIST = code("/incident list")
_TYPE_THERE = markup("Type it in an incident's channel; {} lists them.", _LIST)
