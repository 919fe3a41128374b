"""How many calls of an account a platform allows in a time. Pure; no clock, no I/O."""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class CallLimit:
    """At most `most` calls that count as `cost` in any stretch of time `per`."""

    cost: str
    most: int
    per: timedelta


class CallAllowance:
    """When an account's next call may be made, by the calls that were made."""

    def __init__(self, limits: Sequence[CallLimit]) -> None:
        self._limits = tuple(limits)
        self._calls: defaultdict[str, deque[datetime]] = defaultdict(deque)
        self._longest = max((limit.per for limit in limits), default=timedelta())
        self.blocked_until: datetime | None = None

    def note(self, costs: Iterable[str], at: datetime) -> None:
        """Count a call."""
        for cost in costs:
            calls = self._calls[cost]
            calls.append(at)
            while calls[0] <= at - self._longest:
                calls.popleft()

    def block(self, until: datetime) -> None:
        """Allow nothing until then: the platform asked to wait."""
        self.blocked_until = max(until, self.blocked_until or until)

    def allowed_at(self, costs: Iterable[str], now: datetime) -> datetime:
        """Return when a call may be made: now, or later."""
        at = max(now, self.blocked_until or now)
        asked = set(costs)
        for limit in self._limits:
            calls = self._calls[limit.cost]
            if limit.cost in asked and len(calls) >= limit.most:
                at = max(at, calls[-limit.most] + limit.per)
        return at
