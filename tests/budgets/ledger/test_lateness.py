"""How late events came is seen by what is added to buckets that seemed complete, and forgotten in time."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.budgets.ledger.lateness import LATE, lateness_of, lateness_text
from bot.budgets.ledger.rollups import seconds
from bot.budgets.ledger.state import LATENESS_REMEMBERED, LedgerState, lateness_after
from bot.budgets.source import Cell
from tests.support.clock import DAY, HOUR, MINUTE, NOW

END = int(seconds(NOW))
READ_TO = NOW - MINUTE
FILLED = LedgerState(filled_from=NOW - DAY, filled_to=READ_TO, base=60)


def added(total: float, age: timedelta) -> dict[int, Cell]:
    """Return events added to the bucket that ended so long ago."""
    return {END - int(age.total_seconds()) - 60: (0.0, total)}


def test_events_added_to_a_complete_bucket_came_late() -> None:
    assert lateness_of(added(5, 7 * MINUTE), 60, FILLED, END) == 7 * MINUTE
    assert lateness_of(added(5, 7 * MINUTE) | added(1, 30 * MINUTE), 60, FILLED, END) == 30 * MINUTE


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, FILLED),
        (added(5, 2 * MINUTE), FILLED),  # two scrapes
        (added(0.3, 7 * MINUTE), FILLED),  # an estimate
        (added(5, 7 * MINUTE) | added(-5, 6 * MINUTE), FILLED),  # moved, as by a sample between two others
        (added(5, 3 * HOUR), FILLED),  # filled in afterwards
        (added(5, 7 * MINUTE), LedgerState()),
        (added(5, 7 * MINUTE), replace(FILLED, newest=NOW - 10 * MINUTE)),  # known to be missing
        (added(5, 7 * MINUTE), replace(FILLED, filled_from=NOW - 2 * MINUTE)),  # read for the first time
    ],
)
def test_other_changes_are_no_lateness(changes: dict[int, Cell], state: LedgerState) -> None:
    assert lateness_of(changes, 60, state, END) is None


@given(late_s=st.integers(151, 7_200), seen_s=st.integers(151, 7_200))
def test_lateness_is_never_below_what_was_seen_last_and_approaches_it(late_s: int, seen_s: int) -> None:
    state = replace(FILLED, late_s=late_s, late_at=NOW)
    for _ in range(40):
        state = replace(state, **lateness_after(state, timedelta(seconds=seen_s), NOW))
        assert (state.late_s or 0) >= seen_s
    assert (state.late_s or 0) < seen_s + 4 * 60


def test_lateness_is_forgotten_after_an_hour() -> None:
    state = replace(FILLED, late_s=600, late_at=NOW)
    assert lateness_after(state, None, NOW + LATENESS_REMEMBERED) == {}
    later = NOW + LATENESS_REMEMBERED + MINUTE
    assert lateness_after(state, None, later) == {"late_s": None, "late_at": None}


def test_what_came_late_is_not_claimed() -> None:
    assert replace(FILLED, late_s=600).counted_to == NOW - 11 * MINUTE
    assert replace(FILLED, late_s=600, newest=NOW - HOUR).counted_to == NOW - HOUR
    assert replace(FILLED, filled_from=NOW - 5 * MINUTE, late_s=600).counted_to == NOW - 5 * MINUTE


def test_the_advice_is_a_delay_with_which_they_would_not_be_late() -> None:
    assert lateness_text(FILLED) is None
    assert lateness_text(replace(FILLED, newest=READ_TO - LATE)) is None
    late = lateness_text(replace(FILLED, delay_s=600, late_s=300))
    assert late == "events came up to 15 min late: set `delay: 20m` for the source"
    silent = lateness_text(replace(FILLED, newest=NOW - 13 * MINUTE))
    assert silent == (
        "the newest sample is of 08:47 UTC: if samples always come that late, set `delay: 15m` for the source"
    )
