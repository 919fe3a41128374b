"""A canary as its tool shows it, what people can do with it, and what refuses that. Pure.

CanaryError
├── CanaryUnavailableError  its tool or cluster did not answer, or with an error
├── CanaryStateError        it is not in a state in which that can be done
├── CanaryFrozenError       the verdict forbids to let it go on
└── DuplicateActionError    this very request was carried out before (a repeated delivery)
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from bot.catalog.clusters import CanarySettings, ClusterSettings
from bot.freezes.verdict import Verdict


class CanaryPhase(StrEnum):
    """How far a canary is."""

    PROGRESSING = "progressing"
    """It gets traffic, or is about to."""
    PAUSED = "paused"
    """It waits, for a person, a time or an analysis."""
    STEADY = "steady"
    """Nothing is under way: the newest version has all traffic."""
    ABORTED = "aborted"
    """It was taken back."""
    FAILED = "failed"
    """Its tool could not do it."""
    UNKNOWN = "unknown"
    """Its tool has not said anything of it yet."""


class CanaryAction(StrEnum):
    """What people can do with a canary."""

    PAUSE = "pause"
    """It gets no more traffic until somebody promotes it."""
    ABORT = "abort"
    """All traffic goes back to the version before."""
    PROMOTE = "promote"
    """It goes on to its next step."""
    PROMOTE_FULLY = "promote fully"
    """It gets all traffic at once."""

    @property
    def raises(self) -> bool:
        """Whether more people meet the change by it."""
        return self in {CanaryAction.PROMOTE, CanaryAction.PROMOTE_FULLY}


@dataclass(frozen=True, slots=True)
class Canary:
    """A canary of a service in a cluster, as it was read.

    `weight` is the share of traffic that it gets, in percent, None where that is not known; `step` how many
    of `steps` are done, both None for one without steps. `note` is what its tool says of it, and `started_at`
    since when it is under way.
    """

    settings: CanarySettings
    cluster: ClusterSettings
    phase: CanaryPhase
    weight: int | None = None
    step: int | None = None
    steps: int | None = None
    note: str = ""
    images: tuple[str, ...] = ()
    started_at: datetime | None = None
    is_suspended: bool = False
    """Whether somebody paused it, besides its steps."""

    @property
    def name(self) -> str:
        """Its name."""
        return self.settings.name

    @property
    def is_under_way(self) -> bool:
        """Whether it can still be promoted or aborted."""
        return self.phase in {CanaryPhase.PROGRESSING, CanaryPhase.PAUSED}


class CanaryError(Exception):
    """Nothing was done with a canary. The message is fit for the person who asked."""


class CanaryUnavailableError(CanaryError):
    """Its tool or its cluster did not answer, or with an error."""


class CanaryStateError(CanaryError):
    """It is not in a state in which that can be done."""


class CanaryFrozenError(CanaryError):
    """The verdict forbids to let it go on."""

    def __init__(self, canary: Canary, verdict: Verdict) -> None:
        super().__init__(f"{canary.name} may not go on: {'; '.join(verdict.reasons)}")
        self.canary = canary
        self.verdict = verdict


class DuplicateActionError(CanaryError):
    """The same request was carried out before; doing nothing was right."""


class CanaryBackend(Protocol):
    """The port to what ships canaries. Both methods raise `CanaryError`."""

    async def read(self, cluster: ClusterSettings, settings: CanarySettings) -> Canary:
        """Return a canary as it is now."""
        ...

    async def carry_out(self, canary: Canary, action: CanaryAction) -> None:
        """Do it; raises `CanaryStateError` if its state does not allow that."""
        ...


def change_name(canary: Canary) -> str:
    """Return what an exemption calls any promotion of this canary."""
    return f"canary:{canary.name}"
