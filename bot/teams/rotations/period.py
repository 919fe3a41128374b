"""Periods of a rotation, absences and swaps, as they are stored. Pure; no clock, no I/O."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.teams.rotations.plan import AgreedSwap, Side, Turn

_LONG = 0.5
"""The share of a period from which on an absence passes somebody over."""


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """A turn with the time that it took; `until` is None for whoever serves to the period's end."""

    id: int
    turn: Turn
    from_at: datetime
    until_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RotationPeriod:
    """A period of a rotation with those who served in it, in the order in which they did."""

    rotation: str
    number: int
    begins_at: datetime
    ends_at: datetime
    closed_at: datetime | None = None
    turns: tuple[StoredTurn, ...] = ()

    def serving(self, side: Side) -> StoredTurn | None:
        """Return who serves for a side, or did at the end; None for nobody."""
        found = [each for each in self.turns if each.turn.side is side and each.until_at is None]
        return found[-1] if found else None

    def person(self, side: Side) -> str | None:
        """Return the id of who serves for a side, or did at the end."""
        serving = self.serving(side)
        return serving.turn.person if serving is not None else None

    @property
    def pair(self) -> tuple[str, ...]:
        """Those who serve, or did at the end, the developer first."""
        return tuple(person for side in Side if (person := self.person(side)) is not None)

    @property
    def people(self) -> tuple[str, ...]:
        """All who served in it, each once."""
        return tuple(dict.fromkeys(each.turn.person for each in self.turns))


@dataclass(frozen=True, slots=True)
class Absence:
    """That a person is away from a time until another."""

    id: int
    person: str
    from_at: datetime
    until_at: datetime


class SwapState(StrEnum):
    """What became of a swap that somebody asked for."""

    ASKED = "asked"
    AGREED = "agreed"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class RequestedSwap:
    """A swap that one of two asks of the other."""

    id: int
    rotation: str
    swap: AgreedSwap
    asked_by: str
    asked_of: str
    asked_at: datetime
    state: SwapState

    @property
    def people(self) -> tuple[str, str]:
        """Who serves in the earlier period after the swap, and who in the later one."""
        return self.swap.first_person, self.swap.later_person


def passed_over(absences: Sequence[Absence], begin: datetime, end: datetime) -> frozenset[str]:
    """Return who is away in a period: when it begins, or for at least half of it."""
    return frozenset(
        absence.person
        for absence in absences
        if absence.from_at <= begin < absence.until_at
        or _share_away(absences, absence.person, begin, end) >= _LONG
    )


def leaves_the_rest(absence: Absence, absences: Sequence[Absence], now: datetime, end: datetime) -> bool:
    """Return whether, once an absence has begun, its person is away for half of what is left of a period.

    `absences` are all that are known, this one among them.
    """
    has_begun = absence.from_at <= now < absence.until_at
    return has_begun and _share_away(absences, absence.person, now, end) >= _LONG


def _share_away(absences: Iterable[Absence], person: str, begin: datetime, end: datetime) -> float:
    """Return for which share of a span a person is away; where absences overlap, they count once."""
    if end <= begin:
        return 0.0
    away, reached = timedelta(), begin
    own = (absence for absence in absences if absence.person == person)
    for absence in sorted(own, key=lambda each: each.from_at):
        start, until = max(absence.from_at, reached), min(absence.until_at, end)
        if start < until:
            away, reached = away + (until - start), until
    return away / (end - begin)


def turns_of(periods: Sequence[RotationPeriod]) -> list[Turn]:
    """Return the turns of periods in order."""
    return [each.turn for period in periods for each in period.turns]
