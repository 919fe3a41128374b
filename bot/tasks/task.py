"""A task that is due at a time, how it is tried again, and when it is given up. Pure; no clock, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

_MOST_DOUBLINGS = 20


class TaskState(StrEnum):
    """What became of a task. All but `pending` are for good."""

    PENDING = "pending"
    DONE = "done"
    CANCELLED = "cancelled"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A task to plan. `key` tells it from all others of its kind that ever were; `payload` is JSON."""

    kind: str
    key: str
    due_at: datetime
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DueTask:
    """A task as stored. `attempts` counts those that failed; `error` is why the last one did.

    `version` tells whether anybody has written to it since it was read.
    """

    id: int
    kind: str
    key: str
    due_at: datetime
    payload: Mapping[str, Any]
    attempts: int = 0
    error: str | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class RetryRule:
    """When a task that failed is tried again, and when it is given up.

    The waits double from `first_wait` to `longest_wait`. It is given up at the failure that ends
    `give_up_after` since it was due, or at the failure number `most_attempts`, where these are set.
    """

    first_wait: timedelta = timedelta(seconds=1)
    longest_wait: timedelta = timedelta(minutes=5)
    give_up_after: timedelta | None = None
    most_attempts: int | None = None

    def wait(self, attempts: int) -> timedelta:
        """Return how long to wait after the failure number `attempts`, counted from 1."""
        doublings = min(max(0, attempts - 1), _MOST_DOUBLINGS)
        return min(self.longest_wait, self.first_wait * (1 << doublings))

    def is_given_up(self, attempts: int, due_at: datetime, now: datetime) -> bool:
        """Return whether a task that has failed `attempts` times is tried no more."""
        if self.most_attempts is not None and attempts >= self.most_attempts:
            return True
        return self.give_up_after is not None and now - due_at >= self.give_up_after
