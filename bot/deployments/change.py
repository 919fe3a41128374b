"""The changes that a deployment carried, as plain values. Pure; no clock, no I/O."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

LONGEST_TITLE: Final = 300
TOLD: Final = "as whoever reported it said"
"""The note on changes that came with the report: they are not asked for elsewhere."""


class ChangesState(StrEnum):
    """What is known of the changes of a deployment."""

    UNKNOWN = "unknown"
    """Nobody has asked."""
    PENDING = "pending"
    """They will be asked for."""
    KNOWN = "known"
    UNAVAILABLE = "unavailable"
    """They cannot be had; a note says why."""


@dataclass(frozen=True, slots=True)
class CarriedChange:
    """A commit that a deployment carried; merge commits are none. It has no author: nobody is measured.

    `change` is the pull request that brought it (`PR-12`), `merged_at` when it was first on the default
    branch. `reverts` is the commit or the pull request that it takes back, by its own message.
    """

    commit: str
    title: str = ""
    change: str | None = None
    authored_at: datetime | None = None
    merged_at: datetime | None = None
    reverts: str | None = None
