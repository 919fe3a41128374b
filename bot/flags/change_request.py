"""A change of a flag from the wish to the record, and what is told of it. Pure values; no clock, no I/O.

ToggleError
├── Barred            a service that the flag belongs to is frozen, and the change would raise the flag
├── Busy              another change of the flag is on its way
├── AlreadyRequested  this very request was carried out before (a repeated delivery)
├── NotOpen           nothing waits for an approval any more
├── OwnApproval       somebody wanted to approve what they had asked for themselves
├── Moved             the flag is no longer what the change was shown for; it is void
├── NothingToUndo     the bot has changed nothing, or somebody has changed it since
└── Unseen            sent, and nobody can see yet what became of it
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.flags.change import Difference, FlagChange
from bot.flags.flag import FlagState
from bot.freezes.hold import GOVERNOR
from bot.freezes.verdict import Verdict


class FlagChangeError(Exception):
    """A change was not carried out. The message is fit for the person who asked."""


class FrozenError(FlagChangeError):
    """A service is frozen. `verdict` says why, `change` is what an exemption would have to name."""

    def __init__(self, verdict: Verdict, flag: str) -> None:
        super().__init__(f"{verdict.service} does not take it: {'; '.join(verdict.reasons)}")
        self.verdict = verdict
        self.change = change_name(flag)


class ChangeInProgressError(FlagChangeError):
    """Another change of the flag is on its way."""


class DuplicateChangeError(FlagChangeError):
    """The same request was carried out before; doing nothing was right."""


class NotPendingError(FlagChangeError):
    """Nothing waits for an approval any more."""


class OwnApprovalError(FlagChangeError):
    """Nobody approves what they asked for themselves."""


class FlagMovedError(FlagChangeError):
    """The flag moved since the difference was shown; the change is void, nothing was written."""

    def __init__(self, message: str, found: FlagState) -> None:
        super().__init__(message)
        self.found = found


class NothingToUndoError(FlagChangeError):
    """There is no change of the bot's that is still the last one."""


class UnconfirmedChangeError(FlagChangeError):
    """The change was sent and no answer came; it is looked for until it is seen."""


class ChangeCause(StrEnum):
    """Whose doing a change is, beside the person in `by`."""

    PERSON = "person"
    RAMP = "ramp"
    GUARD = "guard"
    TIMER = "timer"
    EXHAUSTED = "exhausted"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """What is wanted. `request` names what led to it.

    `version` binds it to a state of the flag that is known already; `keep_for` is how long it shall last;
    `promise` is the recorded state that it brings back, `service` the one whose budget is the cause.
    """

    flag: str
    environment: str
    change: FlagChange
    by: str
    reason: str
    request: str
    cause: ChangeCause = ChangeCause.PERSON
    version: str | None = None
    approved_by: str | None = None
    keep_for: timedelta | None = None
    ramp: int | None = None
    promise: int | None = None
    service: str | None = None

    @property
    def is_by_governor(self) -> bool:
        """Whether the bot does it by itself."""
        return self.by == GOVERNOR


@dataclass(frozen=True, slots=True)
class ChangeApplied:
    """It was carried out. `seen_after` is None where reading back did not show it in time."""

    difference: Difference
    seen_after: timedelta | None
    until: datetime | None = None
    watched_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApprovalPending:
    """It waits for another person, in `channel`."""

    id: int
    difference: Difference
    channel: str


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The flag is so already. `stays` tells that it would have gone back after a time, and now will not."""

    state: FlagState
    stays: bool = False


Outcome = ChangeApplied | ApprovalPending | Unchanged


def change_name(flag: str) -> str:
    """Return what an exemption calls any raise of this flag."""
    return f"flag:{flag}"
