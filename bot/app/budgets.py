"""Budgets, wired: sources and ledger, the evaluation loop, and what it hands each evaluation to."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

import structlog

from bot.app.freezes.freezes import Freezes
from bot.app.metrics.budgets import BudgetGauges
from bot.app.resources import Resources
from bot.backtests.runner import BacktestRunner
from bot.budgets.adjustment_causes import AdjustmentCauses
from bot.budgets.adjustment_preview import AdjustmentPreview
from bot.budgets.adjustments.registry import AdjustmentRegistry
from bot.budgets.evaluator import Assessed, Evaluator
from bot.budgets.forecast_scores import ForecastScores
from bot.budgets.forecaster import Forecaster
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.rollups import WINDOWS_RETAINED
from bot.budgets.maintenance.recorder import MaintenanceRecorder
from bot.budgets.reading.collector import Collector
from bot.budgets.sources.registry import SourceRegistry
from bot.catalog.catalog import Catalog, Service
from bot.deployments.records import last_to_production
from bot.freezes.budget_judge import BudgetJudge
from bot.freezes.exemptions.kind_proofs import KindProofs
from bot.freezes.exemptions.requests import ExemptionRequests
from bot.freezes.explanation_reader import ExplanationReader
from bot.freezes.gate.begun import FindGuardFailure
from bot.freezes.gate.state import ReadUnready
from bot.freezes.hold import Hold
from bot.freezes.hold_writer import Announce, Follow
from bot.freezes.status import StatusReader
from bot.freezes.tasks.hold_expiry import HoldExpiry
from bot.incidents.cost import Costs, Downtime
from bot.incidents.holds import ended_causes
from bot.incidents.records.actions import unmet_requirements
from bot.incidents.records.open_incidents import OpenIncidentReader
from bot.incidents.report_reader import ReportReader
from bot.pacing import Pacer
from bot.slack.announcements.adjustments import AdjustmentAnnouncer
from bot.spending.event_reader import ServiceEventReader
from bot.spending.reader import SpendingReader
from bot.store.retention.rules import HISTORY
from bot.store.signals import Topic
from bot.tasks.handler import TaskHandler
from bot.teams.paging.follower import PageFollower

log = structlog.get_logger(__name__)

_SHORTEST_HISTORY = timedelta(days=1)


class Budgets:
    """All parts of budgets and freezes. `on_evaluated` gets the services whose flags are to be looked after.

    `read_unready` returns what keeps services from their first production deployment; `follow` writes what
    follows where holds were placed or lifted.
    `evaluator.run` evaluates; `follow_holds` reacts to holds that are placed or lifted in between, on
    whichever replica.
    """

    def __init__(
        self,
        resources: Resources,
        announce: Announce,
        on_evaluated: Callable[[Collection[str]], None],
        *,
        read_unready: ReadUnready,
        follow: Follow,
        find_guard_failure: FindGuardFailure,
    ) -> None:
        database, current, clock = resources.database, resources.current, resources.clock
        self._clock = clock
        self._current = current
        self._on_evaluated = on_evaluated
        self._gauges = BudgetGauges(resources.metrics)
        self._frozen: frozenset[str] = frozenset()
        self._holds: Sequence[Hold] = ()
        self._holds_changed = asyncio.Event()
        self._evaluations = 0
        self._no_evaluation = asyncio.Event()
        self._no_evaluation.set()
        self.ledger = Ledger(database, Downtime(database).bad_seconds)
        self.sources = SourceRegistry(resources.session)
        self.collector = Collector(self.ledger, self.sources)
        reports = ReportReader(database, Costs(current, self.ledger.counts, self.ledger.left_out))
        self.freezes = Freezes(
            database,
            current,
            announce,
            read_unmet=unmet_requirements,
            read_ended=ended_causes,
            follow=follow,
        )
        self.hold_registry = self.freezes.registry
        self.kind_proofs = KindProofs(OpenIncidentReader(database).read)
        self.exemption_requests = ExemptionRequests(database, announce)
        self.adjustments = AdjustmentRegistry(database, AdjustmentAnnouncer(current))
        self.adjustment_preview = AdjustmentPreview(self.ledger, current)
        self.maintenance = MaintenanceRecorder(database, current, self.adjustments, self.adjustment_preview)
        self.forecaster = Forecaster(self.ledger, current)
        self._judge = BudgetJudge(
            database,
            announce,
            unmet_requirements,
            explain=reports.where_it_went,
            read_preceding=last_to_production,
            forecast=self.forecaster.forecast_all,
            find_adjustment=AdjustmentCauses(database, self.adjustment_preview, current).find,
            follow=self.freezes.follow,
            follow_alerts=PageFollower(database),
        )
        self.evaluator = Evaluator(
            self.collector,
            self.ledger,
            current,
            clock,
            self._assessed,
            leases=resources.leases,
            observe=resources.metrics.evaluation_seconds.observe,
        )
        resources.metrics.evaluation_behind.set_function(
            lambda: self.evaluator.behind(clock.now()).total_seconds()
        )
        lease = resources.leases.lease("forecasts")
        self._scores = ForecastScores(database, self.ledger, self.forecaster, current, lease)
        self.status_reader = StatusReader(
            current,
            self.evaluator,
            self.hold_registry,
            clock,
            self.forecaster,
            read_unready=read_unready,
            newest=self.evaluator.newest,
            kind_proofs=self.kind_proofs,
            find_guard_failure=find_guard_failure,
        )
        self.backtests = BacktestRunner(database, self.ledger.downtime)
        self.explanations = ExplanationReader(
            self.ledger, self.sources, clock, resources.settings.governor_docs_url
        )
        self.spending = SpendingReader(self.ledger, ServiceEventReader(database, current), clock)
        # Holds also stay for want of owned actions, which are written with incidents.
        stale = [Topic.HOLDS, Topic.INCIDENTS, Topic.DEPLOYMENTS]
        database.signals.subscribe(stale, self.status_reader.invalidate)
        # Incidents cost downtime.
        database.signals.subscribe([Topic.EVENTS, Topic.INCIDENTS], self.status_reader.note_events)
        database.signals.subscribe([Topic.HOLDS], self._holds_changed.set)

    async def follow_policies(self, catalog: Catalog) -> None:
        """Open the sources and ledgers of a catalog that has just come into force."""
        self.sources.follow(catalog.workspace)
        await self.ledger.register(catalog.slos)
        await self.maintenance.plan(catalog, self._clock.now())
        await self.freezes.windows.follow(catalog, self._clock.now())
        self._gauges.follow(catalog)
        self.status_reader.invalidate()
        self.status_reader.gate_states.forget()

    async def follow_holds(self) -> None:
        """Let metrics and flags follow what changed since the last evaluation, until cancelled."""
        while True:
            await self._holds_changed.wait()
            # An evaluation that writes many holds follows them itself, once it is through.
            await self._no_evaluation.wait()
            self._holds_changed.clear()
            try:
                before, self._frozen = self._frozen, await self._read_frozen()
            except Exception:
                # A loop's tick is a boundary: the next evaluation or hold reads them again.
                log.exception("holds_not_followed")
                continue
            changed = (before ^ self._frozen) & frozenset(self.evaluator.latest)
            self._gauges.show_holds(self._holds)
            if changed:
                self._gauges.show_frozen(changed, self._frozen)
                self._on_evaluated(changed)

    async def drop_lost_gauges(self) -> None:
        """Drop the metrics of services that another replica has taken over."""
        self._gauges.retain(self.evaluator.latest)

    @property
    def task_handlers(self) -> Sequence[TaskHandler]:
        """Return what is done when it is due."""
        return [HoldExpiry(self.hold_registry, self._service_of), self.freezes.windows]

    async def forecast(self) -> None:
        """Forecast all budgets anew: each replica for itself, since any of them answers. One scores them."""
        now, services = self._clock.now(), list(self._current.catalog.services.values())
        assessed = await self.status_reader.gate_states.budgets(services, now)
        budgets = [budget for own in assessed for budget in own]
        await self.forecaster.refresh(budgets)
        await self._scores.update(budgets, self._clock.now())

    async def drop_old_events(self) -> None:
        """Drop what no window and no goal of the policies in force needs any more."""
        now, catalog = self._clock.now(), self._current.catalog
        lengths = [slo.window.full_length(now) for slo in catalog.slos]
        # What is kept of the longest window is enough for a goal's time, as long as its deployments are kept.
        goals = [now - goal.term(now).span.start for goal in catalog.goals.values()]
        lengths += [min(length, HISTORY) / WINDOWS_RETAINED for length in goals]
        await self.ledger.delete_expired(now, max(lengths, default=_SHORTEST_HISTORY))

    async def _assessed(self, assessed: Assessed, now: datetime) -> None:
        self._evaluations += 1
        self._no_evaluation.clear()
        try:
            await self._judge.judge_all(assessed, now)
            self._frozen = await self._read_frozen()
        finally:
            self._evaluations -= 1
            if not self._evaluations:
                self._no_evaluation.set()
        self._on_evaluated([service.name for service, _ in assessed])
        pace = Pacer()
        for service, budgets in assessed:
            await pace()
            self._gauges.show(service, budgets, frozen=service.name in self._frozen, now=now)
        self._gauges.show_holds(self._holds)

    def _service_of(self, name: str) -> Service:
        return self._current.catalog.service_or_stand_in(name)

    async def _read_frozen(self) -> frozenset[str]:
        self._holds = await self.hold_registry.holds(self._clock.now())
        return frozenset(hold.service for hold in self._holds)
