"""Rate limits of edits: `chat.update`, which Slack allows 50 times a minute and workspace (tier 3).

Nothing is kept of the edits of a process that ended, so each begins with nothing saved: however often the
replicas start anew, they stay below Slack's limit together.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

MOST_A_MINUTE = 36
_SAVED_SHARE = 1 / 3
"""How much of a minute's edits can be saved up while nothing is edited: 36 + 12 stays below 50."""


class EditRateLimit:
    """Limits this replica's edits in one Slack workspace.

    `replicas` returns how many replicas share the limit; `minute_s` is how long a minute lasts; `now_s` is a
    monotonic clock.
    """

    def __init__(
        self, minute_s: float, replicas: Callable[[], int], *, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._minute_s = minute_s
        self._replicas = replicas
        self._now_s = now_s
        self._saved = 0.0
        self._counted_at = now_s()
        self._paused_until = 0.0

    def acquire(self) -> float:
        """Take one edit from the limit and return 0, or return after how many seconds to try again."""
        now = self._now_s()
        share = MOST_A_MINUTE / max(1, self._replicas())
        per_second = share / self._minute_s
        saved = self._saved + (now - self._counted_at) * per_second
        self._saved, self._counted_at = min(saved, max(1.0, share * _SAVED_SHARE)), now
        if now < self._paused_until:
            return self._paused_until - now
        if self._saved < 1:
            return (1 - self._saved) / per_second
        self._saved -= 1
        return 0.0

    async def wait(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Wait with `sleep` until the limit allows an edit, which must then follow at once."""
        while (wait_s := self.acquire()) > 0:
            await sleep(wait_s)

    def pause(self, seconds: float) -> None:
        """Edit nothing for some seconds, since Slack says so."""
        self._paused_until = max(self._paused_until, self._now_s() + seconds)


class EditRateLimits:
    """The limit of each Slack workspace, by the team's id; `None` is the main one."""

    def __init__(self, minute_s: float, replicas: Callable[[], int] = lambda: 1) -> None:
        self._minute_s = minute_s
        self._replicas = replicas
        self._limits: dict[str | None, EditRateLimit] = {None: EditRateLimit(minute_s, replicas)}

    def of(self, team: str | None) -> EditRateLimit:
        """Return a workspace's limit."""
        if team not in self._limits:
            self._limits[team] = EditRateLimit(self._minute_s, self._replicas)
        return self._limits[team]
