"""Charts in messages: not every workspace takes them yet, and a text is worth more than its chart.

Slack rolls the block `data_visualization` out in phases, for messages only, and refuses the whole message
where it is not there yet: https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog

log = structlog.get_logger(__name__)

CHART = "data_visualization"
REFUSED_FOR_S = 6 * 3_600.0
"""For how long no charts are sent to a workspace that refused one."""
BLOCKS_ERRORS = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"})
"""What Slack refuses a message's blocks with."""


class ChartSupport:
    """Whether a workspace takes charts, as far as it is known; `now_s` is a monotonic clock."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._refused_until_s = 0.0

    @property
    def is_refused(self) -> bool:
        """Whether the workspace refused a chart in the last hours."""
        return self._now_s() < self._refused_until_s

    def record_refusal(self, error: str) -> None:
        """Record that a message with a chart was refused."""
        log.warning("charts_refused", error=error[:300])
        self._refused_until_s = self._now_s() + REFUSED_FOR_S

    def withdraw_refusal(self) -> None:
        """Record that the chart was not the reason: the message was refused without it too."""
        self._refused_until_s = 0.0


def has_charts(blocks: object) -> bool:
    """Return whether a message's blocks have a chart among them."""
    return isinstance(blocks, list | tuple) and any(_is_chart(block) for block in blocks)


def without_charts(blocks: Sequence[Any]) -> list[Any]:
    """Return the blocks that every workspace takes."""
    return [block for block in blocks if not _is_chart(block)]


def _is_chart(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") == CHART
