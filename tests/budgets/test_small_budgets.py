"""SLOs with too little traffic for their objective are named, with what would do."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest

from bot.budgets.small_budgets import small_budget, small_budgets
from bot.budgets.source import Answer, Bucket, SourceUnavailableError
from bot.catalog.slo import Sli
from bot.catalog.window import RollingWindow, Span
from tests.support.clock import DAY, NOW
from tests.support.formula_source import CountingSource
from tests.support.values import prometheus_sli, slo

SOON = timedelta(seconds=0.2)
WEEK = RollingWindow(7 * DAY)


class SteadySource(CountingSource):
    """Counts two events an hour."""

    async def read_together(self, slis: Sequence[Sli], span: Span, step: timedelta) -> Sequence[Answer]:
        await super().read_together(slis, span, step)
        return [
            [Bucket(span.start + number * step, step, 0, 2) for number in range(span.length // step)]
            for _ in slis
        ]


def test_what_leaves_less_than_one_event_gets_a_longer_window_and_a_lower_objective() -> None:
    found = small_budget(slo(objective="0.999", window=WEEK), 50, NOW)
    assert found is not None
    assert (found.window, found.objective) == (28 * DAY, Decimal("0.995"))
    assert found.words == (
        "about 50 events a day at 99.9% allow 0.35 bad ones in a window: too few to decide on; "
        "take a window of 28d or an objective of 99.5%"
    )


@pytest.mark.parametrize("events_a_day", [0, 143, 10**6])
def test_what_allows_an_event_or_has_none_is_not_named(events_a_day: float) -> None:
    assert small_budget(slo(objective="0.999", window=WEEK), events_a_day, NOW) is None


def test_where_nothing_would_do_nothing_is_proposed() -> None:
    found = small_budget(slo(objective="0.7", window=RollingWindow(365 * DAY)), 0.001, NOW)
    assert found is not None
    assert (found.window, found.objective) == (None, None)
    assert found.words.endswith("too few to decide on")


async def test_the_last_day_of_each_source_is_asked_for() -> None:
    small = slo("small", objective="0.999", window=WEEK, sli=prometheus_sli("small"))
    large = slo("large", objective="0.9", window=WEEK, sli=prometheus_sli("large"))
    found = await small_budgets(
        [small, large, slo("pushed")], {"prometheus": SteadySource()}, NOW, within=SOON
    )
    assert [(each.slo, each.events_a_day) for each in found] == [(small, 48)]


async def test_a_source_that_does_not_answer_is_left_out() -> None:
    down = CountingSource()
    down.failure = SourceUnavailableError("nobody answers")
    small = slo("small", objective="0.9999", window=WEEK, sli=prometheus_sli("small"))
    assert await small_budgets([small], {"prometheus": down}, NOW, within=SOON) == []
