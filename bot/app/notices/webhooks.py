"""Outgoing webhooks, wired."""

from bot.app.resources import Resources
from bot.catalog.catalog import Catalog
from bot.http.auth import TokenVerifier
from bot.http.health import ReadinessCheck
from bot.http.webhooks.deliveries import WebhookDeliveriesEndpoint
from bot.slack.notices.disabled_webhooks import DisabledWebhooks
from bot.tasks.runner import TaskRunner
from bot.webhooks import records
from bot.webhooks.client import WebhookClient
from bot.webhooks.events import WebhookEvents
from bot.webhooks.handler import WebhookHandler
from bot.webhooks.redelivery import Redeliveries


class Webhooks:
    """Plans events for endpoints, and delivers them: each endpoint has a kind of tasks of its own."""

    def __init__(self, resources: Resources, tasks: TaskRunner) -> None:
        self._database = resources.database
        self._current = resources.current
        self._tasks = tasks
        self._client = WebhookClient(resources.session)
        self._announce = DisabledWebhooks(resources.current)
        self._events = WebhookEvents(
            resources.database, resources.current, resources.clock, resources.leases.lease("webhooks")
        )
        self._redeliveries = Redeliveries(resources.database, resources.current, resources.clock)

    async def follow(self, catalog: Catalog) -> None:
        """Deliver to the endpoints of the policies in force, and to no other."""
        await self._events.follow(catalog)
        known = self._tasks.handlers
        self._tasks.register(
            WebhookHandler(name, self._client, self._database, self._current, self._announce)
            for name in catalog.workspace.webhooks
            if records.kind_of(name) not in known
        )

    async def plan_deliveries(self) -> None:
        """Plan what is to be delivered of what has happened."""
        await self._events.plan_deliveries()

    def endpoint(self, tokens: TokenVerifier) -> WebhookDeliveriesEndpoint:
        """Return the endpoint of deliveries."""
        return WebhookDeliveriesEndpoint(self._database, self._redeliveries, tokens)

    async def readiness(self) -> ReadinessCheck:
        """Whether every webhook gets its events, and how many wait."""
        async with self._database.reading() as connection:
            states = await records.read_endpoints(connection)
            waiting = await records.count_pending(connection)
        disabled = {name: state.problem for name, state in states.items() if state.disabled_at is not None}
        detail = {"disabled": disabled, "waiting": dict(waiting)}
        return ReadinessCheck("webhooks", ok=not disabled, vital=False, detail=detail)
