"""Every part of a running bot, each built with what it needs of the others."""

from collections.abc import Collection, Sequence

from bot.app.budgets import Budgets
from bot.app.deployments import Deployments
from bot.app.digests import Digests
from bot.app.flags import Flags
from bot.app.gates.gates import Gates
from bot.app.incidents import Incidents
from bot.app.metrics.self_measurement import SelfMeasurement, show_live
from bot.app.notices.personal import WaitingRequests, personal_notices
from bot.app.notices.webhooks import Webhooks
from bot.app.paging import paging_handlers
from bot.app.resources import Resources
from bot.app.reviews import Reviews
from bot.app.rotations import Rotations
from bot.app.slack import Slack
from bot.app.velocity import VelocityParts
from bot.budgets.change_counts import ChangeCounter
from bot.budgets.variant_counts import VariantCounter
from bot.canaries.control import CanaryControl
from bot.catalog.catalog import Catalog, Service
from bot.deployments.undo_detector import UndoDetector
from bot.freezes.gate.begun import BegunChange
from bot.freezes.verdict import GuardFailure
from bot.gates.kubernetes.canaries import ClusterCanaries
from bot.policy.discovery import Discovery
from bot.policy.faults import PolicyFault
from bot.policy.watcher import PolicyWatcher
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.slack.announcements.policy_faults import PolicyFaultAnnouncer
from bot.slack.canaries.messages import announce_canary
from bot.slack.capabilities import AdjustmentCapabilities, Capabilities
from bot.slack.delivery.context import DeliveryTiming
from bot.slack.flags.announcements import FlagAnnouncer
from bot.slack.notices.welcome import Welcomes
from bot.slack.readiness.messages import appeared_messages, changed_messages
from bot.store.installations import Installations
from bot.store.signals import Topic
from bot.store.write_probe import WriteProbe
from bot.tasks.runner import TaskRunner
from bot.teams.readiness.launches import Launches


class Parts:
    """What a bot consists of; what one part needs of another is handed to it here and nowhere else."""

    def __init__(
        self,
        resources: Resources,
        watcher: PolicyWatcher,
        installations: Installations | None,
        timing: DeliveryTiming | None,
    ) -> None:
        database, current, clock = resources.database, resources.current, resources.clock
        metrics, leases = resources.metrics, resources.leases
        announcer = FreezeAnnouncer(current)
        self.resources = resources
        self.watcher = watcher
        self.policy_faults = PolicyFaultAnnouncer(database, announcer, clock)
        self.write_probe = WriteProbe(database, observe=metrics.database_write_seconds.observe)
        self.tasks = TaskRunner(
            database,
            clock,
            leases,
            count=lambda kind, outcome: metrics.task_attempts.labels(kind, outcome).inc(),
        )
        self.self_measurement = SelfMeasurement(metrics, database, self.tasks)
        self.slack = Slack(resources, announcer, installations, timing)
        self.webhooks = Webhooks(resources, self.tasks)
        self.launches = Launches(database, appeared_messages, changed_messages)
        self.reviews = Reviews(database, current)
        self.budgets = Budgets(
            resources,
            announcer,
            self._look_after_flags,
            read_unready=self.launches.unready,
            follow=self.reviews.planner.follow,
            find_guard_failure=self._find_guard_failure,
        )
        self.velocity = VelocityParts(resources, self.budgets)
        self.discovery = Discovery(
            database=database,
            sources=self.budgets.sources,
            watcher=watcher,
            clock=clock,
            lease=leases.lease("discovery"),
            report=self._values_refused,
        )
        self.rotations = Rotations(
            database=database, client_of=self.slack.clients.for_team, current=current, clock=clock
        )
        self.incidents = Incidents(
            database=database,
            ledger=self.budgets.ledger,
            hold_registry=self.budgets.hold_registry,
            client_of=self.slack.clients.for_team,
            edit_limits=self.slack.edit_limits,
            current=current,
            clock=clock,
            lease=leases.lease("incidents"),
            pair_of=self.rotations.pair_of,
            count_failure=metrics.loop_failures.labels("incidents").inc,
        )
        self.deployments = Deployments(
            resources,
            UndoDetector(self.incidents.lifecycle.causes),
            read_unready=self.launches.unready_when_deployed,
            kind_proofs=self.budgets.kind_proofs,
        )
        self.flags = Flags(
            database=database,
            session=resources.session,
            status_reader=self.budgets.status_reader,
            hold_registry=self.budgets.hold_registry,
            latest=self.budgets.evaluator.latest.get,
            count_change=ChangeCounter(self.budgets.ledger, current, clock).count,
            count_by_variant=VariantCounter(self.budgets.sources, current, clock).count,
            announce=FlagAnnouncer(current),
            clock=clock,
            lease=leases.lease("flags"),
            on_lowered=self.incidents.link_lowered_flag,
            count_failure=metrics.loop_failures.labels("flags").inc,
        )
        self.gates = Gates(
            resources, self.budgets.status_reader, self.deployments.passages, self.budgets.exemption_requests
        )
        self.digests = Digests(
            resources,
            self.budgets.status_reader,
            self.budgets.spending,
            self.velocity,
            self.rotations.control,
        )
        self._register_tasks()
        self.slack.build_app(self._capabilities())
        self._follow_state()

    async def follow(self, catalog: Catalog) -> None:
        """Bring every part in step with the policies in force."""
        now = self.resources.clock.now()
        await self.budgets.follow_policies(catalog)
        await self.launches.follow(catalog, now)
        await self.rotations.follow_policies(catalog)
        await self.reviews.planner.reconcile(catalog, now)
        await self.digests.follow(catalog)
        await self.deployments.imports.follow(catalog, now)
        await self.deployments.issues.plan(now)
        await self.gates.follow(catalog)
        await self.webhooks.follow(catalog)

    def _register_tasks(self) -> None:
        """Tell the runner who carries out each kind of task."""
        resources, slack = self.resources, self.slack
        waiting = WaitingRequests(
            self.budgets.exemption_requests, self.budgets.adjustments, self.flags, resources.clock
        )
        for handlers in (
            paging_handlers(resources, slack.addresses),
            self.reviews.handlers(self.budgets.status_reader, self.budgets.spending),
            [self.budgets.maintenance, *self.budgets.task_handlers],
            self.rotations.handlers,
            self.deployments.handlers,
            self.flags.task_handlers,
            self.incidents.task_handlers,
            [personal_notices(resources.database, resources.current, slack.clients.for_team, waiting)],
            self.gates.task_handlers,
            [self.digests.handler],
        ):
            self.tasks.register(handlers)

    def _capabilities(self) -> Capabilities:
        """Return what people can do by Slack."""
        database, current, clock = self.resources.database, self.resources.current, self.resources.clock
        return Capabilities(
            status_reader=self.budgets.status_reader,
            explanations=self.budgets.explanations,
            spending=self.budgets.spending,
            backtests=self.budgets.backtests,
            hold_registry=self.budgets.hold_registry,
            bulk_holds=self.budgets.freezes.bulk,
            freeze_schedules=self.budgets.freezes.schedules,
            exemption_requests=self.budgets.exemption_requests,
            adjustments=AdjustmentCapabilities(self.budgets.adjustments, self.budgets.adjustment_preview),
            flag_changes=self.flags.changes,
            ramps=self.flags.ramps,
            incidents=self.incidents.capabilities,
            launches=self.launches,
            velocity=self.velocity.capabilities,
            rotations=self.rotations.control,
            reviews=self.reviews.agreements,
            digests=self.digests.sending,
            database=database,
            clock=clock,
            prefix=self.slack.prefix,
            addresses=self.slack.addresses,
            welcomes=Welcomes(database, current, clock),
            canaries=CanaryControl(
                ClusterCanaries(self.gates.clusters),
                self.budgets.status_reader,
                database,
                clock,
                announce_canary,
            ),
        )

    def _follow_state(self) -> None:
        """Let gauges and people's home pages show what the parts know now."""
        show_live(
            self.resources.metrics,
            probe=self.write_probe,
            leases=self.resources.leases,
            evaluator=self.budgets.evaluator,
            current=self.resources.current,
            jobs=self.slack.app.tasks,
        )
        shown_at_home = [topic for topic in Topic if topic not in {Topic.TASKS, Topic.GATE_WAITS}]
        workspaces = self.slack.app.workspaces
        self.resources.database.signals.subscribe(shown_at_home, workspaces.request_home_refresh)

    async def _find_guard_failure(self, service: Service, begun: BegunChange) -> GuardFailure | None:
        return await self.flags.change_guard.find_failure(service, begun)

    def _look_after_flags(self, services: Collection[str]) -> None:
        self.flags.evaluated(services)

    async def _values_refused(self, faults: Sequence[PolicyFault]) -> None:
        await self.policy_faults.announce_refused_values(faults)
