"""What is known of a label's values after each answer: nothing flaps, nothing grows without end."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.policy.templates.label_values import (
    MAX_LENGTH,
    ORPHAN_RETENTION,
    DiscoveryRequest,
    KnownValue,
    LabelKey,
    differences,
    learn,
    orphaned,
)
from tests.support.clock import NOW

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WANTED = DiscoveryRequest(LabelKey("shop", "service"), "prometheus", "up", keep_for=7 * DAY)


def values(known: tuple[KnownValue, ...]) -> list[str]:
    return [one.value for one in known]


def test_a_value_that_is_gone_is_kept_for_a_while_and_dropped_after() -> None:
    known = learn((), ["a", "b"], WANTED, NOW)
    missed = learn(known, ["a"], WANTED, NOW + HOUR)
    assert missed[1].gone_at == NOW + HOUR
    kept = learn(missed, ["a"], WANTED, NOW + HOUR + 7 * DAY - timedelta(seconds=1))
    assert kept == missed
    assert values(learn(kept, ["a"], WANTED, NOW + HOUR + 7 * DAY)) == ["a"]


def test_a_value_that_returns_is_as_old_as_before_and_its_time_begins_anew() -> None:
    known = learn((), ["a"], WANTED, NOW)
    back = learn(learn(known, [], WANTED, NOW + DAY), ["a"], WANTED, NOW + 6 * DAY)
    assert back == known
    assert values(learn(back, [], WANTED, NOW + 9 * DAY)) == ["a"]


def test_an_empty_answer_drops_nothing_at_once_but_without_a_time_to_keep_it_does() -> None:
    known = learn((), ["a"], WANTED, NOW)
    assert values(learn(known, [], WANTED, NOW)) == ["a"]
    assert learn(known, [], replace(WANTED, keep_for=timedelta(0)), NOW) == ()


def test_a_clock_that_was_set_back_drops_nothing() -> None:
    known = learn(learn((), ["a"], WANTED, NOW), [], WANTED, NOW)
    assert values(learn(known, [], WANTED, NOW - 100 * DAY)) == ["a"]


def test_what_a_narrower_question_does_not_select_is_dropped_with_its_first_answer() -> None:
    known = learn((), ["a", "b"], WANTED, NOW)
    narrower = replace(WANTED, match='up{env="production"}')
    assert values(learn(known, ["b"], narrower, NOW + HOUR)) == ["b"]


def test_who_was_known_first_stays_first() -> None:
    known = learn((), ["m"], WANTED, NOW)
    assert values(learn(known, ["m", "z", "a"], WANTED, NOW + HOUR)) == ["m", "a", "z"]


def test_a_million_values_are_not_kept() -> None:
    wanted = replace(WANTED, limit=3)
    known = learn((), [f"v{number}" for number in range(1000)], wanted, NOW)
    assert values(known) == ["v0", "v1", "v10", "v100"]
    assert learn(known, [f"v{number}" for number in range(1000)], wanted, NOW + HOUR) == known


def test_what_no_database_holds_is_no_value() -> None:
    assert learn((), ["", "a\0b", "a\ud800"], WANTED, NOW) == ()
    assert values(learn((), ["x" * 9_000], WANTED, NOW)) == ["x" * MAX_LENGTH]


def test_a_document_that_is_gone_is_remembered_for_a_while() -> None:
    known = learn((), ["a"], WANTED, NOW)
    gone = orphaned(known, NOW + DAY)
    assert gone == (replace(known[0], gone_at=NOW + DAY),)
    assert orphaned(gone, NOW + DAY + ORPHAN_RETENTION) == ()


ANSWERS = st.lists(st.lists(st.sampled_from("abcdef"), max_size=6), max_size=12)


@given(ANSWERS, st.integers(1, 4), st.integers(0, 4))
def test_what_is_written_brings_the_rows_to_what_is_known(
    answers: list[list[str]], limit: int, keep_hours: int
) -> None:
    wanted = replace(WANTED, limit=limit, keep_for=keep_hours * HOUR)
    rows: dict[str, KnownValue] = {}
    known: tuple[KnownValue, ...] = ()
    for number, answer in enumerate(answers):
        after = learn(known, answer, wanted, NOW + number * HOUR)
        written, forgotten = differences(known, after)
        rows = {value: one for value, one in rows.items() if value not in forgotten}
        rows |= {one.value: one for one in written}
        assert set(rows.values()) == set(after)
        assert len(after) <= limit + 1
        there = {one.value for one in after if one.gone_at is None}
        assert there <= set(answer)
        assert {one.value for one in known} & set(answer) <= there
        known = after
