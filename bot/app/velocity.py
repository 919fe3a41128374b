"""Velocity, wired: the readers of the delivery measures and of their costs, and the gauges of both."""

from datetime import timedelta
from typing import Final

from bot.app.budgets import Budgets
from bot.app.metrics.velocity import VelocityGauges
from bot.app.resources import Resources
from bot.catalog.window import Span
from bot.slack.capabilities import VelocityCapabilities
from bot.velocity.cost_reader import CostReader
from bot.velocity.delivery import Delivery
from bot.velocity.goals.reader import GoalReader
from bot.velocity.measures import measure
from bot.velocity.reader import VelocityReader
from bot.velocity.scope import all_services

MEASURED_OVER: Final = timedelta(days=30)
"""The time that the gauges are about."""


class VelocityParts:
    """All parts of velocity."""

    def __init__(self, resources: Resources, budgets: Budgets) -> None:
        self._current = resources.current
        self._clock = resources.clock
        self._gauges = VelocityGauges(resources.metrics)
        self._docs_url = resources.settings.governor_docs_url
        database = resources.database
        self.reader = VelocityReader(database)
        self.costs = CostReader(
            self.reader, budgets.spending.events, database, budgets.ledger, resources.clock
        )

        self.goals = GoalReader(budgets.ledger, self.reader)

    @property
    def capabilities(self) -> VelocityCapabilities:
        """What commands can ask."""
        return VelocityCapabilities(self.reader, self.costs, self.goals, self._docs_url)

    async def measure(self) -> None:
        """Set the gauges anew: each replica for itself, since any of them may be asked."""
        now = self._clock.now()
        span = Span(now - MEASURED_OVER, now)
        scope = all_services(self._current.catalog)
        by_service: dict[str, list[Delivery]] = {name: [] for name in scope.service_names}
        # One look for all services: there may be hundreds.
        for delivery in await self.reader.deliveries(scope, span):
            by_service[delivery.service].append(delivery)
        for name, deliveries in by_service.items():
            self._gauges.show(measure(deliveries, span), name)
        self._gauges.follow(by_service)
