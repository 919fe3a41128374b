"""The capabilities behind the Slack side, as one value that is made once and passed down whole."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from bot.backtests.runner import BacktestRunner
from bot.budgets.adjustment_preview import AdjustmentPreview
from bot.budgets.adjustments.registry import AdjustmentRegistry
from bot.canaries.control import CanaryControl
from bot.clock import Clock
from bot.flags.changes.executor import ChangeExecutor
from bot.flags.ramps.control import RampControl
from bot.freezes.bulk.holds import BulkHolds
from bot.freezes.calendar.planning import FreezeSchedules
from bot.freezes.exemptions.requests import ExemptionRequests
from bot.freezes.explanation_reader import ExplanationReader
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.status import StatusReader
from bot.incidents.duplicates.merging import Merging
from bot.incidents.lifecycle import IncidentLifecycle
from bot.incidents.postmortem_closing import PostmortemClosing
from bot.incidents.records.actions import Actions
from bot.incidents.report_reader import ReportReader
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.snapshot_reader import SnapshotReader
from bot.slack.command_prefix import CommandPrefix
from bot.slack.notices.welcome import Welcomes
from bot.slack.typed.link_addresses import LinkAddresses
from bot.spending.reader import SpendingReader
from bot.store.database import Database
from bot.teams.digests.sending import DigestSending
from bot.teams.readiness.launches import Launches
from bot.teams.reviews.agreeing import ReviewAgreements
from bot.teams.rotations.control import RotationControl
from bot.velocity.cost_reader import CostReader
from bot.velocity.goals.reader import GoalReader
from bot.velocity.reader import VelocityReader


@dataclass(frozen=True, slots=True)
class IncidentCapabilities:
    """The capabilities of incidents; `channel_of` waits some seconds for an incident's channel."""

    lifecycle: IncidentLifecycle
    merging: Merging
    snapshots: SnapshotReader
    actions: Actions
    closing: PostmortemClosing
    reports: ReportReader
    channel_of: Callable[[int, float], Awaitable[IncidentSnapshot]]


@dataclass(frozen=True, slots=True)
class AdjustmentCapabilities:
    """What people can do with adjustments."""

    registry: AdjustmentRegistry
    preview: AdjustmentPreview


@dataclass(frozen=True, slots=True)
class VelocityCapabilities:
    """How fast services ship, and what that and their freezes cost; `docs_url` is where `docs` is read."""

    reader: VelocityReader
    costs: CostReader
    goals: GoalReader
    docs_url: str = "docs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The capabilities behind the commands; `prefix` goes before the commands' names.

    `addresses` are those of incidents and services, if the bot has a public address. `team` is the Slack
    workspace that they are limited to, None for the main one.
    """

    status_reader: StatusReader
    explanations: ExplanationReader
    spending: SpendingReader
    backtests: BacktestRunner
    hold_registry: HoldRegistry
    bulk_holds: BulkHolds
    freeze_schedules: FreezeSchedules
    exemption_requests: ExemptionRequests
    adjustments: AdjustmentCapabilities
    flag_changes: ChangeExecutor
    ramps: RampControl
    incidents: IncidentCapabilities
    launches: Launches
    velocity: VelocityCapabilities
    rotations: RotationControl
    reviews: ReviewAgreements
    digests: DigestSending
    database: Database
    clock: Clock
    prefix: CommandPrefix
    addresses: LinkAddresses = field(default_factory=LinkAddresses)
    welcomes: Welcomes | None = None
    canaries: CanaryControl | None = None
    team: str | None = None

    def seen_from(self, team: str | None) -> "Capabilities":
        """Return the capabilities limited to the services of a Slack workspace, of the main one for None."""
        return replace(self, status_reader=self.status_reader.seen_from(team), team=team)
