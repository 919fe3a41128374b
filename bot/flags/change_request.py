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

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.flags.change import Difference, FlagChange
from bot.flags.flag import FlagState
from bot.freezes.hold import GOVERNOR
from bot.freezes.verdict import Verdict


class ToggleError(Exception):
    """A change was not carried out. The message is fit for the person who asked."""


class Barred(ToggleError):
    """A service is frozen. `verdict` says why, `change` is what an exemption would have to name."""

    def __init__(self, verdict: Verdict, flag: str) -> None:
        super().__init__(f"{verdict.service} does not take it: {'; '.join(verdict.reasons)}")
        self.verdict = verdict
        self.change = change_name(flag)


class Busy(ToggleError):
    """Another change of the flag is on its way."""


class AlreadyRequested(ToggleError):
    """The same request was carried out before; doing nothing was right."""


class NotOpen(ToggleError):
    """Nothing waits for an approval any more."""


class OwnApproval(ToggleError):
    """Nobody approves what they asked for themselves."""


class Moved(ToggleError):
    """The flag moved since the difference was shown; the change is void, nothing was written."""

    def __init__(self, message: str, found: FlagState) -> None:
        super().__init__(message)
        self.found = found


class NothingToUndo(ToggleError):
    """There is no change of the bot's that is still the last one."""


class Unseen(ToggleError):
    """The change was sent and no answer came; it is looked for until it is seen."""


class Cause(StrEnum):
    """Whose doing a change is, beside the person in `by`."""

    PERSON = "person"
    RAMP = "ramp"
    GUARD = "guard"
    TIMER = "timer"
    EXHAUSTED = "exhausted"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Order:
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
    cause: Cause = Cause.PERSON
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
class Live:
    """It was carried out. `seen_after` is None where reading back did not show it in time."""

    difference: Difference
    seen_after: timedelta | None
    until: datetime | None = None
    watched_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """It waits for another person, in `channel`."""

    id: int
    difference: Difference
    channel: str


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The flag is so already. `stays` tells that it would have gone back after a time, and now will not."""

    state: FlagState
    stays: bool = False


Outcome = Live | Waiting | Unchanged


def change_name(flag: str) -> str:
    """Answer what an exemption calls any raise of this flag."""
    return f"flag:{flag}"


# -- what is told ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a ramp is: steps taken of all, the next share and when it is due."""

    taken: int
    of: int
    next_share: float | None
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Changed:
    """A flag was changed by the bot."""

    order: Order
    live: Live
    progress: Progress | None = None
    ended_ramp: bool = False
    ended_timer: bool = False


@dataclass(frozen=True, slots=True)
class ApprovalAsked:
    """An increase in a protected environment waits; `steps` are those of a ramp."""

    key: str
    words: str
    by: str
    reason: str
    steps: tuple[float, ...] = ()
    every: timedelta | None = None


@dataclass(frozen=True, slots=True)
class NotDone:
    """A change that was sent did not come about, and nobody was there to answer."""

    words: str
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class NotBroughtBack:
    """A recorded state should have come back: the flag was touched since, or its system refuses."""

    cause: Cause
    state: FlagState
    evidence: str
    why: str
    tries_again: bool


@dataclass(frozen=True, slots=True)
class EndsSoon:
    """A change that was made for a time ends at `until`."""

    state: FlagState
    until: datetime


@dataclass(frozen=True, slots=True)
class RampHeld:
    """A ramp waits where it is. `goes_on` tells whether it does so by itself."""

    by: str
    why: str
    progress: Progress
    goes_on: bool


@dataclass(frozen=True, slots=True)
class RampGoesOn:
    """A ramp takes its steps again."""

    by: str
    progress: Progress


@dataclass(frozen=True, slots=True)
class RampStopped:
    """A ramp ended before its last step; the flag stays as it is."""

    by: str
    why: str
    progress: Progress


@dataclass(frozen=True, slots=True)
class Drifted:
    """Somebody changed the flag elsewhere. `who` is what the flag system says, empty where it does not."""

    difference: Difference
    who: str
    while_frozen: bool


FlagEvent = (
    Changed
    | ApprovalAsked
    | NotDone
    | NotBroughtBack
    | EndsSoon
    | RampHeld
    | RampGoesOn
    | RampStopped
    | Drifted
)


@dataclass(frozen=True, slots=True)
class FlagOccasion:
    """An event with what its teller needs. `channels` are those of the services that name the flag."""

    event: FlagEvent
    flag: str
    environment: str
    services: Sequence[str]
    channels: Sequence[str]
    now: datetime
