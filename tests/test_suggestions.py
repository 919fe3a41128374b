"""What is suggested for a word that is not known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.suggestions import did_you_mean, is_misspelt, suggest

SERVICES = ("checkout", "check-in", "search", "payments")


@pytest.mark.parametrize(
    ("word", "known", "suggested"),
    [
        ("chekout", SERVICES, "checkout"),
        ("SEARCH", SERVICES, "search"),
        ("objectve", ("name", "objective"), "objective"),
        ("utc", ("Europe/London", "UTC"), "UTC"),
        ("prod", ("staging", "production"), "production"),
        ("whomai", ("help", "whoami"), "whoami"),
        ("kil", ("on", "off", "kill"), "kill"),
    ],
)
def test_the_nearest_known_word_is_suggested_as_it_is_written(
    word: str, known: tuple[str, ...], suggested: str
) -> None:
    assert suggest(word, known) == (suggested,)


@pytest.mark.parametrize("word", ["", "zebra", "c", "pa", "x" * 10_000])
def test_nothing_is_suggested_for_a_word_that_is_like_none(word: str) -> None:
    assert suggest(word, SERVICES) == ()
    assert suggest("checkout", ()) == ()


def test_the_best_stands_first_and_no_more_are_named_than_wanted() -> None:
    assert suggest("checkot", SERVICES, most=3) == ("checkout", "check-in")
    assert suggest("check", SERVICES, most=1) == ("checkout",)


@given(st.text(), st.lists(st.text()), st.integers(1, 4))
def test_only_known_words_are_suggested(word: str, known: list[str], most: int) -> None:
    suggested = suggest(word, known, most=most)
    assert len(suggested) <= most
    assert set(suggested) <= set(known)
    assert len(set(suggested)) == len(suggested)


@pytest.mark.parametrize(
    ("word", "misspelt"),
    [("stagng", True), ("staging", True), ("prod", False), ("produce", False), ("the", False)],
)
def test_a_word_is_misspelt_only_where_hardly_anything_else_can_be_meant(word: str, misspelt: bool) -> None:
    assert is_misspelt(word, ["staging", "production"]) is misspelt


def test_the_question_ends_a_message() -> None:
    assert did_you_mean(()) == ""
    assert did_you_mean(["a"]) == "; did you mean a?"
    assert did_you_mean(["a", "b"]) == "; did you mean a or b?"
