"""The canary guard for changes that are no flags: what a deployment does from its first traffic on."""

from bot.catalog.catalog import Service
from bot.flags.change_readings import ChangeReadings
from bot.flags.guard import Guard, crossing
from bot.freezes.gate.begun import BegunChange
from bot.freezes.verdict import GuardFailure


class ChangeGuard:
    """Judges changes by what was counted before and since, as increases of flags are judged."""

    def __init__(self, readings: ChangeReadings) -> None:
        self._readings = readings

    async def find_failure(self, service: Service, watched: BegunChange) -> GuardFailure | None:
        """Return what the guard found against a change since it began, by the service's own policy."""
        readings = await self._readings.since([service], watched.began_at, "")
        if not readings:
            return None
        guard = service.error_budget_policy.guard
        evidence = crossing(Guard(float(guard.burn), guard.watch_for), readings)
        return None if evidence is None else GuardFailure(f"{watched.change} does harm: {evidence.words}")
