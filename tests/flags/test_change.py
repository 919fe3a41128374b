"""What changes mean, in exposure and in words."""

import json
from dataclasses import replace

import pytest

from bot.flags.change import (
    Difference,
    Direction,
    FlagChange,
    ImpossibleChangeError,
    Kill,
    Restore,
    SetExposure,
    ShareOutOfRangeError,
    TurnOff,
    TurnOn,
    apply_to,
    change_as_json,
    change_from_json,
)
from bot.flags.flag import FlagState, Shape, exposure_in_words
from bot.formatting import percent_text
from tests.flags.values import EVERYONE, FIVE, OFF, QUARTER, TARGETED, flag_state


@pytest.mark.parametrize(
    ("before", "change", "words", "direction"),
    [
        (FIVE, SetExposure(0.25), "5% → 25% of users", Direction.RAISES),
        (QUARTER, SetExposure(0.05), "25% → 5% of users", Direction.LOWERS),
        (OFF, TurnOn(), "off → 100% of users", Direction.RAISES),
        (flag_state(0.05, enabled=False), TurnOn(), "off → 5% of users", Direction.RAISES),
        (OFF, SetExposure(0.005), "off → 0.5% of users", Direction.RAISES),
        (EVERYONE, TurnOff(), "100% of users → off", Direction.LOWERS),
        (QUARTER, Kill(), "25% of users → off", Direction.LOWERS),
        (TARGETED, Kill(), "on for those its rules choose → off", Direction.LOWERS),
        (replace(TARGETED, enabled=False), TurnOn(), "off → on for those its rules choose", Direction.RAISES),
        (QUARTER, SetExposure(0.25), "25% of users, as before", Direction.KEEPS),
        (OFF, Kill(), "off, as before", Direction.KEEPS),
        (QUARTER, Restore(FIVE), "25% → 5% of users", Direction.LOWERS),
        (OFF, Restore(TARGETED), "off → on for those its rules choose", Direction.RAISES),
        (QUARTER, Restore(TARGETED), "25% of users → on for those its rules choose", Direction.RAISES),
        (EVERYONE, Restore(TARGETED), "100% of users → on for those its rules choose", Direction.LOWERS),
    ],
)
def test_a_change_tells_its_difference(
    before: FlagState, change: FlagChange, words: str, direction: Direction
) -> None:
    difference = Difference(before, apply_to(before, change))
    assert (difference.words, difference.direction) == (words, direction)


def test_a_kill_that_only_takes_rules_away_says_so() -> None:
    before = flag_state(None, enabled=False, shape=Shape.TARGETED, rules=["everybody in Berlin"])
    difference = Difference(before, replace(before, configuration={}))
    assert difference.words == "off as before, with other rules"


LEFT_TO_CODE = replace(OFF, share_while_off=None)


@pytest.mark.parametrize("shape", list(Shape))
def test_what_is_left_to_the_codes_default_counts_as_raised_by_all_but_off(shape: Shape) -> None:
    several = replace(LEFT_TO_CODE, shape=shape, rollout=None)
    assert exposure_in_words(several) == "left to the code's default, for whom is not known"
    assert Difference(several, apply_to(several, TurnOn())).direction is Direction.RAISES
    assert Difference(several, apply_to(several, Kill())).direction is Direction.LOWERS
    assert Difference(apply_to(several, Kill()), several).direction is Direction.RAISES


def test_other_rules_for_an_unknown_share_count_as_raising() -> None:
    others = flag_state(None, shape=Shape.TARGETED, rules=["everybody in Berlin"])
    assert Difference(TARGETED, others).direction is Direction.RAISES
    assert Difference(TARGETED, replace(TARGETED, version="2")).direction is Direction.KEEPS


def test_a_share_of_the_targeted_is_not_called_a_share_of_users() -> None:
    targeted = flag_state(0.05, shape=Shape.TARGETED)
    assert exposure_in_words(targeted) == "5% of those its rules choose"
    after = apply_to(targeted, SetExposure(0.25))
    assert Difference(targeted, after).words == "5% → 25% of those its rules choose"


@pytest.mark.parametrize("share", [-0.01, 1.01, 250.0, float("nan"), float("inf")])
def test_a_share_outside_of_0_to_100_percent_is_refused(share: float) -> None:
    with pytest.raises(ShareOutOfRangeError):
        apply_to(OFF, SetExposure(share))


def test_a_share_finer_than_the_system_keeps_is_refused() -> None:
    assert apply_to(OFF, SetExposure(0.29), finest=0.01).rollout == 0.29
    with pytest.raises(ShareOutOfRangeError, match=r"0\.5% is finer than the steps of 1%"):
        apply_to(OFF, SetExposure(0.005), finest=0.01)


def test_rules_are_not_overwritten_by_a_percentage() -> None:
    with pytest.raises(ImpossibleChangeError, match="would overwrite its rules"):
        apply_to(TARGETED, SetExposure(0.25))


def test_a_recorded_state_of_another_flag_is_not_restored() -> None:
    with pytest.raises(ImpossibleChangeError):
        apply_to(OFF, Restore(replace(QUARTER, environment="staging")))


@pytest.mark.parametrize("change", [TurnOn(), TurnOff(), Kill(), SetExposure(0.25), Restore(TARGETED)])
def test_a_change_survives_being_written_down(change: FlagChange) -> None:
    assert change_from_json(json.loads(json.dumps(change_as_json(change)))) == change


def test_percentages_read_as_people_write_them() -> None:
    assert [percent_text(share, plain=True) for share in (0, 0.001, 0.05, 0.29, 1 / 3, 1)] == [
        "0%",
        "0.1%",
        "5%",
        "29%",
        "33.3333%",
        "100%",
    ]
