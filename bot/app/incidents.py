"""The incidents' part of the application: its objects, routes and loops."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.app.workspace_people import WorkspacePeople
from bot.budgets.ledger.ledger import Ledger
from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.deployments.judgement import LinkMeans
from bot.flags.events import LoweredFlag
from bot.flags.flag import exposure_in_words
from bot.flags.records.recent_changes import RecentChanges
from bot.freezes.hold_registry import HoldRegistry
from bot.http.alertmanager import AlertmanagerWebhook
from bot.http.auth import TokenVerifier
from bot.http.incidents import IncidentsEndpoint
from bot.incidents.alerts.receiver import AlertReceiver
from bot.incidents.causes.linking import UndoneFlag
from bot.incidents.cost import Costs
from bot.incidents.duplicates.merging import Merging
from bot.incidents.finished_channels.scheduled_archiving import ScheduledArchiving
from bot.incidents.lifecycle import IncidentLifecycle
from bot.incidents.ports import IncidentMessageWriter, PairOf, TransientError, nobody_serves
from bot.incidents.postmortem_closing import PostmortemClosing
from bot.incidents.records.actions import Actions
from bot.incidents.report_reader import ReportReader
from bot.incidents.snapshot import RecentFlag
from bot.incidents.snapshot_reader import SnapshotReader
from bot.incidents.spending.weekly_observation import WeeklyObservation
from bot.incidents.tasks.cost_check import CostCheck
from bot.incidents.tasks.owner_reminders import OwnerReminders
from bot.incidents.tasks.reminding import IncidentReminders
from bot.incidents.workflow.archiving import Archiver
from bot.incidents.workflow.card_updates import CardUpdater
from bot.incidents.workflow.channel_creation import ChannelCreator
from bot.incidents.workflow.channel_setup import ChannelSetup
from bot.incidents.workflow.ended_holds import EndedHolds
from bot.incidents.workflow.facilitators import Facilitators
from bot.incidents.workflow.hiding import Hiding
from bot.incidents.workflow.hold_steps import HoldSteps
from bot.incidents.workflow.runner import RunnerTiming, StepHandlers, StepRunner
from bot.incidents.workflow.shadows import Shadows
from bot.slack.announcements.observed_week import observed_week_message
from bot.slack.capabilities import IncidentCapabilities
from bot.slack.incidents.channels import IncidentChannels
from bot.slack.incidents.documents import IncidentDocuments
from bot.slack.incidents.messages import IncidentMessages
from bot.slack.webapi.clients import ClientOf
from bot.slack.webapi.edit_rate_limits import EditRateLimits
from bot.store.database import Database
from bot.store.leases import Lease
from bot.tasks.handler import TaskHandler


class Incidents:
    """All objects of incidents, wired.

    `step_runner.run` runs until cancelled, `run_scheduled` is to be called every few seconds; the replica
    that has the `lease` does the work. `count_failure` is called after each round of steps that failed.
    """

    def __init__(
        self,
        *,
        database: Database,
        ledger: Ledger,
        hold_registry: HoldRegistry,
        client_of: ClientOf,
        edit_limits: EditRateLimits,
        current: CurrentCatalog,
        clock: Clock,
        lease: Lease,
        timing: RunnerTiming | None = None,
        pair_of: PairOf = nobody_serves,
        count_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._count_failure = count_failure
        self._database = database
        self._current = current
        self._clock = clock
        self._lease = lease
        self._client_of = client_of
        self._pair_of = pair_of
        self._edit_limits = edit_limits
        self._channels = IncidentChannels(client_of, edit_limits)
        self._ended_holds = EndedHolds(hold_registry, current, clock)
        self._people = WorkspacePeople(client_of, current)
        self._recent_changes = RecentChanges(database, current)
        messages = IncidentMessages(current)
        costs = Costs(current, ledger.counts, ledger.left_out)
        self.lifecycle = IncidentLifecycle(database, current)
        self.snapshots = SnapshotReader(database, costs, self.lifecycle.causes, clock.now, self._recent_flags)
        self.reports = ReportReader(database, costs)
        self.merging = Merging(database, self.lifecycle, messages)
        self.actions = Actions(database)
        self.alerts = AlertReceiver(database, self.lifecycle, current)
        self.step_runner = self._build_runner(messages, hold_registry, timing or RunnerTiming())
        self.closing = PostmortemClosing(
            database=database,
            lifecycle=self.lifecycle,
            costs=costs,
            snapshots=self.snapshots,
            messages=messages,
            now=clock.now,
        )
        self.costs = costs
        self.task_handlers: Sequence[TaskHandler] = (
            IncidentReminders(database, self.snapshots, messages),
            CostCheck(database, self.lifecycle, costs),
            OwnerReminders(messages),
        )
        self._archiving = ScheduledArchiving(
            database=database,
            channels=self._channels,
            messages=messages,
            current=current,
            clock=clock,
        )
        self._observation = WeeklyObservation(database, current, observed_week_message, clock)

    def add_routes(self, app: web.Application, tokens: TokenVerifier) -> None:
        """Add the routes of incidents and Alertmanager; before the API's own, which match all others."""
        IncidentsEndpoint(
            lifecycle=self.lifecycle,
            merging=self.merging,
            snapshots=self.snapshots,
            reports=self.reports,
            step_runner=self.step_runner,
            current=self._current,
            clock=self._clock,
            tokens=tokens,
            names=self._people.names,
        ).add_routes(app)
        AlertmanagerWebhook(self.alerts, self._clock, tokens).add_routes(app)

    @property
    def capabilities(self) -> IncidentCapabilities:
        """What people in Slack can do with incidents."""
        return IncidentCapabilities(
            self.lifecycle,
            self.merging,
            self.snapshots,
            self.actions,
            self.closing,
            self.reports,
            self.step_runner.channel_of,
        )

    async def link_lowered_flag(
        self, connection: AsyncConnection, lowered: LoweredFlag, now: datetime
    ) -> None:
        """Link a flag that was undone to the open incidents that began since it was changed."""
        means = LinkMeans.GUARD if lowered.by_guard else LinkMeans.FLAG
        undone = UndoneFlag(lowered.service, lowered.name, lowered.changed_at, means, lowered.by)
        await self.lifecycle.causes.link_flag(connection, undone, now)

    async def run_scheduled(self) -> None:
        """Lift holds of incidents that are over, and archive channels, where the lease is."""
        if await self._lease.acquire():
            await self._ended_holds.tick()
            await self._observation.tick()
            await self._archiving.tick()

    def _build_runner(
        self, messages: IncidentMessageWriter, hold_registry: HoldRegistry, timing: RunnerTiming
    ) -> StepRunner:
        database, current, clock = self._database, self._current, self._clock
        channels = self._channels
        cards = CardUpdater(
            database, channels, messages, self.snapshots, lease=self._lease, every_s=timing.refresh_s
        )
        archiving = Archiver(
            database=database,
            channels=channels,
            documents=IncidentDocuments(self._client_of),
            messages=messages,
            cards=cards,
            names=self._people.names,
            lifecycle=self.lifecycle,
            current=current,
            clock=clock,
        )
        handlers = StepHandlers(
            creation=ChannelCreator(database, channels, messages, current, clock),
            setup=ChannelSetup(database, channels, messages),
            facilitators=Facilitators(
                database,
                channels,
                self.lifecycle,
                current,
                clock,
                eligible=self._eligible_for_roles,
                pair_of=self._pair_of,
            ),
            shadows=Shadows(database, channels, self.lifecycle, clock, pair_of=self._pair_of),
            holds=HoldSteps(database, hold_registry, current, clock),
            archiving=archiving,
            hiding=Hiding(database, channels, messages, cards),
        )
        return StepRunner(
            database,
            self.snapshots,
            handlers,
            cards,
            lease=self._lease,
            timing=timing,
            count_failure=self._count_failure,
        )

    async def _eligible_for_roles(self, team: str | None, users: Collection[str]) -> Collection[str]:
        return await self._people.eligible(team, users, lambda: TransientError("account_unknown"))

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
