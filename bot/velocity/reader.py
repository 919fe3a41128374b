"""Reads how fast a service or a team ships, in any span of time. Whoever shows velocity asks here.

    scope = find_scope(catalog, "checkout")            # or "@checkout-devs"; bot/velocity/scope.py
    velocity = await reader.velocity(scope, Span(now - timedelta(days=90), now))
    velocity.measures.lead_time.times.p50              # timedelta or None; bot/velocity/measures.py
    velocity.measures.deployment_frequency.per_week    # float
    velocity.measures.change_fail_rate.value           # 0 to 1, None where nothing was deployed; low, high, n
    velocity.measures.recovery.times.p50               # timedelta or None
    velocity.measures.rework_rate.value
    velocity.deliveries                                # the deployments of the span, oldest first
    velocity.periods                                   # the same measures week by week, for pictures

Everything is computed from what is stored, at each question: nothing is kept that a later link, a revert or
another span could contradict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bot.catalog.window import Span
from bot.store.database import Database
from bot.velocity.assembly import assemble
from bot.velocity.delivery import Delivery, within
from bot.velocity.measures import DeliveryMeasures, measure
from bot.velocity.periods import periods_of
from bot.velocity.rows import read_records
from bot.velocity.scope import VelocityScope

DEFAULT_SPAN: Final = timedelta(days=90)
"""How far back whoever names no time looks."""
LONGEST_SPAN: Final = timedelta(days=400)
"""As long as deployments are kept."""


@dataclass(frozen=True, slots=True)
class Velocity:
    """How fast the services of a scope shipped in a span, with the deliveries on which that rests.

    `periods` are the measures of the span's weeks (days or several weeks), for pictures.
    """

    scope: VelocityScope
    span: Span
    measures: DeliveryMeasures
    deliveries: tuple[Delivery, ...]
    periods: tuple[DeliveryMeasures, ...]


class VelocityReader:
    """Reads velocity."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def velocity(self, scope: VelocityScope, span: Span) -> Velocity:
        """Return the velocity of a scope; raises `ValueError` for an empty span."""
        deliveries = await self.deliveries(scope, span)
        return Velocity(
            scope,
            span,
            measure(deliveries, span),
            tuple(within(deliveries, span)),
            tuple(measure(deliveries, period) for period in periods_of(span)),
        )

    async def measures(self, scope: VelocityScope, span: Span) -> DeliveryMeasures:
        """Return the measures alone, for who shows no picture; raises `ValueError` for an empty span."""
        return measure(await self.deliveries(scope, span), span)

    async def deliveries(self, scope: VelocityScope, span: Span) -> Sequence[Delivery]:
        """Return the deliveries of a span, and some around it that they are measured by, oldest first."""
        times = {each.name: each.error_budget_policy.attribute_within for each in scope.services}
        async with self._database.reading() as connection:
            return assemble(await read_records(connection, times, span))
