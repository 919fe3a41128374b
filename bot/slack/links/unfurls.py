"""Shows below a link what it leads to, and in the pane beside it what the one who opens it may see.

A preview is seen by everybody in the conversation: a private incident has one in its own channel alone. The
pane is seen by one person, so their own rights count.

Slack has Work Objects only where the app's settings name them. Where it refuses one, which it may also do by
a warning, the link gets ordinary blocks, and the workspace is asked again after some hours.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from bot.freezes.status import ServiceStatus, UnknownServiceError
from bot.incidents.incident import UnknownIncidentError
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.visibility import Viewer
from bot.slack.incidents.access import IncidentAccess
from bot.slack.links.entities import Entity, incident_entity
from bot.slack.links.events import DetailsRequest, SharedLinks
from bot.slack.links.previews import incident_preview, service_preview
from bot.slack.typed.link_addresses import LinkAddresses, LinkedIncident, LinkedService
from bot.slack.webapi.client import SlackClient
from bot.slack.webapi.errors import SlackError, SlackRefusedError, translate_slack_errors
from bot.store.outbox import Block
from bot.texts import people_in

log = structlog.get_logger(__name__)

WORK_OBJECTS = "work_objects"
"""What the client's memory of refusals calls them."""

_TIMEOUT_S = 10.0
_ENTITY_ERRORS = frozenset(
    {
        "feature_not_enabled",
        "invalid_arguments",
        "invalid_metadata",
        "invalid_metadata_format",
        "invalid_metadata_schema",
        "metadata_too_large",
        "missing_unfurls",
    }
)
"""What Slack refuses a link's Work Objects with."""


class LinkPreviews:
    """Previews and details of links for one Slack workspace, as it sees incidents and services."""

    def __init__(self, access: IncidentAccess, addresses: LinkAddresses, client: SlackClient) -> None:
        self._access = access
        self._addresses = addresses
        self._client = client

    async def show(self, shared: SharedLinks, team: str | None) -> None:
        """Show what the links lead to, once however often Slack sends them; raises `SlackError`.

        Links to what not everybody in the conversation may see stay as they are.
        """
        here = await self._access.incident_of_channel(shared.channel)
        incidents: dict[str, IncidentSnapshot] = {}
        services: dict[str, ServiceStatus] = {}
        for url in shared.urls:
            match self._addresses.read(url):
                case LinkedIncident(id_):
                    snapshot = await self._incident(id_, Viewer(None, here))
                    incidents |= {url: snapshot} if snapshot is not None else {}
                case LinkedService(name):
                    status = await self._service(name)
                    services |= {url: status} if status is not None else {}
        key = shared.id(team)
        if not (incidents or services) or not await self._access.is_first(key):
            return
        try:
            await self._unfurl(shared, incidents, services)
        except BaseException:
            await self._access.allow_repeat(key)
            raise

    async def present(self, request: DetailsRequest) -> None:
        """Show a person an incident's details; to whom it is private as if there were none.

        Raises `SlackError`.
        """
        number = request.incident
        if number is None:
            linked = self._addresses.read(request.url)
            number = linked.id if isinstance(linked, LinkedIncident) else None
        snapshot = None
        if number is not None:
            here = await self._access.incident_of_channel(request.channel)
            snapshot = await self._incident(number, Viewer(request.user, here))
        answer: dict[str, Any] = {"error": {"status": "not_found"}}
        if snapshot is not None:
            answer = {"metadata": await self._entity(snapshot)}
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            await self._client.entity_presentDetails(trigger_id=request.trigger_id, **answer)

    async def _incident(self, id_: int, viewer: Viewer) -> IncidentSnapshot | None:
        try:
            snapshot = await self._access.snapshots.of(id_)
        except UnknownIncidentError:
            return None
        return snapshot if self._access.may_see(snapshot.incident, viewer) else None

    async def _service(self, name: str) -> ServiceStatus | None:
        try:
            return await self._access.status_reader.service(name)
        except UnknownServiceError:
            return None

    async def _entity(self, snapshot: IncidentSnapshot) -> Entity:
        url = self._addresses.incident(snapshot.incident.id) or ""
        names = await self._access.people.names(people_in(snapshot.incident.summary))
        return incident_entity(snapshot, url, names)

    async def _unfurl(
        self,
        shared: SharedLinks,
        incidents: Mapping[str, IncidentSnapshot],
        services: Mapping[str, ServiceStatus],
    ) -> None:
        blocks = {url: service_preview(status) for url, status in services.items()}
        plain = {url: incident_preview(snapshot) for url, snapshot in incidents.items()}
        support = self._client.new_blocks
        if incidents and not support.refused({WORK_OBJECTS}):
            entities = [
                await self._entity(snapshot) | {"app_unfurl_url": url} for url, snapshot in incidents.items()
            ]
            refused = await self._take_entities(shared, entities)
            if refused is None:
                plain = {}
            else:
                support.record_refusal({WORK_OBJECTS}, refused)
        shown = {**blocks, **plain}
        if shown:
            await self._take_blocks(shared, shown)

    async def _take_entities(self, shared: SharedLinks, entities: list[Entity]) -> str | None:
        """Show the links as Work Objects; return None, or with what Slack refused that."""
        try:
            async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
                answer = await self._client.chat_unfurl(**shared.place, metadata={"entities": entities})
        except SlackRefusedError as refusal:
            if refusal.error not in _ENTITY_ERRORS:
                raise
            return ": ".join([refusal.error, *refusal.details])
        # An entity that does not fit is dropped with a warning, and the link stays bare.
        warning = str(answer.get("warning") or "")
        return warning if "metadata" in warning else None

    async def _take_blocks(self, shared: SharedLinks, shown: Mapping[str, list[Block]]) -> None:
        unfurls = {url: {"blocks": blocks} for url, blocks in shown.items()}
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            await self._client.chat_unfurl(**shared.place, unfurls=unfurls)


def log_failure(error: SlackError, subject: str) -> None:
    """Log that a link stays bare: a missing scope, a message that is gone, a Slack that does not answer."""
    log.info("link_not_shown", of=subject, error=error.error, details=error.details)
