"""Who serves next in a rotation: one developer and one SRE for each period. Pure; no clock, no I/O.

Fairness first, then variety:

- Each side goes round by round. Nobody serves twice before everybody of the side who is there has served;
  whoever joins or comes back takes part in the round that is under way.
- Of the pairs that this leaves, one that has met least often is chosen, and among those one that lets the
  rest of the round meet pairs that are new. So no pair repeats before it must: of m developers and n SREs
  who are always there, the first m·n pairs are all different.
- Whoever has waited longest comes first, then the smallest id: the same history gives the same pair.

Who has served is what the stored turns say; nothing is worked out from dates.
"""

import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

_NEVER = 0


class Side(StrEnum):
    """The two sides of a rotation."""

    DEVELOPMENT = "development"
    RELIABILITY = "reliability"

    @property
    def other(self) -> "Side":
        """The side that this one is paired with."""
        return Side.RELIABILITY if self is Side.DEVELOPMENT else Side.DEVELOPMENT


@dataclass(frozen=True, slots=True)
class Turn:
    """That a person served for a side in the period of that number, as a turn of that round of the side.

    One that does not `count` was given to somebody else in a swap: the person's turn is still to come.
    """

    number: int
    side: Side
    person: str
    round: int
    counts: bool = True


@dataclass(frozen=True, slots=True)
class AgreedSwap:
    """That two of a side exchange their turns: `later_person` serves in the period `later`, not before."""

    side: Side
    first: int
    first_person: str
    later: int
    later_person: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Who serves for a side, and in which round; `person` is None where nobody is there."""

    person: str | None
    round: int


@dataclass(frozen=True, slots=True)
class PlannedPair:
    """The pair of a period."""

    number: int
    choices: Mapping[Side, Choice]

    def of(self, side: Side) -> str | None:
        """Return who serves for a side; None where nobody is there."""
        return self.choices[side].person

    @property
    def people(self) -> tuple[str, ...]:
        """Those who serve, the developer first."""
        return tuple(person for side in Side if (person := self.of(side)) is not None)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns that the pair takes."""
        return tuple(
            Turn(self.number, side, choice.person, choice.round)
            for side, choice in self.choices.items()
            if choice.person is not None
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """Whose turn it may be on one side: the round, those still to serve in it, longest waiting first."""

    round: int
    candidates: tuple[str, ...]
    fixed: str | None = None


@dataclass(frozen=True, slots=True)
class History:
    """All turns of a rotation in the order in which they were taken."""

    turns: Sequence[Turn] = ()
    swaps: Sequence[AgreedSwap] = ()
    _meetings: Counter[tuple[str, str]] = field(default_factory=Counter, init=False)

    def __post_init__(self) -> None:
        by_number: dict[int, dict[Side, set[str]]] = {}
        for turn in self.turns:
            by_number.setdefault(turn.number, {}).setdefault(turn.side, set()).add(turn.person)
        for sides in by_number.values():
            for one in sides.get(Side.DEVELOPMENT, ()):
                self._meetings.update((one, other) for other in sides.get(Side.RELIABILITY, ()))

    @property
    def next_number(self) -> int:
        """The number of the period after the last one."""
        return max((turn.number for turn in self.turns), default=0) + 1

    def people_of(self, number: int) -> frozenset[str]:
        """Return who has served in the period of that number."""
        return frozenset(turn.person for turn in self.turns if turn.number == number)

    def with_turns(self, turns: Sequence[Turn]) -> "History":
        """Return the history with further turns."""
        return History((*self.turns, *turns), self.swaps)

    def meetings(self, pair: tuple[str, str]) -> int:
        """Return in how many periods a developer and an SRE have served together."""
        return self._meetings[pair]

    def round_of(self, side: Side) -> int:
        """Return the round of a side that is under way, the first before anybody has served."""
        return max((turn.round for turn in self.turns if turn.side is side), default=1)

    def served(self, side: Side, round_: int) -> frozenset[str]:
        """Return who has served for a side in a round."""
        return frozenset(
            turn.person for turn in self.turns if turn.side is side and turn.round == round_ and turn.counts
        )

    def standing(self, side: Side, number: int, present: Collection[str]) -> Standing:
        """Return whose turn it may be in the period of that number, of those who are there."""
        round_ = self.round_of(side)
        waiting = set(present) - self.served(side, round_)
        if present and not waiting:
            round_, waiting = round_ + 1, set(present)
        due = self._exchanged(side, number)
        fixed = sorted(person for person in waiting if due.get(person) == number)
        reserved = {person for person in waiting if due.get(person, 0) > number}
        last = {turn.person: turn.number for turn in self.turns if turn.side is side}
        order = sorted(waiting - reserved or waiting, key=lambda person: (last.get(person, _NEVER), person))
        return Standing(round_, tuple(order), fixed[0] if fixed else None)

    def _exchanged(self, side: Side, number: int) -> dict[str, int]:
        """Return by person the period of a turn that they have in a swap, where it is still to come."""
        due: dict[str, int] = {}
        for swap in self.swaps:
            if swap.side is side:
                due |= {swap.first_person: swap.first} if swap.first >= number else {}
                due |= {swap.later_person: swap.later} if swap.later >= number else {}
        return due


def plan_pair(
    history: History, number: int, members: Mapping[Side, Collection[str]], away: Collection[str] = ()
) -> PlannedPair:
    """Return the pair of the period of that number; a side where nobody is there stays empty."""
    present = {side: [person for person in set(members[side]) if person not in away] for side in Side}
    standings = {side: history.standing(side, number, present[side]) for side in Side}
    pair = _best_pair(history, standings, present)
    return PlannedPair(number, {side: Choice(pair[side], standings[side].round) for side in Side})


def stand_in(
    history: History, number: int, side: Side, members: Collection[str], partner: str | None
) -> Choice:
    """Return who takes over for a side within a period, whose turn it would be next; `members` are there."""
    present = [person for person in members if person != partner]
    standing = history.standing(side, number, present)
    return Choice(standing.fixed or next(iter(standing.candidates), None), standing.round)


def forecast(
    history: History,
    first_number: int,
    periods: Sequence[Collection[str]],
    members: Mapping[Side, Collection[str]],
) -> Iterator[PlannedPair]:
    """Yield the pairs to come, from a number on; `periods` has for each period who is away in it."""
    for number, away in enumerate(periods, start=first_number):
        planned = plan_pair(history, number, members, away)
        yield planned
        history = history.with_turns(planned.turns)


def _best_pair(
    history: History, standings: Mapping[Side, Standing], present: Mapping[Side, Sequence[str]]
) -> dict[Side, str | None]:
    development, reliability = standings[Side.DEVELOPMENT], standings[Side.RELIABILITY]
    ones = (development.fixed,) if development.fixed else development.candidates
    others = (reliability.fixed,) if reliability.fixed else reliability.candidates
    pairs = [(one, other) for one in ones for other in others if one != other]
    if not pairs:
        one = next(iter(ones), None)
        # Whoever is on both sides and alone there cannot be a pair with themselves.
        other = next((person for person in others if person != one), None)
        return {Side.DEVELOPMENT: one, Side.RELIABILITY: other}
    fewest = min(map(history.meetings, pairs))
    freshest = [pair for pair in pairs if history.meetings(pair) == fewest]
    outlook = _Outlook(history, standings, present, fewest)
    one, other = freshest[0] if len(freshest) == 1 else outlook.best(freshest)
    return {Side.DEVELOPMENT: one, Side.RELIABILITY: other}


class _Outlook:
    """Counts the repeats that a choice makes unavoidable before the rounds that are under way end."""

    def __init__(
        self,
        history: History,
        standings: Mapping[Side, Standing],
        present: Mapping[Side, Sequence[str]],
        fewest: int,
    ) -> None:
        self._history = history
        self._fewest = fewest
        self._present = present
        self._left = {side: standings[side].candidates for side in Side}

    def best(self, pairs: Sequence[tuple[str, str]]) -> tuple[str, str]:
        """Return the first pair after which the fewest must repeat, best one without those of last time."""
        last = self._history.people_of(self._history.next_number - 1)
        found, least = pairs[0], (sys.maxsize, 0)
        for pair in pairs:
            cost = (self.repeats_after(pair), len(last.intersection(pair)))
            if cost == (0, 0):
                return pair
            if cost < least:
                found, least = pair, cost
        return found

    def repeats_after(self, pair: tuple[str, str]) -> int:
        """Return how many pairs must repeat in the rest of the two rounds once this pair has met."""
        return sum(self._repeats(side, pair) for side in Side)

    def _repeats(self, side: Side, pair: tuple[str, str]) -> int:
        """Return how many of a side's round must meet somebody whom they have met already.

        Those left on this side meet those left on the other, then everybody of its next rounds. Each whole
        round must be filled; of the last one some are enough.
        """
        mine = [person for person in self._left[side] if person not in pair]
        theirs = [person for person in self._left[side.other] if person not in pair]
        everybody = self._present[side.other]
        while everybody and len(theirs) + len(everybody) <= len(mine):
            theirs = [*theirs, *everybody]
        whole = len(theirs) if len(theirs) <= len(mine) else 0
        if len(theirs) < len(mine):
            theirs = [*theirs, *everybody]
        fresh = [self._fresh(side, one, theirs, pair) for one in mine]
        filled = _matched([[place for place in places if place < whole] for places in fresh]) if whole else 0
        return max(len(mine) - _matched(fresh), whole - filled)

    def _fresh(self, side: Side, one: str, others: Sequence[str], pair: tuple[str, str]) -> list[int]:
        """Return the places of those whom a person has met no more often than the freshest pair."""
        fresh = []
        for place, other in enumerate(others):
            meeting = (one, other) if side is Side.DEVELOPMENT else (other, one)
            if meeting != pair and one != other and self._history.meetings(meeting) <= self._fewest:
                fresh.append(place)
        return fresh


def _matched(choices: Sequence[Sequence[int]]) -> int:
    """Return how many get a place of their own of those they may take: a maximum matching (Kuhn)."""
    taken: dict[int, int] = {}

    def find(one: int, tried: set[int]) -> bool:
        for place in choices[one]:
            if place not in tried:
                tried.add(place)
                if place not in taken or find(taken[place], tried):
                    taken[place] = one
                    return True
        return False

    return sum(find(one, set()) for one in range(len(choices)))
