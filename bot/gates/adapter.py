"""What every adapter of a platform offers to the application."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from bot.catalog.catalog import Catalog
from bot.tasks.handler import TaskHandler


class GateAdapter(Protocol):
    """One platform: what it may call, what is due on it, and what follows from new policies."""

    @property
    def task_handlers(self) -> Sequence[TaskHandler]:
        """The handlers of its due tasks."""
        ...

    def add_routes(self, app: web.Application) -> None:
        """Add its addresses, all under `/gates/`."""
        ...

    async def follow(self, catalog: Catalog) -> None:
        """Plan what the policies in force make due; asked at the start and after each change."""
        ...
