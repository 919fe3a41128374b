"""The charts of `/budget SERVICE`: what Slack takes, and the forecast from what is left now on."""

from datetime import timedelta

from bot.budgets.statistics.forecast import HORIZONS, BudgetForecast, FanPoint
from bot.slack.commands.budget_charts import forecast_chart, spending_chart
from tests.support.clock import DAY, NOW
from tests.support.values import STANDARD, budget, slo

MIDNIGHT = NOW.replace(hour=0, minute=0, second=0, microsecond=0) + DAY


def made(days: int) -> BudgetForecast:
    fan = tuple(FanPoint(MIDNIGHT + DAY * day, 0.3 - day / 100, 0.35, 0.4 + day / 100) for day in range(days))
    return BudgetForecast(NOW, None, None, dict.fromkeys(HORIZONS, 0.0), fan)


def test_the_forecast_begins_with_what_is_left_now_and_ends_with_its_last_day() -> None:
    (block,) = forecast_chart(budget(0.36, of=slo()), made(29), STANDARD)
    chart = block["chart"]
    labels = chart["axis_config"]["categories"]
    assert len(labels) <= 20
    assert len(set(labels)) == len(labels)
    lines = {line["name"]: [point["value"] for point in line["data"]] for line in chart["series"]}
    assert [line[0] for line in lines.values()] == [36, 36, 36, 0, 10]
    assert lines["At worst (1 in 10)"][-1] == 2
    assert lines["At best (1 in 10)"][-1] == 68
    # Slack takes a value for every label, and at most six lines with names of twenty characters.
    assert all([point["label"] for point in line["data"]] == labels for line in chart["series"])
    assert len(lines) <= 6
    assert max(map(len, lines)) <= 20


def test_a_short_forecast_keeps_all_its_days() -> None:
    (block,) = forecast_chart(budget(0.36, of=slo()), made(9), STANDARD)
    assert len(block["chart"]["axis_config"]["categories"]) == 10


def test_where_nothing_can_be_said_there_is_no_chart() -> None:
    assert forecast_chart(budget(0.36, of=slo()), None, STANDARD) == []
    assert forecast_chart(budget(0.36, of=slo()), made(1), STANDARD) == []
    assert forecast_chart(budget(None, of=slo()), made(29), STANDARD) == []
    assert spending_chart(budget(0.36, of=slo()), []) == []


def test_days_are_named_by_their_date_and_the_first_value_is_now() -> None:
    (block,) = forecast_chart(budget(0.36, of=slo()), made(9), STANDARD)
    labels = block["chart"]["axis_config"]["categories"]
    assert labels[:2] == ["Now", f"{MIDNIGHT - timedelta(microseconds=1):%d %b}"]
