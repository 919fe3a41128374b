"""GitHub as a gate: the App's webhook, what it answers, and what is looked up now and then."""

from collections.abc import Sequence

import aiohttp
from aiohttp import web

from bot.catalog.catalog import Catalog
from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.freezes.exemptions.requests import ExemptionRequests
from bot.freezes.status import StatusReader
from bot.gates.github.answerer import GITHUB, GitHubAnswerer
from bot.gates.github.client import GitHubApp
from bot.gates.github.exemption_button import ExemptionButton
from bot.gates.github.questions import QuestionReader, services_of
from bot.gates.github.redelivery import GitHubRedelivery
from bot.gates.github.webhook import GitHubAppWebhook
from bot.gates.waits.answering import WaitAnswering
from bot.settings import Settings
from bot.store.database import Database
from bot.tasks.handler import TaskHandler


class GitHubGate:
    """The adapter of GitHub. Without an App in the settings its address says how to set one up."""

    def __init__(
        self,
        settings: Settings,
        session: aiohttp.ClientSession,
        current: CurrentCatalog,
        status_reader: StatusReader,
        requests: ExemptionRequests,
        *,
        answering: WaitAnswering,
        database: Database,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._waits = answering.waits
        app = github_app(settings, session, clock)
        reader = None if app is None else QuestionReader(app, current)
        if app is not None:
            answering.register([GitHubAnswerer(app, current)])
        button = ExemptionButton(status_reader, requests, answering.waits, current, clock)
        self._webhook = GitHubAppWebhook(
            settings.github_app_secrets, reader, answering.waits, button, current
        )
        self._redelivery = GitHubRedelivery(database, app)

    @property
    def task_handlers(self) -> Sequence[TaskHandler]:
        """The handlers of its due tasks."""
        return (self._redelivery,)

    def add_routes(self, app: web.Application) -> None:
        """Add the App's webhook."""
        self._webhook.add_routes(app)

    async def follow(self, catalog: Catalog) -> None:
        """Look for the services of what waits without one, and begin to look for lost deliveries."""
        await self._redelivery.plan(self._clock.now())
        for wait in await self._waits.waiting(GITHUB):
            if wait.question.services:
                continue
            environment = wait.place.get("environment")
            services = services_of(catalog, str(wait.place["repository"]), environment)
            if services:
                await self._waits.assign(wait, services)


def github_app(settings: Settings, session: aiohttp.ClientSession, clock: Clock) -> GitHubApp | None:
    """Return the App of the settings; None where they name none."""
    app_id, key = settings.github_app_id, settings.github_app_key
    if app_id is None or key is None:
        return None
    return GitHubApp(session, settings.github_api_url, app_id, key, clock)
