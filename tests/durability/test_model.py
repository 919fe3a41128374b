"""Every state of the model: no message is posted twice, lost or out of order."""

from dataclasses import replace

import pytest

from tests.durability import model
from tests.durability.model import Rules, State
from tests.durability.search import CounterexampleError, Search, explore

# `python -m tests.durability` allows one fault more: several times as many states.
RULES = Rules(faults=2)


def search(rules: Rules) -> Search[State]:
    return explore(
        model.start(rules),
        lambda state: model.steps(state, rules),
        lambda state: model.broken(state, rules),
        model.canonical,
    )


def test_each_message_is_posted_once_in_order_and_in_the_end() -> None:
    found = search(RULES)
    assert len(found.reached_by) > 5_000
    assert found.without_end(model.is_end) == set()


def test_only_a_look_up_that_comes_too_early_repeats_a_message() -> None:
    found = search(replace(RULES, looks_early=True, faults=1))
    assert found.without_end(model.is_end) == set()
    repeated = [state for state in found.reached_by if len(state.posts) > RULES.messages]
    assert repeated
    assert all(sum(state.early_looks) for state in repeated)


@pytest.mark.parametrize(
    ("missing", "broken"),
    [
        ({"checks_lease_after_read": False}, "message 0 was posted 2 times"),
        ({"checks_lease_before_send": False}, "message 0 was posted 2 times"),
        ({"counts_attempts": False}, "message 0 was posted 2 times"),
        ({"looks_up": False}, "message 0 was posted 2 times"),
        ({"retires_only_who_stopped": False}, "message 0 was posted 2 times"),
    ],
)
def test_the_search_finds_what_each_rule_is_for(missing: dict[str, bool], broken: str) -> None:
    with pytest.raises(CounterexampleError) as found:
        search(replace(RULES, faults=3, **missing))
    assert found.value.broken == broken


def test_a_message_that_nobody_can_send_is_noticed() -> None:
    """Without a way to look up, a message in doubt would wait for ever."""
    rules = replace(RULES, faults=1)
    without = {"look up", "retire"}
    found = explore(
        model.start(rules),
        lambda state: (step for step in model.steps(state, rules) if step.action not in without),
        lambda state: model.broken(state, rules),
        model.canonical,
    )
    assert found.without_end(model.is_end)
