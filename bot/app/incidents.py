"""Incidents, wired: what opens them, carries them out, looks after them and shows them over HTTP."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime

from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from bot.budgets.ledger.ledger import Ledger
from bot.catalog.catalog import Catalog
from bot.clock import Clock
from bot.flags.flag import exposure_in_words
from bot.flags.records.recent_changes import RecentChanges
from bot.freezes.hold_registry import HoldRegistry
from bot.http.alertmanager import AlertmanagerWebhook
from bot.http.auth import TokenVerifier
from bot.http.incidents import IncidentsEndpoint
from bot.incidents.alerts import AlertReceiver
from bot.incidents.cost import Costs
from bot.incidents.lifecycle import IncidentLifecycle
from bot.incidents.ports import RecentFlag
from bot.incidents.postmortem_closing import PostmortemClosing
from bot.incidents.records.actions import Actions
from bot.incidents.report_reader import ReportReader
from bot.incidents.scheduled import ScheduledTasks
from bot.incidents.snapshot_reader import SnapshotReader
from bot.incidents.workflow.runner import RunnerTiming, StepRunner
from bot.slack.incident_rooms import WorkspaceIncidentChannels
from bot.slack.incidents.access import IncidentCapabilities
from bot.slack.incidents.card import IncidentMessages
from bot.slack.incidents.documents import IncidentDocuments
from bot.slack.permissions import People
from bot.slack.webapi.clients import ClientOf
from bot.store.database import Database


class Incidents:
    """All parts of the incident room. `conductor.run` and, every few seconds, `look_after` keep it going.

    `is_mine` answers whether this replica is the one that carries things out.
    """

    def __init__(
        self,
        *,
        database: Database,
        ledger: Ledger,
        freezer: HoldRegistry,
        client: AsyncWebClient,
        client_of: ClientOf | None = None,
        catalog: Callable[[], Catalog],
        clock: Clock,
        on_told: Callable[[], None],
        is_mine: Callable[[], Awaitable[bool]],
        patience: RunnerTiming | None = None,
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._on_told = on_told
        self._is_mine = is_mine
        self._client_of: ClientOf = client_of or (lambda _team: client)
        self._people: dict[str | None, People] = {}
        voice = IncidentMessages(lambda: catalog().workspace)
        costs = Costs(catalog, ledger.counts)
        self._lately = RecentChanges(database, catalog)
        self.views = SnapshotReader(database, costs, clock.now, self._live_flags)
        self.learning = ReportReader(database, costs)
        self.responder = IncidentLifecycle(database, catalog, self.changed)
        self.actions = Actions(database, self.changed)
        self.alerts = AlertReceiver(database, self.responder, catalog)
        self.conductor = StepRunner(
            database=database,
            rooms=WorkspaceIncidentChannels(self._client_of),
            shelf=IncidentDocuments(self._client_of),
            names=self._names,
            reopen=self.responder.reopen_within,
            voice=voice,
            views=self.views,
            freezer=freezer,
            catalog=catalog,
            clock=clock,
            on_told=on_told,
            is_mine=is_mine,
            patience=patience,
        )
        self.closing = PostmortemClosing(
            database=database,
            responder=self.responder,
            costs=costs,
            views=self.views,
            voice=voice,
            now=clock.now,
        )
        self.watch = ScheduledTasks(
            database=database,
            responder=self.responder,
            costs=costs,
            views=self.views,
            voice=voice,
            clock=clock,
        )

    def add_routes(self, app: web.Application, tokens: TokenVerifier) -> None:
        """Add the API's incidents and the webhooks; before the API's own routes, which take all the rest."""
        IncidentsEndpoint(
            responder=self.responder,
            views=self.views,
            learning=self.learning,
            conductor=self.conductor,
            catalog=self._catalog,
            clock=self._clock,
            tokens=tokens,
        ).add_routes(app)
        AlertmanagerWebhook(self.alerts, self._clock, tokens).add_routes(app)

    @property
    def offered(self) -> IncidentCapabilities:
        """What people in Slack can do with incidents."""
        return IncidentCapabilities(
            self.responder, self.views, self.actions, self.closing, self.learning, self.conductor.channel_of
        )

    async def look_after(self) -> None:
        """Send what has come due, if this replica is the one to do so."""
        if await self._is_mine():
            await self.watch.tick()

    async def _names(self, team: str | None, users: Collection[str]) -> Mapping[str, str]:
        if team not in self._people:
            self._people[team] = People(self._client_of(team))
        return await self._people[team].names(users)

    async def _live_flags(self, services: Collection[str], since: datetime) -> Sequence[RecentFlag]:
        return [
            RecentFlag(one.state.flag, one.state.environment, exposure_in_words(one.state), one.at, one.by)
            for one in await self._lately.of(services, since)
        ]

    def changed(self) -> None:
        """Look at incidents soon: something about them or around them changed."""
        self.conductor.wake()
        self._on_told()
