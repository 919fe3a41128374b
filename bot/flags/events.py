"""What happens to flags and ramps: the values that the audit log and the announcements share. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.flags.change import Difference
from bot.flags.change_request import ChangeApplied, ChangeCause, ChangeRequest
from bot.flags.flag import FlagState


@dataclass(frozen=True, slots=True)
class RampProgress:
    """How far a ramp has come: steps taken of all, the next share and when it is due."""

    taken: int
    of: int
    next_share: float | None
    due_at: datetime


@dataclass(frozen=True, slots=True)
class FlagChanged:
    """A flag was changed by the bot."""

    request: ChangeRequest
    applied: ChangeApplied
    progress: RampProgress | None = None
    ended_ramp: bool = False
    ended_timer: bool = False


@dataclass(frozen=True, slots=True)
class LoweredFlag:
    """A flag of a service that its guard rolled back, or that a person switched off.

    `changed_at` are the times at which it was changed before: what went wrong since then may be its doing.
    """

    service: str
    name: str
    by: str
    by_guard: bool
    changed_at: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class ApprovalRequested:
    """An increase in a protected environment waits; `steps` are those of a ramp."""

    key: str
    words: str
    by: str
    reason: str
    steps: tuple[float, ...] = ()
    every: timedelta | None = None


@dataclass(frozen=True, slots=True)
class ApprovalDeclined:
    """A person declined what `asked_by` had asked for; `comment` says why."""

    words: str
    by: str
    asked_by: str
    comment: str
    is_ramp: bool = False


@dataclass(frozen=True, slots=True)
class ChangeFailed:
    """A change that was sent did not happen, and nobody waits for an answer."""

    words: str
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class RevertFailed:
    """A recorded state was not restored: the flag was changed since, or its system refuses."""

    cause: ChangeCause
    state: FlagState
    evidence: str
    why: str
    will_retry: bool


@dataclass(frozen=True, slots=True)
class RevertDueSoon:
    """A change that was made for a time is reverted to `state` at `until`."""

    state: FlagState
    until: datetime


@dataclass(frozen=True, slots=True)
class WatchEndedUndecided:
    """The watch over an increase is over, and nobody can tell whether it hurts: `why`. The flag stays."""

    why: str


@dataclass(frozen=True, slots=True)
class RampPaused:
    """A ramp waits where it is. `resumes_alone`: it goes on by itself once the reason is gone."""

    by: str
    why: str
    progress: RampProgress
    resumes_alone: bool


@dataclass(frozen=True, slots=True)
class RampResumed:
    """A ramp takes its steps again."""

    by: str
    progress: RampProgress


@dataclass(frozen=True, slots=True)
class RampStopped:
    """A ramp ended before its last step; the flag stays as it is."""

    by: str
    why: str
    progress: RampProgress


@dataclass(frozen=True, slots=True)
class FlagDrifted:
    """Somebody changed the flag elsewhere: `who`, as its system names them; empty if it does not.

    `frozen` are its services whose freeze bars the flag's environment.
    """

    difference: Difference
    who: str
    frozen: tuple[str, ...] = ()


FlagEvent = (
    FlagChanged
    | ApprovalRequested
    | ApprovalDeclined
    | ChangeFailed
    | RevertFailed
    | RevertDueSoon
    | WatchEndedUndecided
    | RampPaused
    | RampResumed
    | RampStopped
    | FlagDrifted
)


@dataclass(frozen=True, slots=True)
class FlagEventContext:
    """An event with what its announcement needs. `channels` are those of the services that name the flag."""

    event: FlagEvent
    flag: str
    environment: str
    services: Sequence[str]
    channels: Sequence[str]
    now: datetime
