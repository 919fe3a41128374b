"""Rollbacks and reverts are found by commits and titles; the rest is no undoing."""

from datetime import timedelta

import pytest

from bot.deployments.judgement import LinkMeans
from bot.deployments.rework import rework_reason
from bot.deployments.undoing import (
    EarlierDeployment,
    Undoing,
    is_revert,
    rollback,
    undone_commit,
    undone_title,
)
from tests.support.clock import NOW


def history(*commits: str) -> list[EarlierDeployment]:
    """Return deployments of these commits, `1` being the id of the first, each with what it undoes."""
    past: list[EarlierDeployment] = []
    for number, commit in enumerate(commits, start=1):
        found = rollback(past, commit)
        undone = None if found is None else found.deployment
        past.append(EarlierDeployment(str(number), commit, NOW + number * timedelta(hours=1), undone))
    return past


def undone(*commits: str, is_behind: bool = False) -> Undoing | None:
    return rollback(history(*commits[:-1]), commits[-1], is_behind=is_behind)


def test_new_commits_and_the_same_commit_again_undo_nothing() -> None:
    assert undone("a") is None
    assert undone("a", "b") is None
    assert undone("a", "b", "b") is None


def test_an_earlier_commit_undoes_what_brought_the_present_one() -> None:
    assert undone("a", "b", "a") == Undoing("2", LinkMeans.ROLLBACK)
    assert undone("a", "b", "c", "a") == Undoing("3", LinkMeans.ROLLBACK)
    assert undone("a", "b", "b", "a") == Undoing("3", LinkMeans.ROLLBACK)


def test_each_step_of_a_rollback_by_two_undoes_its_own() -> None:
    assert undone("a", "b", "c", "b") == Undoing("3", LinkMeans.ROLLBACK)
    assert undone("a", "b", "c", "b", "a") == Undoing("2", LinkMeans.ROLLBACK)


def test_a_roll_forward_undoes_the_rollback_which_did_not_fail() -> None:
    assert undone("a", "b", "a", "b") == Undoing("3", LinkMeans.ROLLBACK, is_failure=False)
    assert undone("a", "b", "a", "b", "a") == Undoing("4", LinkMeans.ROLLBACK)


def test_a_fix_after_a_rollback_undoes_nothing() -> None:
    assert undone("a", "b", "a", "c") is None


def test_a_commit_that_the_present_one_contains_rolls_back_though_it_never_ran() -> None:
    assert undone("a", "c", "b", is_behind=True) == Undoing("2", LinkMeans.ROLLBACK)


@pytest.mark.parametrize(
    ("title", "undoes"),
    [
        ('Revert "Add cache"', "Add cache"),
        ('Revert "Add cache" (#13)', "Add cache"),
        ('Revert "Add cache (#12)" (#13)', "Add cache"),
        ('revert: "Add cache"', "Add cache"),
        ('Revert "Revert "Add cache""', 'Revert "Add cache"'),
        ('Reapply "Add cache"', 'Revert "Add cache"'),
        ("Revert to the old cache", None),
        ("Document how to revert", None),
    ],
)
def test_the_title_names_what_is_taken_back(title: str, undoes: str | None) -> None:
    assert undone_title(title) == undoes


def test_bringing_a_change_again_is_no_revert() -> None:
    assert is_revert('Revert "Add cache"')
    assert is_revert("Oops. This reverts commit 3f1c2ab9.")
    assert not is_revert('Revert "Revert "Add cache""')
    assert not is_revert('Reapply "Add cache"')
    assert undone_commit("This reverts commit 3F1C2AB9.") == "3f1c2ab9"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"ref": "main"}, None),
        ({"ref": "hotfix/login"}, "it came from the branch hotfix/login"),
        ({"ref": "refs/heads/hot-fix-7"}, "it came from the branch hot-fix-7"),
        ({"ref": "photofixes"}, None),
        ({"kind": "hotfix"}, "it was declared as a hotfix"),
        ({"kind": "feature"}, None),
        ({"labels": ["bug", "hotfix"]}, "its change is labelled hotfix"),
        ({"titles": ["Add cache", "hotfix: retry"]}, "its change “hotfix: retry” is a hotfix"),
        ({"titles": ['Revert "Add cache"']}, "its change takes back “Add cache”"),
        ({"titles": ['Reapply "Add cache"']}, None),
        ({"titles": ["Retry payments (incident 12)"]}, "its change names incident 12"),
        ({"titles": ["Retry payments, INC-12"]}, "its change names incident 12"),
        ({"titles": ["Fix #inc-12-checkout-500s"]}, "its change names incident 12"),
        ({"titles": ["Increase 3 timeouts since 12 was few"]}, None),
    ],
)
def test_rework_has_a_reason_in_words(told: dict[str, str | list[str]], reason: str | None) -> None:
    assert rework_reason(**told) == reason  # type: ignore[arg-type]
