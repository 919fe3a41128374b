"""Prometheus fires, by the exported rules, exactly the burn alerts that the bot fires: tried by promtool."""

import tempfile
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.catalog.error_budget_policy import AlertSeverity, BurnAlert, DecideBy, ErrorBudgetPolicy
from bot.catalog.slo import CounterSli
from tests.policy.prometheus_rules.scenario import Minute, Scenario, labels, promtool
from tests.support import values
from tests.support.clock import HOUR, MINUTE
from tests.support.values import STANDARD

QUICK = ErrorBudgetPolicy(
    "quick",
    burn_alerts=(
        BurnAlert(AlertSeverity.PAGE, Decimal("14.4"), HOUR, 5 * MINUTE),
        BurnAlert(AlertSeverity.PAGE, Decimal(6), 2 * HOUR, 15 * MINUTE),
        BurnAlert(AlertSeverity.TICKET, Decimal(1), 5 * HOUR, 30 * MINUTE),
    ),
)
"""Alerts over hours, so that a scenario is short."""
TOTAL = 'http_requests_total{service="checkout"}'
BY_BAD = values.prometheus_sli()
BY_GOOD = CounterSli("prometheus", TOTAL, good='http_requests_total{service="checkout",code="200"}')
BY_QUERY = CounterSli(
    "prometheus",
    f"sum(increase({TOTAL}[$window]))",
    bad='sum(increase(http_requests_total{service="checkout",code="500"}[$window]))',
)
ALL = frozenset(map(labels, QUICK.burn_alerts))


def traffic(*parts: tuple[int, int, int]) -> list[Minute]:
    """Return minutes: so many of each, with so many events of which so many are bad."""
    return [(events - bad, bad) for minutes, events, bad in parts for _ in range(minutes)]


SCENARIOS = {
    "all is well": (traffic((300, 6_000, 1)), frozenset()),
    "an outage": (traffic((120, 6_000, 2), (20, 6_000, 3_000), (300, 6_000, 2)), ALL),
    "a blip that the long windows forgive": (traffic((120, 6_000, 0), (1, 6_000, 400)), frozenset()),
    "a slow leak": (traffic((400, 6_000, 9)), frozenset({labels(QUICK.burn_alerts[2])})),
    "errors that come in waves, of which each goes on as one alert": (
        traffic(*[(10, 6_000, 200), (20, 6_000, 0)] * 10, (200, 6_000, 0)),
        ALL,
    ),
    "silence, then an outage": (traffic((60, 6_000, 0), (60, 0, 0), (30, 600, 300), (120, 0, 0)), ALL),
    "nothing but errors": (traffic((60, 0, 0), (60, 100, 100)), ALL),
    "two errors of a hundred requests, which prove nothing": (
        traffic((120, 1, 0), (2, 1, 1), (100, 1, 0)),
        frozenset(),
    ),
    "five errors of a hundred requests, which do": (traffic((120, 1, 0), (5, 1, 1), (100, 1, 0)), ALL),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_exactly_the_alerts_of_the_bot_fire(name: str, tmp_path: Path) -> None:
    minutes, ever = SCENARIOS[name]
    scenario = Scenario(QUICK, values.slo(sli=BY_BAD), minutes)
    assert frozenset().union(*scenario.by_the_bot()) == ever
    assert promtool("test", "rules", scenario.test_file(tmp_path, every=2)) == ""


@pytest.mark.parametrize("sli", [BY_GOOD, BY_QUERY], ids=["good", "full queries"])
@pytest.mark.parametrize("name", ["an outage", "nothing but errors"])
def test_however_events_are_counted_the_same_alerts_fire(name: str, sli: CounterSli, tmp_path: Path) -> None:
    scenario = Scenario(QUICK, values.slo(sli=sli), SCENARIOS[name][0])
    assert promtool("test", "rules", scenario.test_file(tmp_path, every=2)) == ""


def test_the_alerts_of_the_workbook_fire_over_a_day(tmp_path: Path) -> None:
    minutes = traffic((300, 600, 0), (600, 600, 1), (30, 600, 60), (500, 600, 0))
    scenario = Scenario(STANDARD, values.slo(sli=BY_BAD), minutes)
    assert frozenset().union(*scenario.by_the_bot()) == frozenset(map(labels, STANDARD.burn_alerts))
    assert promtool("test", "rules", scenario.test_file(tmp_path, every=5)) == ""


def test_an_alert_that_begins_a_minute_late_is_noticed(tmp_path: Path) -> None:
    minutes, _ = SCENARIOS["an outage"]
    scenario = Scenario(QUICK, values.slo(sli=BY_BAD), minutes)
    expected = yaml.safe_load(scenario.test_file(tmp_path).read_text())
    file = replace(scenario, traffic=[(6_000, 0), *minutes[:-1]]).test_file(tmp_path)
    late = yaml.safe_load(file.read_text())
    late["tests"][0]["promql_expr_test"] = expected["tests"][0]["promql_expr_test"]
    file.write_text(yaml.safe_dump(late))
    assert "FAILED" in promtool("test", "rules", file)


PART = st.tuples(
    st.integers(1, 60),
    st.sampled_from([0, 7, 60, 997, 6_000]),
    st.sampled_from([0.0, 0.0, 0.0011, 0.003, 0.013, 0.07, 0.31, 1.0]),
)


@settings(max_examples=8, deadline=None)
@given(
    parts=st.lists(PART, min_size=1, max_size=6),
    objective=st.sampled_from(["0.9937", "0.9983", "0.9491"]),
    decide_by=st.sampled_from([DecideBy.LEDGER, DecideBy.AUTO]),
)
def test_whatever_the_traffic_the_same_alerts_fire(
    parts: list[tuple[int, int, float]], objective: str, decide_by: DecideBy
) -> None:
    minutes = traffic(*((length, events, round(events * share)) for length, events, share in parts))
    # Where evidence is needed for a burn of 1, the formula of the rules is a little stricter than the bot.
    policy = replace(QUICK, decide_by=decide_by)
    if decide_by is DecideBy.AUTO:
        policy = replace(policy, burn_alerts=policy.burn_alerts[:2])
    scenario = Scenario(policy, values.slo(objective=objective, sli=BY_BAD), minutes)
    with tempfile.TemporaryDirectory() as folder:
        assert promtool("test", "rules", scenario.test_file(Path(folder))) == ""


def test_windows_of_any_length_are_recorded_under_their_own_names(tmp_path: Path) -> None:
    alerts = (BurnAlert(AlertSeverity.PAGE, Decimal("2.5"), timedelta(minutes=90), timedelta(minutes=7)),)
    scenario = Scenario(
        replace(QUICK, burn_alerts=alerts), values.slo(sli=BY_BAD), traffic((60, 100, 0), (60, 100, 7))
    )
    assert scenario.by_the_bot()[-1] == frozenset(map(labels, alerts))
    assert promtool("test", "rules", scenario.test_file(tmp_path)) == ""
