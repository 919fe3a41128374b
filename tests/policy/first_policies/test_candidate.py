"""What is proposed of what was counted: objectives, bounds, names, and what a person chooses."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.policy.documents.fields import SLUG
from bot.policy.first_policies.candidate import (
    OBJECTIVES,
    Bound,
    Candidate,
    chosen,
    proposed_bound,
    proposed_objective,
    slug,
)
from bot.policy.first_policies.families import Kind

WEEK = timedelta(days=7)
COUNTS = st.integers(0, 10**9)


@pytest.mark.parametrize(
    ("good", "total", "objective", "said"),
    [
        (10**6, 10**6, "99.9", ""),
        (999_600, 10**6, "99.9", ""),
        (999_400, 10**6, "99.5", ""),
        (960_000, 10**6, "90", ""),
        (800_000, 10**6, "90", "20% failed lately"),
        (1_000, 1_000, "99.5", ""),
        (3, 3, "99", "little traffic"),
        (0, 0, "99", "a guess"),
    ],
)
def test_an_objective_is_one_that_the_last_days_met_with_half_the_budget_left(
    good: int, total: int, objective: str, said: str
) -> None:
    proposed, note = proposed_objective(good, total, WEEK)
    assert proposed == Decimal(objective)
    assert said in note
    assert bool(said) == bool(note)


@given(good=COUNTS, bad=COUNTS)
def test_more_errors_never_make_an_objective_stricter(good: int, bad: int) -> None:
    before, _ = proposed_objective(good, good + bad, WEEK)
    after, _ = proposed_objective(good, good + 2 * bad, WEEK)
    assert before in OBJECTIVES
    if good > 1_000_000:
        assert after <= before


def bounds(**events: float) -> list[Bound]:
    return [
        Bound(label, timedelta(milliseconds=int(label.removeprefix("ms"))), count)
        for label, count in events.items()
    ]


def test_a_bound_leaves_half_the_budget_if_one_does_else_it_was_met() -> None:
    assert proposed_bound(bounds(ms100=900, ms250=992, ms500=996, ms1000=1_000), 1_000) == (
        Bound("ms500", timedelta(milliseconds=500), 996),
        Decimal(99),
    )
    found = proposed_bound(bounds(ms100=900, ms250=992), 1_000)
    assert found is not None
    assert (found[0].label, found[1]) == ("ms250", Decimal(99))
    found = proposed_bound(bounds(ms100=900, ms250=985), 1_000)
    assert found is not None
    assert (found[0].label, found[1]) == ("ms250", Decimal(98))


def test_without_traffic_or_a_bound_that_many_met_there_is_no_latency() -> None:
    assert proposed_bound(bounds(ms100=0), 0) is None
    assert proposed_bound([], 10) is None
    assert proposed_bound(bounds(ms100=100, ms250=500), 1_000) is None
    # A policy knows no bound below a millisecond.
    assert proposed_bound([Bound("5e-05", timedelta(microseconds=50), 1_000)], 1_000) is None


@given(parts=st.lists(st.text(max_size=40), min_size=1, max_size=3))
def test_a_name_is_one_that_policies_take_or_none(parts: list[str]) -> None:
    name = slug(*parts)
    assert name == "" or re.fullmatch(SLUG, name)


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("https://shop.example/cart",), "shop-example-cart"),
        (("blog@docker",), "blog"),
        (("prod", "web"), "prod-web"),
        (("Check_Out",), "check-out"),
        (("a" * 80,), "a" * 63),
        (("ÄÖ",), ""),
    ],
)
def test_names_say_what_the_label_says(parts: tuple[str, ...], name: str) -> None:
    assert slug(*parts) == name


FIVE = [
    Candidate(f"s{number}", "availability", Kind.HTTP, {}, Decimal(99), 1, 1, WEEK, "tests")
    for number in range(1, 6)
]


def test_a_person_chooses_by_numbers_and_ranges() -> None:
    assert [each.service for each in chosen(FIVE, " 4, 1-2 ")] == ["s1", "s2", "s4"]


@pytest.mark.parametrize("text", ["", "0", "6", "1-9", "2-1", "one", "1..3", "-1", "9999999999"])
def test_other_numbers_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"number"):
        chosen(FIVE, text)
