"""Incidents, wired: what opens them, runs their steps, looks after them and serves them over HTTP."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from aiohttp import web

from bot.budgets.ledger.ledger import Ledger
from bot.catalog.current import CurrentCatalog
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
from bot.incidents.ports import IncidentMessageWriter, RecentFlag
from bot.incidents.postmortem_closing import PostmortemClosing
from bot.incidents.records.actions import Actions
from bot.incidents.report_reader import ReportReader
from bot.incidents.scheduled import ScheduledTasks
from bot.incidents.snapshot_reader import SnapshotReader
from bot.incidents.workflow.archiving import Archiver
from bot.incidents.workflow.card_updates import CardUpdater
from bot.incidents.workflow.channel_creation import ChannelCreator
from bot.incidents.workflow.channel_setup import ChannelSetup
from bot.incidents.workflow.facilitators import Facilitators
from bot.incidents.workflow.hold_steps import HoldSteps
from bot.incidents.workflow.runner import RunnerTiming, StepHandlers, StepRunner
from bot.slack.capabilities import IncidentCapabilities
from bot.slack.incident_rooms import WorkspaceIncidentChannels
from bot.slack.incidents.card import IncidentMessages
from bot.slack.incidents.documents import IncidentDocuments
from bot.slack.permissions import People
from bot.slack.webapi.clients import ClientOf
from bot.store.database import Database
from bot.store.leases import Lease


class Incidents:
    """All parts of incidents. `step_runner.run` and, every few seconds, `run_scheduled` keep them going.

    The replica that has the `lease` carries things out.
    """

    def __init__(
        self,
        *,
        database: Database,
        ledger: Ledger,
        hold_registry: HoldRegistry,
        client_of: ClientOf,
        current: CurrentCatalog,
        clock: Clock,
        lease: Lease,
        timing: RunnerTiming | None = None,
    ) -> None:
        self._database = database
        self._current = current
        self._clock = clock
        self._lease = lease
        self._client_of = client_of
        self._people: dict[str | None, People] = {}
        self._recent_changes = RecentChanges(database, current)
        messages = IncidentMessages(current)
        costs = Costs(current, ledger.counts)
        self.snapshots = SnapshotReader(database, costs, clock.now, self._recent_flags)
        self.reports = ReportReader(database, costs)
        self.lifecycle = IncidentLifecycle(database, current)
        self.actions = Actions(database)
        self.alerts = AlertReceiver(database, self.lifecycle, current)
        self.step_runner = self._build_runner(messages, hold_registry, timing or RunnerTiming())
        self.closing = PostmortemClosing(
            database=database,
            lifecycle=self.lifecycle,
            costs=costs,
            snapshots=self.snapshots,
            voice=messages,
            now=clock.now,
        )
        self._scheduled = ScheduledTasks(
            database=database,
            lifecycle=self.lifecycle,
            costs=costs,
            snapshots=self.snapshots,
            voice=messages,
            clock=clock,
        )

    def add_routes(self, app: web.Application, tokens: TokenVerifier) -> None:
        """Add the API's incidents and the webhook; before the API's own routes, which take all the rest."""
        IncidentsEndpoint(
            lifecycle=self.lifecycle,
            snapshots=self.snapshots,
            reports=self.reports,
            step_runner=self.step_runner,
            current=self._current,
            clock=self._clock,
            tokens=tokens,
        ).add_routes(app)
        AlertmanagerWebhook(self.alerts, self._clock, tokens).add_routes(app)

    @property
    def capabilities(self) -> IncidentCapabilities:
        """What people in Slack can do with incidents."""
        return IncidentCapabilities(
            self.lifecycle,
            self.snapshots,
            self.actions,
            self.closing,
            self.reports,
            self.step_runner.channel_of,
        )

    async def run_scheduled(self) -> None:
        """Send what has come due, on the replica that has the lease."""
        if await self._lease.acquire():
            await self._scheduled.tick()

    def _build_runner(
        self, messages: IncidentMessageWriter, hold_registry: HoldRegistry, timing: RunnerTiming
    ) -> StepRunner:
        database, current, clock = self._database, self._current, self._clock
        channels = WorkspaceIncidentChannels(self._client_of)
        cards = CardUpdater(
            database, channels, messages, self.snapshots, lease=self._lease, every_s=timing.refresh_s
        )
        archiving = Archiver(
            database=database,
            rooms=channels,
            shelf=IncidentDocuments(self._client_of),
            voice=messages,
            display=cards,
            names=self._names,
            lifecycle=self.lifecycle,
            current=current,
            clock=clock,
        )
        handlers = StepHandlers(
            creation=ChannelCreator(database, channels, messages, current, clock),
            setup=ChannelSetup(database, channels, messages),
            facilitators=Facilitators(database, channels, self.lifecycle, current, clock),
            holds=HoldSteps(hold_registry, current, clock),
            archiving=archiving,
        )
        return StepRunner(database, self.snapshots, handlers, cards, lease=self._lease, timing=timing)

    async def _names(self, team: str | None, users: Collection[str]) -> Mapping[str, str]:
        if team not in self._people:
            self._people[team] = People(self._client_of(team))
        return await self._people[team].names(users)

    async def _recent_flags(self, services: Collection[str], since: datetime) -> Sequence[RecentFlag]:
        return [
            RecentFlag(
                changed.state.flag,
                changed.state.environment,
                exposure_in_words(changed.state),
                changed.at,
                changed.by,
            )
            for changed in await self._recent_changes.of(services, since)
        ]
