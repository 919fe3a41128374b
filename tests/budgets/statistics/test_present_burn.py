"""A burn is present while the newest minutes have it, on more than one or two bad events."""

import pytest

from bot.budgets.statistics.present_burn import Cell, PresentBurn, present_burn

FIVE_MINUTES, HALF_AN_HOUR = 1 / 12, 0.5
CLEAN: Cell = (0.0, 1_000.0)


def found(newest: dict[float, Cell], usual: float = 1.0) -> PresentBurn | None:
    return present_burn(newest, usual=usual, allowed=0.001)


def test_the_fast_window_leads_and_says_how_long_it_has_lasted() -> None:
    burn = found({FIVE_MINUTES: (10, 100), HALF_AN_HOUR: (20, 600), 1: (20, 1_200), 6: (22, 7_200)})
    assert burn is not None
    assert burn.fast == pytest.approx(120)
    assert burn.slow == pytest.approx(40)
    assert burn.lasted_h == pytest.approx(22 / 120)


@pytest.mark.parametrize(
    "newest",
    [
        {},
        {FIVE_MINUTES: CLEAN, 1: CLEAN},
        # Two bad events prove nothing.
        {FIVE_MINUTES: (2, 50), 1: (2, 600)},
        # It was an hour ago, and has stopped.
        {FIVE_MINUTES: (0, 100), HALF_AN_HOUR: (0, 600), 1: (100, 1_200)},
        # Half of what the objective allows.
        {FIVE_MINUTES: (50, 100_000), 1: (600, 1_200_000)},
    ],
)
def test_otherwise_there_is_none(newest: dict[float, Cell]) -> None:
    assert found(newest) is None


def test_what_is_usual_for_the_service_is_no_burn() -> None:
    assert found({1: (20, 1_000)}, usual=15) is None


def test_the_longer_window_leads_where_the_short_one_has_too_few_events() -> None:
    burn = found({FIVE_MINUTES: (0, 5), 1: (6, 60), 6: (6, 360)})
    assert burn == PresentBurn(fast=6, slow=1, lasted_h=1)
