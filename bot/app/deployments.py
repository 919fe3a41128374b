"""Deployments, wired: what is recorded of them, and what GitHub is asked about them and about issues."""

from collections.abc import Sequence

from bot.app.resources import Resources
from bot.deployments.actor import AgentAccounts
from bot.deployments.backfill.handler import ImportHandler
from bot.deployments.backfill.imports import DeploymentImports
from bot.deployments.changes.handler import ChangesHandler
from bot.deployments.changes.planner import ChangesPlanner
from bot.deployments.github.client import GitHubClient
from bot.deployments.recorder import DeploymentRecorder, ReadUnready
from bot.deployments.undo_detector import UndoDetector
from bot.freezes.exemptions.kind_proofs import KindProofs
from bot.freezes.exemptions.passages import Passages
from bot.freezes.exemptions.proven_kinds import ProvenKinds
from bot.freezes.exemptions.uses import ExemptionUses
from bot.incidents.issues.github import GitHubIssuePolling, GitHubIssues
from bot.slack.announcements.deployments import DeploymentAnnouncer
from bot.slack.announcements.proven_kinds import proven_kind_messages
from bot.tasks.handler import TaskHandler


class Deployments:
    """All parts of deployments. Without a token for GitHub nothing is asked there."""

    def __init__(
        self,
        resources: Resources,
        undo_detector: UndoDetector,
        *,
        read_unready: ReadUnready,
        kind_proofs: KindProofs,
    ) -> None:
        settings, database, current = resources.settings, resources.database, resources.current
        token = settings.github_token
        self.agents = AgentAccounts(settings.agent_accounts.split(","))
        self.proven_kinds = ProvenKinds(database, proven_kind_messages)
        self.passages = Passages(self.proven_kinds, ExemptionUses(database))
        planner = ChangesPlanner(database, current, can_ask=token is not None)
        self.recorder = DeploymentRecorder(
            database,
            current,
            DeploymentAnnouncer(current),
            self.proven_kinds,
            undo_detector,
            changes=planner,
            read_unready=read_unready,
            kind_proofs=kind_proofs,
        )
        self.imports = DeploymentImports(database, can_ask=token is not None)
        client = GitHubClient(
            resources.session,
            settings.github_api_url,
            token.get_secret_value() if token is not None else None,
            resources.clock,
        )
        self.issues = GitHubIssuePolling(
            database, GitHubIssues(client, settings.github_api_url), can_ask=token is not None
        )
        self.handlers: Sequence[TaskHandler] = (
            ChangesHandler(database, client, undo_detector),
            ImportHandler(database, current, client, planner, self.agents),
            self.issues,
        )
