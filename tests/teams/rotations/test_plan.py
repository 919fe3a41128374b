"""Who serves next: nobody twice before all have served, no pair again before it must, nobody who is away."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.teams.rotations.plan import (
    AgreedSwap,
    History,
    PlannedPair,
    Side,
    Turn,
    forecast,
    plan_pair,
    stand_in,
)

YEAR = 52
Members = Mapping[Side, Sequence[str]]


def people(developers: int, sres: int) -> dict[Side, list[str]]:
    return {
        Side.DEVELOPMENT: [f"UD{number:02}" for number in range(developers)],
        Side.RELIABILITY: [f"US{number:02}" for number in range(sres)],
    }


def pairs_of(members: Members, periods: int, history: History | None = None) -> list[PlannedPair]:
    return list(forecast(history or History(), 1, [()] * periods, members))


@pytest.mark.parametrize(("developers", "sres"), [(3, 3), (4, 6), (5, 7), (6, 6), (8, 12), (12, 3)])
def test_no_pair_repeats_before_every_possible_pair_has_met(developers: int, sres: int) -> None:
    everybody = [planned.people for planned in pairs_of(people(developers, sres), developers * sres)]

    assert len(set(everybody)) == developers * sres


def test_a_pair_that_swapped_there_and_back_within_a_period_has_met_once() -> None:
    development = [Turn(1, Side.DEVELOPMENT, person, 1) for person in ("UD00", "UD01", "UD00")]
    history = History([*development, Turn(1, Side.RELIABILITY, "US00", 1)])

    assert [history.meetings((person, "US00")) for person in ("UD00", "UD01")] == [1, 1]


def test_every_round_has_everybody_once() -> None:
    planned = pairs_of(people(4, 6), 12)

    for side, size in ((Side.DEVELOPMENT, 4), (Side.RELIABILITY, 6)):
        served = [pair.of(side) for pair in planned]
        for start in range(0, 12, size):
            assert len(set(served[start : start + size])) == size


@pytest.mark.parametrize(("developers", "sres"), [(3, 3), (4, 6), (6, 6)])
def test_nobody_serves_in_two_periods_in_a_row(developers: int, sres: int) -> None:
    planned = pairs_of(people(developers, sres), developers * sres)

    in_a_row = [set(one.people) & set(other.people) for one, other in pairwise(planned)]
    assert not any(in_a_row)


def test_the_same_history_gives_the_same_pair_in_whichever_order_members_come() -> None:
    members = people(5, 4)
    history = History([turn for planned in pairs_of(members, 7) for turn in planned.turns])
    backwards = {side: list(reversed(members[side])) for side in Side}

    assert plan_pair(history, 8, members) == plan_pair(history, 8, backwards)


def test_whoever_comes_back_serves_in_the_round_that_is_under_way_and_only_once() -> None:
    members = people(4, 4)
    away = [{"UD00"}] * 10 + [set()] * 7
    served = [planned.of(Side.DEVELOPMENT) for planned in forecast(History(), 1, away, members)]

    assert "UD00" not in served[:10]
    # The fourth round has three periods left, and the fifth begins after them.
    assert Counter(served[10:13])["UD00"] == 1
    assert Counter(served[10:])["UD00"] == 2


def test_a_side_without_anybody_stays_empty_and_the_rotation_goes_on() -> None:
    members = people(3, 3)
    sres = set(members[Side.RELIABILITY])
    first, second, third = forecast(History(), 1, [set(), sres, set()], members)

    assert second.of(Side.RELIABILITY) is None
    assert second.of(Side.DEVELOPMENT) == "UD01"
    assert third.of(Side.RELIABILITY) not in {None, first.of(Side.RELIABILITY)}
    everybody = sres | set(members[Side.DEVELOPMENT])
    assert plan_pair(History(), 1, members, everybody).people == ()


def test_nobody_is_paired_with_themselves() -> None:
    both = {Side.DEVELOPMENT: ["UA", "UB"], Side.RELIABILITY: ["UA", "UB"]}

    assert all(len(set(planned.people)) == 2 for planned in pairs_of(both, 6))
    alone = {Side.DEVELOPMENT: ["UA"], Side.RELIABILITY: ["UA"]}
    assert plan_pair(History(), 1, alone).people == ("UA",)


def test_two_who_swap_exchange_their_turns_and_nobody_else_moves() -> None:
    members = people(4, 5)
    before = [planned.of(Side.DEVELOPMENT) for planned in pairs_of(members, 4)]
    assert before == ["UD00", "UD01", "UD02", "UD03"]

    swapped = History(swaps=[AgreedSwap(Side.DEVELOPMENT, 1, "UD02", 3, "UD00")])
    after = [planned.of(Side.DEVELOPMENT) for planned in pairs_of(members, 4, swapped)]

    assert after == ["UD02", "UD01", "UD00", "UD03"]


def test_a_turn_given_away_is_still_to_come() -> None:
    members = people(4, 4)
    handed_over = History(
        [
            Turn(1, Side.DEVELOPMENT, "UD00", 1, counts=False),
            Turn(1, Side.DEVELOPMENT, "UD02", 1),
            Turn(1, Side.RELIABILITY, "US00", 1),
        ],
        [AgreedSwap(Side.DEVELOPMENT, 1, "UD02", 3, "UD00")],
    )
    planned = list(forecast(handed_over, 2, [()] * 3, members))

    assert [pair.of(Side.DEVELOPMENT) for pair in planned] == ["UD01", "UD00", "UD03"]


def test_a_stand_in_is_whoever_would_serve_next() -> None:
    members = people(3, 3)
    first = plan_pair(History(), 1, members)
    history = History(first.turns)
    here = [person for person in members[Side.DEVELOPMENT] if person != "UD00"]

    assert stand_in(history, 1, Side.DEVELOPMENT, here, "US00").person == "UD01"
    assert stand_in(history, 1, Side.DEVELOPMENT, [], "US00").person is None


class Year:
    """A year of a rotation in which people come, go, are away and swap; it checks each choice."""

    def __init__(self, developers: int, sres: int, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - plays a year, hides nothing
        self.members = people(developers, sres)
        self.turns: list[Turn] = []
        self.swaps: list[AgreedSwap] = []
        self.away_until: dict[str, int] = {}

    def run(self) -> None:
        for number in range(1, YEAR + 1):
            self._change_members(number)
            self._swap(number)
            away = {person for person, until in self.away_until.items() if number < until}
            history = History(self.turns, self.swaps)
            planned = plan_pair(history, number, self.members, away)
            self._check(history, planned, away)
            self.turns += planned.turns

    def _change_members(self, number: int) -> None:
        for side in Side:
            for person in self.members[side]:
                if self.random.random() < 0.08:
                    self.away_until[person] = number + self.random.randint(1, 8)
        if self.random.random() < 0.05:
            self.members[self.random.choice(list(Side))].append(f"UN{number:02}")
        side = self.random.choice(list(Side))
        if self.random.random() < 0.05 and len(self.members[side]) > 3:
            self.members[side].remove(self.random.choice(self.members[side]))

    def _swap(self, number: int) -> None:
        """Exchange the next turns of two people of a side, where both lie in the same round."""
        side = self.random.choice(list(Side))
        if self.random.random() > 0.2 or len(self.members[side]) < 2:
            return
        history = History(self.turns, self.swaps)
        coming: dict[str, tuple[int, int]] = {}
        for planned in forecast(history, number, [()] * 16, self.members):
            choice = planned.choices[side]
            if choice.person is not None:
                coming.setdefault(choice.person, (planned.number, choice.round))
        if len(coming) < 2:
            return
        one, other = sorted(self.random.sample(sorted(coming), 2), key=lambda person: coming[person])
        if coming[one][1] == coming[other][1]:
            self.swaps.append(AgreedSwap(side, coming[one][0], other, coming[other][0], one))

    def _check(self, history: History, planned: PlannedPair, away: set[str]) -> None:
        fair: dict[Side, set[str]] = {}
        for side in Side:
            here = set(self.members[side]) - away
            person = planned.of(side)
            if not here:
                assert person is None
                continue
            assert person in here
            # Nobody serves again before everybody who is there has served in the round.
            served = history.served(side, planned.choices[side].round)
            assert person not in served
            earlier = history.round_of(side)
            if planned.choices[side].round > earlier:
                assert here <= history.served(side, earlier)
            fair[side] = here - served
        if len(planned.people) == 2:
            self._check_pair(history, planned, fair)

    def _check_pair(self, history: History, planned: PlannedPair, fair: Mapping[Side, set[str]]) -> None:
        """A pair meets again only if those who may serve now have all met as often.

        Who serves in a swap is fixed, or comes later, so these periods are left out.
        """
        waiting = {person for swap in self.swaps for person in (swap.first_person, swap.later_person)}
        if waiting & (fair[Side.DEVELOPMENT] | fair[Side.RELIABILITY]):
            return
        one, other = planned.people
        possible = product(fair[Side.DEVELOPMENT], fair[Side.RELIABILITY])
        assert history.meetings((one, other)) == min(map(history.meetings, possible))


@settings(max_examples=25, deadline=None)
@given(developers=st.integers(3, 12), sres=st.integers(3, 12), seed=st.integers(0, 2**32))
def test_a_year_of_absences_swaps_joins_and_leaves_stays_fair(developers: int, sres: int, seed: int) -> None:
    Year(developers, sres, seed).run()
