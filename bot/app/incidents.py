"""Incidents, wired: what opens them, carries them out, looks after them and shows them over HTTP."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime

from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from bot.budgets.ledger.ledger import Ledger
from bot.catalog.catalog import Catalog
from bot.clock import Clock
from bot.flags.flag import exposure_in_words
from bot.flags.records.recent_changes import Lately
from bot.freezes.hold_registry import Freezer
from bot.http.alertmanager import AlertmanagerWebhook
from bot.http.auth import Tokens
from bot.http.incidents import IncidentsEndpoint
from bot.incidents.alerts import AlertDesk
from bot.incidents.cost import Costs
from bot.incidents.lifecycle import Responder
from bot.incidents.ports import LiveFlag
from bot.incidents.postmortem_closing import Closing
from bot.incidents.records.actions import ActionBook
from bot.incidents.report_reader import Learning
from bot.incidents.scheduled import Watch
from bot.incidents.snapshot_reader import Views
from bot.incidents.workflow.runner import Conductor, Patience
from bot.slack.incident_rooms import IncidentRooms
from bot.slack.incidents.access import Incidents
from bot.slack.incidents.card import IncidentVoice
from bot.slack.incidents.documents import IncidentShelf
from bot.slack.permissions import People
from bot.slack.webapi.clients import ClientOf
from bot.store.database import Database


class Response:
    """All parts of the incident room. `conductor.run` and, every few seconds, `look_after` keep it going.

    `is_mine` answers whether this replica is the one that carries things out.
    """

    def __init__(
        self,
        *,
        database: Database,
        ledger: Ledger,
        freezer: Freezer,
        client: AsyncWebClient,
        client_of: ClientOf | None = None,
        catalog: Callable[[], Catalog],
        clock: Clock,
        on_told: Callable[[], None],
        is_mine: Callable[[], Awaitable[bool]],
        patience: Patience | None = None,
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._on_told = on_told
        self._is_mine = is_mine
        self._client_of: ClientOf = client_of or (lambda _team: client)
        self._people: dict[str | None, People] = {}
        voice = IncidentVoice(lambda: catalog().workspace)
        costs = Costs(catalog, ledger.counts)
        self._lately = Lately(database, catalog)
        self.views = Views(database, costs, clock.now, self._live_flags)
        self.learning = Learning(database, costs)
        self.responder = Responder(database, catalog, self.changed)
        self.actions = ActionBook(database, self.changed)
        self.alerts = AlertDesk(database, self.responder, catalog)
        self.conductor = Conductor(
            database=database,
            rooms=IncidentRooms(self._client_of),
            shelf=IncidentShelf(self._client_of),
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
        self.closing = Closing(
            database=database,
            responder=self.responder,
            costs=costs,
            views=self.views,
            voice=voice,
            now=clock.now,
        )
        self.watch = Watch(
            database=database,
            responder=self.responder,
            costs=costs,
            views=self.views,
            voice=voice,
            clock=clock,
        )

    def add_routes(self, app: web.Application, tokens: Tokens) -> None:
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
    def offered(self) -> Incidents:
        """What people in Slack can do with incidents."""
        return Incidents(
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

    async def _live_flags(self, services: Collection[str], since: datetime) -> Sequence[LiveFlag]:
        return [
            LiveFlag(one.state.flag, one.state.environment, exposure_in_words(one.state), one.at, one.by)
            for one in await self._lately.of(services, since)
        ]

    def changed(self) -> None:
        """Look at incidents soon: something about them or around them changed."""
        self.conductor.wake()
        self._on_told()
