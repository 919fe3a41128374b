"""Keeps the error of one item of a loop with that item: the others go on, it is tried again ever later.

    failures = ItemFailures("ramp_not_advanced")
    for ramp in ramps:
        with failures.isolate(ramp.id) as is_due:
            if is_due:
                await advance(ramp)

An error that means that the database is away is no item's: it passes through and ends the loop's tick.
"""

import time
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from bot.store.health.errors import is_away

log = structlog.get_logger(__name__)

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
_MOST_DOUBLINGS = 10


@dataclass(frozen=True, slots=True)
class ItemFailure:
    """The last error of an item, how often it failed in a row, and when it is tried again (monotonic)."""

    error: str
    times: int
    due_at_s: float


class ItemFailures:
    """The items of a loop that fail, with when each is tried again. `event` names a failure in the log.

    `now_s` is a monotonic clock: waiting goes by real time. What is known is lost with the process, so
    that after a start every item is tried at once.
    """

    def __init__(self, event: str, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._event = event
        self._now_s = now_s
        self._failures: dict[Hashable, ItemFailure] = {}

    @property
    def failing(self) -> Mapping[Hashable, ItemFailure]:
        """The items whose last attempt failed: a copy."""
        return dict(self._failures)

    def is_due(self, item: Hashable) -> bool:
        """Return whether an item may be tried now."""
        failure = self._failures.get(item)
        return failure is None or failure.due_at_s <= self._now_s()

    def record(self, item: Hashable, error: str, after_s: float | None = None) -> None:
        """Record that an attempt failed; `after_s` is the least time until the next, if that is known."""
        before = self._failures.get(item)
        times = before.times + 1 if before else 1
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(times - 1, _MOST_DOUBLINGS))
        self._failures[item] = ItemFailure(error, times, self._now_s() + max(wait_s, after_s or 0.0))

    @contextmanager
    def isolate(self, item: Hashable) -> Iterator[bool]:
        """Yield whether the item is due; keep an error of the block with the item.

        The caller does nothing with an item that is not due. A block that ends without an error, and
        without one that it recorded itself, ends the item's failures.
        """
        if not self.is_due(item):
            yield False
            return
        before = self._failures.get(item)
        try:
            yield True
        except Exception as error:
            # The boundary between the items of a loop: one that fails must not end the others.
            if is_away(error):
                raise
            self.record(item, type(error).__name__)
            log.exception(self._event, item=str(item), times=self._failures[item].times)
        else:
            if self._failures.get(item) is before:
                self.forget(item)

    async def attempt(self, item: Hashable, work: Callable[[], Awaitable[None]]) -> bool:
        """Do the work of an item that is due, isolated; return whether it failed now."""
        with self.isolate(item) as is_due:
            if is_due:
                await work()
        return is_due and item in self._failures

    def forget(self, item: Hashable) -> None:
        """End the failures of an item, if there are any."""
        self._failures.pop(item, None)

    def keep_only(self, items: "set[Hashable]") -> None:
        """Forget items that are gone."""
        for item in self._failures.keys() - items:
            del self._failures[item]
