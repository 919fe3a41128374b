"""The request to change a flag, its outcomes, and why it may fail. Pure values; no clock, no I/O.

FlagChangeError
├── FrozenError             a service that the flag belongs to is frozen, and the change would raise the flag
├── ChangeInProgressError   another change of the flag is being sent
├── DuplicateChangeError    this very request was carried out before (a repeated delivery)
├── NotPendingError         nothing waits for an approval any more
├── OwnApprovalError        somebody wanted to approve what they had asked for themselves
├── FlagMovedError          the flag is no longer what the change was shown for; it is void
├── NothingToUndoError      the bot has changed nothing, or somebody has changed it since
└── UnconfirmedChangeError  sent, and its outcome is not known yet
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from bot.flags.change import Difference, FlagChange
from bot.flags.flag import FlagState
from bot.freezes.hold import GOVERNOR
from bot.freezes.verdict import Verdict


class FlagChangeError(Exception):
    """A change was not carried out. The message is fit for the person who asked."""


class FrozenError(FlagChangeError):
    """A service is frozen. `verdict` says why, `change` is what an exemption would have to name."""

    def __init__(self, verdict: Verdict, flag: str) -> None:
        super().__init__(f"{verdict.service} does not accept it: {'; '.join(verdict.reasons)}")
        self.verdict = verdict
        self.change = change_name(flag)


class ChangeInProgressError(FlagChangeError):
    """Another change of the flag is being sent."""

    @classmethod
    def of(cls, flag: str, environment: str) -> Self:
        """Return the error of a flag in one environment."""
        return cls(f"another change of {flag} in {environment} is on its way")


class DuplicateChangeError(FlagChangeError):
    """The same request was carried out before; doing nothing was right."""


class NotPendingError(FlagChangeError):
    """Nothing waits for an approval any more."""


class OwnApprovalError(FlagChangeError):
    """Nobody approves what they asked for themselves."""


class FlagMovedError(FlagChangeError):
    """The flag was changed since the difference was shown; the request is void, nothing was written."""

    def __init__(self, message: str, found: FlagState) -> None:
        super().__init__(message)
        self.found = found


class NothingToUndoError(FlagChangeError):
    """The bot's last change, if any, is not the last change of the flag."""


class UnconfirmedChangeError(FlagChangeError):
    """The change was sent and no answer came; the flag is read until the outcome is known."""


class ChangeCause(StrEnum):
    """What led to a change, besides the person in `by`."""

    PERSON = "person"
    RAMP = "ramp"
    GUARD = "guard"
    TIMER = "timer"
    EXHAUSTED = "exhausted"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """A change that somebody asks for. `request_id` is the same for repeated deliveries.

    `version` is the one that the flag must have, if any; `keep_for` is how long the change lasts;
    `approval_comment` is what `approved_by` said to it; `ramp_id` is the ramp it belongs to, `revert_id` the
    pending revert it carries out, `service` the one whose budget is the cause.
    """

    flag: str
    environment: str
    change: FlagChange
    by: str
    reason: str
    request_id: str
    cause: ChangeCause = ChangeCause.PERSON
    version: str | None = None
    approved_by: str | None = None
    approval_comment: str = ""
    keep_for: timedelta | None = None
    ramp_id: int | None = None
    revert_id: int | None = None
    service: str | None = None

    @property
    def is_by_governor(self) -> bool:
        """Whether the bot asks for it by itself."""
        return self.by == GOVERNOR


@dataclass(frozen=True, slots=True)
class ChangeApplied:
    """The change was carried out. `seen_after` is None where reading back did not show it in time."""

    difference: Difference
    seen_after: timedelta | None
    until: datetime | None = None
    watched_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApprovalPending:
    """The change waits for another person, asked in `channel`."""

    id: int
    difference: Difference
    channel: str


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The flag is so already.

    `stays`: it would have gone back by itself, and now will not; `ended_ramp`: it had a ramp, which ended.
    """

    state: FlagState
    stays: bool = False
    ended_ramp: bool = False


Outcome = ChangeApplied | ApprovalPending | Unchanged


def change_name(flag: str) -> str:
    """Return what an exemption calls any raise of this flag."""
    return f"flag:{flag}"
