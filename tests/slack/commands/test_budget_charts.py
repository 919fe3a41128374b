"""The picture of `/budget SERVICE`: what Slack takes, where the fan begins, and what is marked for whom."""

import itertools
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from bot.budgets.adjustments.adjustment import Adjustment, AdjustmentKind, CountsAs
from bot.budgets.adjustments.effects import AdjustedCounts, Effect
from bot.budgets.rolling import NO_HISTORY, BudgetPoint, RollingHistory
from bot.budgets.statistics.forecast import HORIZONS, BudgetForecast, FanPoint
from bot.catalog.window import Span
from bot.incidents.incident import Severity
from bot.incidents.lifecycle import NewIncident
from bot.slack.commands.budget_charts import Marks, picture
from bot.spending.service_events import ServiceEvents
from bot.store.outbox import Block
from tests.spending.happenings import deployed, happened
from tests.support.clock import DAY, HOUR, NOW
from tests.support.slack_app import RunningSlackApp, run_slack_app, shop
from tests.support.values import STANDARD, budget, slo

MIDNIGHT = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
NOTHING = ServiceEvents()


def made(days: int) -> BudgetForecast:
    fan = tuple(
        FanPoint(MIDNIGHT + DAY * day, 0.3 - day / 100, 0.35, 0.4 + day / 100) for day in range(1, days + 1)
    )
    return BudgetForecast(NOW, None, None, dict.fromkeys(HORIZONS, 0.0), fan)


def stood(*left: float, step: timedelta = 3 * DAY) -> RollingHistory:
    """Return what was left at multiples of the step, and the last of it now."""
    grid = MIDNIGHT - (MIDNIGHT - datetime.fromtimestamp(0, NOW.tzinfo)) % step
    before = [BudgetPoint(grid - step * number, each) for number, each in enumerate(reversed(left[:-1]))]
    return RollingHistory((*reversed(before), BudgetPoint(NOW, left[-1])), step)


def drawn(
    history: RollingHistory, forecast: BudgetForecast | None = None, events: ServiceEvents = NOTHING
) -> list[Block]:
    return picture(budget(0.36, of=slo()), history, forecast, STANDARD, events)


def labels_of(block: Block) -> list[str]:
    labels: list[str] = block["chart"]["axis_config"]["categories"]
    return labels


def lines_of(block: Block) -> dict[str, list[float]]:
    return {line["name"]: [point["value"] for point in line["data"]] for line in block["chart"]["series"]}


def test_the_fan_opens_at_the_present_point() -> None:
    past = [0.9, 0.8, 0.7, 0.2, 0.15, 0.14, 0.13, 0.12, 0.11, 0.1, 0.36]
    (block,) = drawn(stood(*past), made(28))
    labels, lines = labels_of(block), lines_of(block)
    assert len(labels) == len(set(labels)) == 20
    now = labels.index("Now")
    assert now == len(past) - 1
    fan = [lines[name] for name in ("At best (1 in 10)", "At worst (1 in 10)", "Left, then likely")]
    for line in fan:
        assert line[: now + 1] == [left * 100 for left in past] or line[: now + 1] == [
            round(left * 100, 2) for left in past
        ]
    best, worst, likely = (line[now + 1 :] for line in fan)
    assert all(low < middle < high for low, middle, high in zip(worst, likely, best, strict=True))
    assert set(lines["Frozen at"]) == {0}
    assert set(lines["Open again at"]) == {10}
    # Slack takes a value for every label, and at most six lines with names of twenty characters.
    assert all(len(line) == len(labels) for line in lines.values())
    assert len(lines) <= 6
    assert max(map(len, lines)) <= 20


def test_past_and_forecast_are_drawn_in_steps_of_one_length() -> None:
    (block,) = drawn(stood(0.9, 0.8, 0.7, 0.36), made(28))
    days = [label for label in labels_of(block) if label != "Now"]
    dates = [datetime.strptime(f"{day} 2026", "%d %b %Y") for day in days]  # noqa: DTZ007 - days only
    apart = {later - earlier for earlier, later in itertools.pairwise(dates)}
    assert apart <= {3 * DAY, 3 * DAY - timedelta(days=365)}


def test_what_happened_is_marked_where_it_happened_and_named_below() -> None:
    history = stood(0.9, 0.8, 0.7, 0.36)
    edges = [point.at for point in history.points]
    events = ServiceEvents(
        (happened(3, edges[1] + HOUR, edges[1] + 2 * HOUR),),
        (deployed("a", edges[1] + HOUR), deployed("b", edges[2]), deployed("c", edges[3])),
    )
    chart, legend = drawn(history, None, events)
    first, second, third, now = labels_of(chart)
    assert not any(sign in first + second for sign in "▲●")
    assert third.endswith(" ▲ ●2")
    assert now == "Now ●"
    text = legend["elements"][0]["text"]
    assert text.startswith("▲ 1 incident: 3 *Trouble 3* <!date^")
    assert "● 3 deployments to production: `c000000` <!date^" in text


def test_what_was_adjusted_is_marked_where_it_begins_and_named_below() -> None:
    history = stood(0.9, 0.8, 0.7, 0.36)
    edges = [point.at for point in history.points]
    left_out = tuple(
        Adjustment(
            number, "checkout", None, AdjustmentKind.EXCLUSION, CountsAs.DROPPED,
            Span(edges[1] + hours * HOUR, edges[1] + (hours + 1) * HOUR), "load test", "U0SAM", NOW,
        )
        for number, hours in ((4, 5), (7, 3))
    )  # fmt: skip
    given = budget(0.36, of=slo())
    assert given.events is not None
    effects = tuple(Effect(each, -10.0, -10.0) for each in left_out)
    events = AdjustedCounts(given.events.bad, given.events.total, given.events, effects)
    chart, legend = picture(replace(given, events=events), history, None, STANDARD, NOTHING)
    first, second, third, now = labels_of(chart)
    assert "◆" not in first + second + now
    assert third.endswith(" ◆2")
    text = legend["elements"][0]["text"]
    assert text.startswith("◆ 2 adjustments: 4 leave out <!date^")
    assert ", 7 leave out <!date^" in text


def test_marks_fit_into_a_label() -> None:
    assert Marks(3, 12, 2).beside("23 Nov") == "23 Nov ▲3 ●12 ◆2"
    assert Marks(3, 1, 2).beside("23 Nov 13:00") == "23 Nov 13:00 ▲3 ● ◆2"
    assert Marks(3, 12, 1).beside("23 Nov 13:00") == "23 Nov 13:00 ▲3●12◆"
    assert Marks(3, 12, 20).beside("23 Nov 13:00") == "23 Nov 13:00 ▲●◆"
    assert Marks().beside("Now") == "Now"


def test_only_the_newest_are_named() -> None:
    history = stood(*[0.5] * 8)
    many = tuple(deployed(f"{number:x}", NOW - number * DAY) for number in range(9))
    *_, legend = drawn(history, None, ServiceEvents(deployments=many))
    assert "● 9 deployments to production" in legend["elements"][0]["text"]
    assert "and 6 before" in legend["elements"][0]["text"]


def test_a_young_service_says_from_when_its_points_are_whole() -> None:
    *_, legend = drawn(replace(stood(0.9, 0.8, 0.36), whole_from=NOW + DAY))
    assert "rest on less than 30\u00a0d: counting began within it." in legend["elements"][0]["text"]


def test_without_a_past_or_with_one_point_alone_there_is_no_picture() -> None:
    assert drawn(NO_HISTORY, made(28)) == []
    assert drawn(stood(0.36)) == []
    assert [block["type"] for block in drawn(stood(0.36), made(9))] == ["data_visualization"]


def test_no_label_stands_twice() -> None:
    (block,) = drawn(stood(*[0.5] * 13, step=6 * HOUR))
    assert len(set(labels_of(block))) == 13
    assert "22 Nov 18:00" in labels_of(block)


async def open_incident(app: RunningSlackApp, title: str, *, private: bool) -> None:
    person = app.slack.person("dana").id
    opening = NewIncident(title, title, Severity.SEV3, ("checkout",), person, private=private, is_person=True)
    await app.incidents.capabilities.lifecycle.open(opening, NOW - HOUR)


async def test_a_private_incident_is_marked_only_for_those_who_may_see_it(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, shop()) as app:
        await open_incident(app, "Leaked keys", private=True)
        others = await app.types("riley", "/budget checkout")
        assert "▲" not in str(others.blocks)
        assert "Leaked keys" not in str(others.blocks)
        assert "Share" in str(others.blocks)
        own = await app.types("dana", "/budget checkout")
        assert "▲ 1 incident: 1 *Leaked keys*" in str(own.blocks)
        # Shared, it would show the channel what only dana may see.
        assert "Share" not in str(own.blocks)
        await open_incident(app, "Checkout 500s", private=False)
        assert "▲ 1 incident: 2 *Checkout 500s*" in str((await app.types("riley", "/budget checkout")).blocks)
        assert not app.slack.refused
