"""HCP Terraform as a gate: its address, and the tokens that are to be forgotten."""

from collections.abc import Sequence

from aiohttp import web

from bot.catalog.catalog import Catalog
from bot.gates.terraform.run_tasks import RunTaskHook
from bot.gates.terraform.tokens import TokenHandler
from bot.tasks.handler import TaskHandler


class TerraformGate:
    """Takes run tasks; nothing follows from new policies."""

    def __init__(self, hook: RunTaskHook) -> None:
        self._hook = hook

    @property
    def task_handlers(self) -> Sequence[TaskHandler]:
        """The handler that forgets tokens."""
        return [TokenHandler()]

    def add_routes(self, app: web.Application) -> None:
        """Add the address of run tasks."""
        self._hook.add_routes(app)

    async def follow(self, catalog: Catalog) -> None:
        """Plan nothing."""
        del catalog
