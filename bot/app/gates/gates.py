"""The adapters of the platforms that changes go through, wired."""

import asyncio
from collections.abc import Sequence

from aiohttp import web

from bot.app.gates.pipelines import gitlab_gate, terraform_gate
from bot.app.resources import Resources
from bot.catalog.catalog import Catalog
from bot.freezes.exemptions.passages import Passages
from bot.freezes.exemptions.requests import ExemptionRequests
from bot.freezes.status import StatusReader
from bot.gates.adapter import GateAdapter
from bot.gates.argocd.adapter import ArgoCdGate
from bot.gates.github.adapter import GitHubGate
from bot.gates.kubernetes.adapter import KubernetesGate
from bot.gates.kubernetes.clusters import Clusters
from bot.gates.kubernetes.held_services import HeldServiceReader
from bot.gates.progressive.argo import KargoGate, RolloutsGate
from bot.gates.progressive.flagger import FlaggerGate
from bot.gates.progressive.questions import FindCaller, GateQuestions
from bot.gates.waits.answering import WaitAnswering
from bot.store.signals import Topic
from bot.tasks.handler import TaskHandler


class Gates:
    """All adapters; one that the policies do not set up answers that it is not set up."""

    def __init__(
        self,
        resources: Resources,
        status_reader: StatusReader,
        passages: Passages,
        requests: ExemptionRequests,
    ) -> None:
        self.questions = GateQuestions(status_reader, passages, resources.database, resources.clock)
        self.answering = WaitAnswering(resources.database, self.questions, resources.clock, resources.leases)
        self.clusters = Clusters(resources.current, resources.settings.kubeconfig)
        held_services = HeldServiceReader(status_reader, resources.database)
        clock, lease = resources.clock, resources.leases.lease
        self.kubernetes = KubernetesGate(
            self.clusters, status_reader, held_services, clock, lease("kubernetes")
        )
        github = GitHubGate(
            resources.settings,
            resources.session,
            resources.current,
            status_reader,
            requests,
            answering=self.answering,
            database=resources.database,
            clock=resources.clock,
        )
        self.argocd = ArgoCdGate(self.clusters, status_reader, held_services, clock, lease("argocd"))
        for gate in (self.kubernetes, self.argocd):
            resources.database.signals.subscribe([Topic.HOLDS], gate.note_change)
        self._gitlab = gitlab_gate(resources, self.questions, self.answering)
        terraform = terraform_gate(resources, self.answering)
        self._adapters: Sequence[GateAdapter] = (
            self.kubernetes,
            self.argocd,
            github,
            self._gitlab,
            terraform,
        )

    @property
    def task_handlers(self) -> Sequence[TaskHandler]:
        """The handlers of the adapters' due tasks."""
        return [handler for adapter in self._adapters for handler in adapter.task_handlers]

    def add_routes(self, app: web.Application, find_caller: FindCaller) -> None:
        """Add the addresses that platforms call; `find_caller` knows the tokens that may ask the gate."""
        for gate in (FlaggerGate, RolloutsGate, KargoGate):
            gate(self.questions, find_caller).add_routes(app)
        for adapter in self._adapters:
            adapter.add_routes(app)

    async def run(self) -> None:
        """Let platforms know what may go as soon as it may, and what is held, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.answering.run(), name="gate waits")
                tasks.create_task(self.kubernetes.run(), name="kubernetes")
                tasks.create_task(self.argocd.run(), name="argocd")
                tasks.create_task(self._gitlab.run(), name="gitlab")
        finally:
            await self.clusters.close()

    async def follow(self, catalog: Catalog) -> None:
        """Plan what the policies in force make due on each platform."""
        for adapter in self._adapters:
            await adapter.follow(catalog)
