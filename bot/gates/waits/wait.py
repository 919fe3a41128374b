"""Questions of platforms, and how they stand. Pure; no clock, no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from bot.freezes.verdict import Change, Verdict, VerdictAnswer


class WaitState(StrEnum):
    """What became of a question. It stays unless it is asked again."""

    WAITING = "waiting"
    ANSWERED = "answered"
    GONE = "gone"
    """The platform no longer waits: it was cancelled, or somebody decided there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a platform asks: whether every one of the changes may ship to every one of the services.

    `account` is whose rate limits its calls count against. `key` tells it from all others of the platform
    that ever were. `kind` is a word of the adapter's own. The lowest `priority` is answered first. `place` is
    JSON: where and how to answer. With `begins` the changes take traffic from the answer on.
    """

    platform: str
    account: str
    key: str
    kind: str
    services: tuple[str, ...]
    changes: tuple[Change, ...]
    place: Mapping[str, Any] = field(default_factory=dict)
    priority: int = 100
    begins: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """A stored question. `note` is what the platform was told last while it waits, `notes` how often.

    `sending_at` is when a call began of which nobody knows how it ended. `version` tells whether anybody has
    written to it since it was read.
    """

    id: int
    question: Question
    state: WaitState
    asked_at: datetime
    seen_at: datetime
    next_at: datetime
    note: str | None = None
    notes: int = 0
    sending_at: datetime | None = None
    failures: int = 0
    version: int = 0

    @property
    def place(self) -> Mapping[str, Any]:
        """Where and how to answer."""
        return self.question.place


@dataclass(frozen=True, slots=True)
class WaitStanding:
    """The verdicts on all that a question is about, as one: it may go only if everything may."""

    answer: VerdictAnswer
    reasons: tuple[str, ...]
    opens_at: datetime | None = None
    verdicts: tuple[Verdict, ...] = ()


def standing_of(verdicts: Sequence[Verdict]) -> WaitStanding:
    """Return one standing for several verdicts; the reasons are those of the answer that decides.

    Where several services or changes are asked about, each reason says whose it is.
    """
    answers = {verdict.answer for verdict in verdicts}
    deciding = VerdictAnswer.GO
    if VerdictAnswer.BACK in answers:
        deciding = VerdictAnswer.BACK
    elif VerdictAnswer.WAIT in answers or not verdicts:
        deciding = VerdictAnswer.WAIT
    told = [verdict for verdict in verdicts if verdict.answer is deciding]
    several_services = len({verdict.service for verdict in verdicts}) > 1
    several_changes = len({verdict.change.id for verdict in verdicts}) > 1
    reasons: dict[str, None] = {}
    for verdict in told:
        names = [verdict.service] if several_services else []
        names += [verdict.change.id] if several_changes and verdict.change.id else []
        before = f"{', '.join(names)}: " if names else ""
        reasons |= dict.fromkeys(before + reason for reason in verdict.reasons)
    ends = [verdict.opens_at for verdict in told]
    known = [end for end in ends if end is not None]
    opens_at = max(known) if known and len(known) == len(ends) else None
    return WaitStanding(deciding, tuple(reasons), opens_at, tuple(verdicts))


def refused(reason: str) -> WaitStanding:
    """Return the standing of a question that nobody can answer, such as one about an unknown service."""
    return WaitStanding(VerdictAnswer.WAIT, (reason,))


@dataclass(frozen=True, slots=True)
class PlatformCall:
    """What a platform is to be told. With an `outcome` it is the answer, else a note on the wait.

    `costs` are what it counts as in the answerer's limits. `note` is kept, to tell later whether there is
    anything new to say; `content` is for the answerer alone.
    """

    note: str
    outcome: str | None = None
    costs: tuple[str, ...] = ()
    content: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        """Whether it ends the wait."""
        return self.outcome is not None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a platform says of a wait: whether it still waits, and what is to be added to its place."""

    is_waiting: bool
    place: Mapping[str, Any] = field(default_factory=dict)
    outcome: str | None = None
    """The answer that it has, where it was answered."""
