"""Lifts holds that outlived their incident, should the step that lifts them have been lost."""

from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.freezes.hold_registry import HoldRegistry
from bot.store.item_failures import ItemFailures


class EndedHolds:
    """Each `tick` lifts the holds whose cause ended more than a minute ago, each by itself."""

    def __init__(self, hold_registry: HoldRegistry, current: CurrentCatalog, clock: Clock) -> None:
        self._hold_registry = hold_registry
        self._current = current
        self._clock = clock
        self._failures = ItemFailures("ended_hold_not_lifted")

    async def tick(self) -> None:
        """Lift what is due; a hold that cannot be lifted keeps no other from it."""
        now, service_of = self._clock.now(), self._current.catalog.service_or_stand_in
        for hold, cause in await self._hold_registry.ended_causes(service_of, now):
            if not cause.ended_long_ago(now):
                continue
            with self._failures.isolate(hold.id) as is_due:
                if is_due:
                    await self._hold_registry.lift_ended(service_of(hold.service), hold, cause, now)
