"""The port to flag systems: what a backend must be able to do, and how it may fail.

FlagError
├── FlagNotFoundError           no such flag; `near` has similar names
├── EnvironmentNotFoundError    no such environment; `near` has those there are
├── ForbiddenError              the credentials do not allow it
├── FlagConflictError           somebody changed the flag since the plan was made; nothing was written
├── ApprovalRequiredError       the flag system requires its own approval first; `link` leads there
├── UnsupportedError            this flag or this system cannot do it
├── InvalidChangeError          the change makes no sense, or the flag system refuses it as such
├── MisconfiguredError          the backend's settings are wrong
├── BackendRateLimitedError     too many requests, nothing was written; retryable after `retry_after`
├── BackendUnavailableError     no answer or a temporary fault, and nothing was written; retryable
└── BackendOutcomeUnknownError  no answer after sending: read the flag back before anything else
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from bot.flags.change import Difference, FlagChange, ImpossibleChangeError, ShareOutOfRangeError, apply_to
from bot.flags.flag import FlagState
from bot.suggestions import did_you_mean, suggest


class FlagError(Exception):
    """A flag could not be read or changed. The message is fit for the person who asked."""

    retryable = False


class FlagNotFoundError(FlagError):
    """There is no such flag."""

    def __init__(self, flag: str, existing: Iterable[str] = ()) -> None:
        self.flag = flag
        self.near = suggest(flag, existing, most=3)
        super().__init__(f"there is no flag {flag}{did_you_mean(self.near)}")


class EnvironmentNotFoundError(FlagError):
    """There is no such environment."""

    def __init__(self, environment: str, existing: Iterable[str] = ()) -> None:
        self.environment = environment
        self.near = tuple(existing)
        hint = f"; there is {', '.join(self.near)}" if self.near else ""
        super().__init__(f"the flag system has no environment {environment}{hint}")


class ForbiddenError(FlagError):
    """The credentials do not allow it."""


class FlagConflictError(FlagError):
    """Somebody changed the flag since the plan was made; nothing was written. `found` is what it is now."""

    def __init__(self, flag: str, environment: str, found: FlagState | None = None) -> None:
        super().__init__(f"somebody changed {flag} in {environment} meanwhile; nothing was written")
        self.flag = flag
        self.environment = environment
        self.found = found


class ApprovalRequiredError(FlagError):
    """The flag system requires its own approval first; `link` leads to where it is requested."""

    def __init__(self, message: str, link: str | None) -> None:
        super().__init__(message)
        self.link = link


class UnsupportedError(FlagError):
    """The flag or its system cannot do it."""


class InvalidChangeError(FlagError):
    """The change makes no sense, or the flag system refuses it as such."""


class MisconfiguredError(FlagError):
    """The backend's settings are wrong."""


class BackendRateLimitedError(FlagError):
    """Too many requests; nothing was written."""

    retryable = True

    def __init__(self, message: str, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BackendUnavailableError(FlagError):
    """No answer, or not this time; nothing was written."""

    retryable = True


class BackendOutcomeUnknownError(FlagError):
    """No answer after sending: it is unknown whether it was written. Read back before anything else."""


@dataclass(frozen=True, slots=True)
class BackendCapabilities:
    """What a backend can do besides turning flags on and off.

    `finest_share` is the smallest step of an exposure it keeps, None where it keeps none.
    """

    finest_share: float | None
    history: bool = False


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """What a change would do to the flag as it is now. `version` is the one that it was planned on."""

    flag: str
    environment: str
    change: FlagChange
    difference: Difference

    @property
    def version(self) -> str:
        """The version of the flag that the plan is valid for."""
        return self.difference.before.version


MAY_COME_BACK = (FlagNotFoundError, EnvironmentNotFoundError, ForbiddenError, MisconfiguredError)
"""A bad edit of policies, settings or rights causes these for a while: what has to be done waits."""


@dataclass(frozen=True, slots=True)
class AppliedChange:
    """A change that was carried out: the flag before it, and after it according to the flag system."""

    before: FlagState
    after: FlagState


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One change in the flag system's own history."""

    at: datetime
    by: str
    what: str


class FlagBackend(Protocol):
    """A flag system. Every method raises `FlagError`."""

    @property
    def name(self) -> str:
        """What the system is called in policies and messages."""
        ...

    @property
    def capabilities(self) -> BackendCapabilities:
        """What it can do."""
        ...

    async def list(self, environment: str) -> Sequence[FlagState]:
        """Return every flag of the environment, by name."""
        ...

    async def read(self, flag: str, environment: str) -> FlagState:
        """Return the flag as it is now."""
        ...

    async def plan(self, flag: str, environment: str, change: FlagChange) -> ChangePlan:
        """Return what the change would do, and write nothing."""
        ...

    async def apply(
        self, flag: str, environment: str, change: FlagChange, *, version: str, note: str
    ) -> AppliedChange:
        """Carry the change out if the flag still has `version`; raises `FlagConflictError` if it has another.

        `note` names who asked for it and why, for the flag system's own history.
        """
        ...

    async def history(self, flag: str, environment: str) -> Sequence[HistoryEntry]:
        """Return the last changes, newest first; raises `UnsupportedError` without that capability."""
        ...

    async def check(self) -> None:
        """Make one cheap request to see whether the system answers and accepts the credentials."""
        ...


def plan_change(state: FlagState, change: FlagChange, capabilities: BackendCapabilities) -> ChangePlan:
    """Plan the change of a state that was just read.

    Raises `InvalidChangeError` for a share that is out of range or too fine, and `UnsupportedError` for a
    change that the flag cannot have.
    """
    after = expect(state, change, capabilities)
    return ChangePlan(state.flag, state.environment, change, Difference(state, after))


def expect(state: FlagState, change: FlagChange, capabilities: BackendCapabilities) -> FlagState:
    """Return the state that the change should lead to, with the port's errors."""
    try:
        return apply_to(state, change, finest=capabilities.finest_share or 0.0)
    except ShareOutOfRangeError as error:
        raise InvalidChangeError(str(error)) from error
    except ImpossibleChangeError as error:
        raise UnsupportedError(str(error)) from error


def require_version(state: FlagState, version: str) -> None:
    """Raise `FlagConflictError` unless the state that was just read is the one that the plan was made on."""
    if state.version != version:
        raise FlagConflictError(state.flag, state.environment, state)
