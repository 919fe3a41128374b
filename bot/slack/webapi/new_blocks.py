"""Charts and tables in messages: not every workspace takes them yet, and a text is worth more than its block.

Slack rolls blocks such as `data_visualization` and `data_table` out in phases, for messages only, and refuses
the whole message where one is not there yet:
https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block.
"""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import structlog

from bot.slack.blockkit.tables import TABLE, as_sections

log = structlog.get_logger(__name__)

CHART = "data_visualization"
NEW_BLOCKS = frozenset({CHART, TABLE})
"""The types of blocks that a workspace may not have yet."""
REFUSED_FOR_S = 6 * 3_600.0
"""For how long no block of a type is sent to a workspace that refused one."""
BLOCKS_ERRORS = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"})
"""What Slack refuses a message's blocks with."""


class NewBlockSupport:
    """Which new blocks a workspace takes, as far as it is known; `now_s` is a monotonic clock."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._refused_until_s: dict[str, float] = {}

    def refused(self, kinds: Collection[str]) -> frozenset[str]:
        """Return those of the types that the workspace refused in the last hours."""
        return frozenset(kind for kind in kinds if self._now_s() < self._refused_until_s.get(kind, 0.0))

    def record_refusal(self, kinds: Collection[str], error: str) -> None:
        """Record that a message with blocks of these types was refused."""
        log.warning("new_blocks_refused", kinds=sorted(kinds), error=error[:300])
        self._refused_until_s.update(dict.fromkeys(kinds, self._now_s() + REFUSED_FOR_S))

    def withdraw_refusal(self, kinds: Collection[str]) -> None:
        """Record that these were not the reason: the message was refused without them too."""
        for kind in kinds:
            self._refused_until_s.pop(kind, None)


def new_kinds(blocks: object) -> frozenset[str]:
    """Return the types of new blocks among a message's blocks."""
    found = {_kind(block) for block in blocks} if isinstance(blocks, list | tuple) else set()
    return NEW_BLOCKS & found


def without(blocks: Sequence[Any], kinds: Collection[str]) -> list[Any]:
    """Return the blocks without those of these types: charts are left out, tables become their rows' text."""
    kept: list[Any] = []
    for block in blocks:
        if _kind(block) not in kinds:
            kept.append(block)
        elif _kind(block) == TABLE:
            kept += as_sections(block)
    return kept


def _kind(block: object) -> str:
    return str(block.get("type")) if isinstance(block, dict) else ""
