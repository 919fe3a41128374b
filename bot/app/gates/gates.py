"""The adapters of the platforms that changes go through, wired."""

from collections.abc import Sequence

from aiohttp import web

from bot.app.resources import Resources
from bot.catalog.catalog import Catalog
from bot.gates.adapter import GateAdapter
from bot.tasks.handler import TaskHandler


class Gates:
    """All adapters; one that the policies do not set up answers that it is not set up."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._adapters: Sequence[GateAdapter] = ()

    @property
    def task_handlers(self) -> Sequence[TaskHandler]:
        """The handlers of the adapters' due tasks."""
        return [handler for adapter in self._adapters for handler in adapter.task_handlers]

    def add_routes(self, app: web.Application) -> None:
        """Add the addresses that platforms call."""
        for adapter in self._adapters:
            adapter.add_routes(app)

    async def follow(self, catalog: Catalog) -> None:
        """Plan what the policies in force make due on each platform."""
        for adapter in self._adapters:
            await adapter.follow(catalog)
