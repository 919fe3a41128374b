"""Slack's rate limits, enforced strictly.

Two rules, each in real time:

- `chat.postMessage`: a message a second and channel. Slack tolerates short
  bursts, so a channel that has been quiet takes `burst` messages at once and
  regains one a second.
- Every method: its tier's calls within any 60 seconds (`slack_facts.CALLS_A_MINUTE`).

Slack guarantees at least these numbers; here nothing above them is allowed.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Final

from bot.sandbox.fake_slack.slack_facts import CALLS_A_MINUTE, METHODS

MESSAGE_BURST: Final = 3
_WINDOW_S: Final = 60.0


class RateLimits:
    """Counts calls and messages; `wall` returns real seconds. `enabled` switches both rules."""

    def __init__(self, wall: Callable[[], float], *, burst: int = MESSAGE_BURST) -> None:
        self._wall = wall
        self.burst = burst
        self.enabled = True
        self._calls: defaultdict[str, deque[float]] = defaultdict(deque)
        self._tokens: dict[str, tuple[float, float]] = {}

    def reset(self) -> None:
        """Forget all calls: a minute has passed."""
        self._calls.clear()
        self._tokens.clear()

    def retry_after_method(self, method: str) -> int | None:
        """Count a call; return the seconds to wait if there are too many."""
        if not self.enabled:
            return None
        now = self._wall()
        calls = self._calls[method]
        while calls and calls[0] <= now - _WINDOW_S:
            calls.popleft()
        if len(calls) >= CALLS_A_MINUTE[METHODS[method].tier]:
            return max(1, math.ceil(calls[0] + _WINDOW_S - now))
        calls.append(now)
        return None

    def retry_after_message(self, channel_id: str) -> int | None:
        """Count a message to a channel; return the seconds to wait if it comes too soon."""
        if not self.enabled:
            return None
        now = self._wall()
        tokens, at = self._tokens.get(channel_id, (float(self.burst), now))
        tokens = min(float(self.burst), tokens + now - at)
        if tokens < 1:
            self._tokens[channel_id] = (tokens, now)
            return max(1, math.ceil(1 - tokens))
        self._tokens[channel_id] = (tokens - 1, now)
        return None
