"""A Prometheus with the exported rules, and the bot's own reading of it, say the same of the same hours."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from bot.budgets.budget import EventCounts, assess
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.slo import Slo
from bot.catalog.window import Span
from bot.freezes.decision import FreezeState, alert_key, decide
from bot.policy.prometheus_rules.files import rule_file
from bot.policy.prometheus_rules.rules import export
from tests.policy.prometheus_rules.scenario import Firing, labels
from tests.policy.prometheus_rules.test_same_alerts import QUICK
from tests.support import values
from tests.support.clock import MINUTE
from tests.support.servers import Prometheus, running_prometheus

SCRAPE = timedelta(seconds=15)
SERVICES = {"well": 0, "leaking": 2, "down": 600}
"""By name, how many of 1,000 requests fail in the last half hour."""
BEFORE = timedelta(hours=6)


def history(now: datetime) -> str:
    """Return six hours of scrapes up to a moment ahead, which the rules must not run out of."""
    lines = ["# TYPE http_requests counter"]
    for service, failing in SERVICES.items():
        for code, is_bad in (("200", False), ("500", True)):
            count, at = 0, now - BEFORE
            while at <= now:
                bad = failing if at > now - timedelta(minutes=30) else 0
                count += bad if is_bad else 1_000 - bad
                name = f'http_requests_total{{service="{service}",code="{code}"}}'
                lines.append(f"{name} {count} {at.timestamp():.3f}")
                at += SCRAPE
    return "\n".join([*lines, "# EOF", ""])


async def by_the_bot(url: str, slo: Slo, now: datetime) -> Firing:
    async with aiohttp.ClientSession() as session:
        source = PrometheusSource(url, session)
        recent = {}
        for length in {each for alert in QUICK.burn_alerts for each in (alert.long, alert.short)}:
            buckets = await source.read(slo.sli, Span(now - length, now), MINUTE)
            recent[length] = EventCounts(
                sum(bucket.bad for bucket in buckets), sum(bucket.total for bucket in buckets)
            )
    events = max(recent.values(), key=lambda counted: counted.total)
    budget = assess(slo, events=events, recent=recent, as_of=now, alerts=QUICK.burn_alerts)
    state = decide([(budget, QUICK)], hold=None, state=FreezeState(), now=now).state
    return frozenset(labels(alert) for alert in QUICK.burn_alerts if alert_key(budget, alert) in state.alerts)


async def by_the_rules(prometheus: Prometheus) -> list[dict[str, Any]]:
    """Return the alerts once every group was evaluated."""
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{prometheus.url}/api/v1/rules") as response:
                groups = (await response.json())["data"]["groups"]
            if groups and all(group["evaluationTime"] > 0 for group in groups):
                break
            await asyncio.sleep(0.1)
        assert [rule for group in groups for rule in group["rules"] if rule["health"] != "ok"] == []
        async with session.get(f"{prometheus.url}/api/v1/alerts") as response:
            alerts: list[dict[str, Any]] = (await response.json())["data"]["alerts"]
    return alerts


async def test_the_same_alerts_fire_of_the_same_hours(tmp_path: Path) -> None:
    services = [
        values.service(name, slos=(values.slo(service=name, sli=values.prometheus_sli(name)),), policy=QUICK)
        for name in SERVICES
    ]
    catalog = values.catalog(*services, evaluate_every=timedelta(seconds=1))
    exported = export(catalog)
    rules = tmp_path / "rules.yaml"
    # What is left is added up every five minutes, which is too seldom for this test.
    groups = [dict(group, interval="1s") for group in exported.groups["prometheus"]]
    rules.write_text(rule_file("acme", "prometheus", groups, ()))
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    async with running_prometheus(tmp_path, openmetrics=history(now), rules=[rules]) as prometheus:
        alerts = await by_the_rules(prometheus)
        found = {
            name: frozenset(
                (each["labels"]["severity"], each["labels"]["burn"], each["labels"]["long"])
                for each in alerts
                if each["labels"]["service"] == name and each["state"] == "firing"
            )
            for name in SERVICES
        }
        slos = {slo.service: slo for slo in catalog.slos}
        expected = {name: await by_the_bot(prometheus.url, slos[name], now) for name in SERVICES}
    assert found == expected
    assert {name: len(firing) for name, firing in found.items()} == {"well": 0, "leaking": 0, "down": 3}
    (page,) = [each for each in alerts if each["labels"]["burn"] == "14.4"]
    said = r"(30|31)(\.\d+)?% of the events failed in the last 1h; 99\.9% must be good over 30d\."
    assert re.match(said, page["annotations"]["description"])
    assert page["annotations"]["service_description"] == "The down service."


async def test_an_alert_says_what_is_left_of_the_budget(tmp_path: Path) -> None:
    slo = values.slo(service="down", sli=values.prometheus_sli("down"))
    catalog = values.catalog(
        values.service("down", slos=(slo,), policy=replace(QUICK)), evaluate_every=timedelta(seconds=1)
    )
    groups = [dict(group, interval="1s") for group in export(catalog).groups["prometheus"]]
    rules = tmp_path / "rules.yaml"
    rules.write_text(rule_file("acme", "prometheus", groups, ()))
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    async with running_prometheus(tmp_path, openmetrics=history(now), rules=[rules]) as prometheus:
        while True:
            alerts = await by_the_rules(prometheus)
            left = {each["annotations"]["budget_left"] for each in alerts}
            if left and "unknown" not in left:
                break
            await asyncio.sleep(0.2)
    # 60% failed in the five minutes that were added up so far, and 0.1% may.
    assert len(left) == 1
    assert re.fullmatch(r"-59\d\d\d\.\d%", left.pop())
