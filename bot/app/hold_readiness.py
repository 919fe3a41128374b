"""The readiness check on holds: none may outlive what it was placed for."""

from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.freezes.hold_registry import HoldRegistry
from bot.http.health import ReadinessCheck

_SHOWN_HOLDS = 20


class HoldReadiness:
    """Names the holds whose cause has ended, with how to lift them."""

    def __init__(self, hold_registry: HoldRegistry, current: CurrentCatalog, clock: Clock) -> None:
        self._hold_registry = hold_registry
        self._current = current
        self._clock = clock

    async def holds(self) -> ReadinessCheck:
        """Whether every hold still has its cause; one that ended this minute is being lifted."""
        now = self._clock.now()
        found = await self._hold_registry.ended_causes(self._current.catalog.service_or_stand_in, now)
        ended = [
            {
                "id": hold.id,
                "service": hold.service,
                "kind": str(hold.kind),
                "since": hold.since.isoformat(),
                "problem": f"{cause.why}; /freeze lift {hold.service} lifts it",
            }
            for hold, cause in found
            if cause.since is None or cause.ended_long_ago(now)
        ]
        detail = {"cause_ended": ended[:_SHOWN_HOLDS], "count": len(ended)}
        return ReadinessCheck("holds", ok=not ended, vital=False, detail=detail)
