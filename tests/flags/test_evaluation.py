"""Who is among the share: stable, monotone, evenly spread, and independent between flags."""

from dataclasses import replace

import pytest

from bot.flags.evaluation import EvaluationReason, LocalFlag, TargetingKeyMissingError, bucket, evaluate

USERS = [f"user-{number}" for number in range(10_000)]


def flag(rollout: float, *, enabled: bool = True, seed: str = "new-checkout") -> LocalFlag:
    return LocalFlag("new-checkout", enabled=enabled, rollout=rollout, seed=seed, version=1)


def those_on(one: LocalFlag) -> set[str]:
    return {user for user in USERS if evaluate(one, user).value}


@pytest.mark.parametrize("share", [0.01, 0.1, 0.25, 0.5, 0.9])
def test_a_share_of_the_flag_is_that_share_of_users(share: float) -> None:
    assert abs(len(those_on(flag(share))) / len(USERS) - share) < 0.01


def test_whoever_is_in_stays_in_as_the_share_grows() -> None:
    seen: set[str] = set()
    for share in (0.0001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.999, 1.0):
        now = those_on(flag(share))
        assert seen <= now
        seen = now
    assert seen == set(USERS)


def test_flags_with_different_seeds_choose_independently() -> None:
    both = those_on(flag(0.25)) & those_on(flag(0.25, seed="other"))
    assert 0.05 < len(both) / len(USERS) < 0.075


def test_a_users_place_never_changes() -> None:
    assert bucket("new-checkout", "user-1") == pytest.approx(0.8715, abs=0.0001)


def test_off_is_false_for_everyone_even_without_a_key() -> None:
    for off in (flag(1.0, enabled=False), flag(0.0)):
        assert (evaluate(off, None).value, evaluate(off, "user-1").variant) == (False, "off")


def test_on_for_everyone_needs_no_key() -> None:
    assert evaluate(flag(1.0), None) == evaluate(flag(1.0), "user-1")
    assert evaluate(flag(1.0), None).reason is EvaluationReason.STATIC


def test_a_share_needs_to_know_who_asks() -> None:
    for nobody in (None, ""):
        with pytest.raises(TargetingKeyMissingError):
            evaluate(flag(0.25), nobody)
    assert evaluate(replace(flag(0.25), rollout=0.9999), "user-1").reason is EvaluationReason.SPLIT
