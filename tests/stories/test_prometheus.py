"""The whole story on a real Prometheus: healthy, failing, frozen, recovered, and blind in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.fake_slack.server import FakeSlackServer
from tests.support.running import Bot, meanwhile, running_governor, write_policies
from tests.support.servers import Exporter, Prometheus

POLICIES = """
apiVersion: governor/v1
kind: Workspace
metadata: {name: acme}
spec:
  channels: {announcements: "#releases"}
  evaluateEvery: 1s
  sources: {prometheus: {url: "${PROMETHEUS_URL}"}}
---
apiVersion: governor/v1
kind: ErrorBudgetPolicy
metadata: {name: standard}
spec: {warnAt: [50%], freezeAt: 0%, unfreezeAt: 10%, dwell: 3s, burnAlerts: [], exemptions: [P0, security]}
---
apiVersion: governor/v1
kind: Service
metadata: {name: checkout}
spec:
  channel: "#checkout"
  errorBudgetPolicy: standard
  slos:
    - name: availability
      objective: 90
      window: 40s
      sli: &counters
        prometheus:
          total: http_requests_total{service="checkout"}
          bad: http_requests_total{service="checkout",code=~"5.."}
    - {name: everything, objective: 1, window: 1h, sli: *counters}
"""


class Traffic:
    """Ten requests each tenth of a second, of which `failing` fail; `sent` counts them all."""

    def __init__(self, exporter: Exporter) -> None:
        self.failing = 0
        self.sent = 0
        self._exporter = exporter

    async def run(self) -> None:
        while True:
            self._exporter.count("http_requests_total", 10 - self.failing, service="checkout", code="200")
            self._exporter.count("http_requests_total", self.failing, service="checkout", code="500")
            self.sent += 10
            await asyncio.sleep(0.1)


@asynccontextmanager
async def flowing(exporter: Exporter) -> AsyncIterator[Traffic]:
    traffic = Traffic(exporter)
    async with meanwhile(traffic.run()):
        yield traffic


def told(slack: FakeSlackServer, channel: str) -> list[str]:
    kinds = [(message.metadata or {}).get("event_type") for message in slack.messages(channel)]
    return [kind for kind in kinds if kind is not None]


def heard(slack: FakeSlackServer, channel: str, kind: str) -> bool:
    return kind in told(slack, channel)


def slo(standing: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in standing["slos"] if each["name"] == name)


async def until(bot: Bot, name: str, **wanted: Any) -> dict[str, Any]:
    """Wait until the SLO shows all these values, or such as satisfy these conditions."""
    async with asyncio.timeout(60):
        while True:
            seen = slo(await bot.state("checkout"), name)
            if all(want(seen[key]) if callable(want) else seen[key] == want for key, want in wanted.items()):
                return seen
            await asyncio.sleep(0.2)


@pytest.fixture
async def bot(tmp_path: Path, slack: FakeSlackServer, prometheus: Prometheus, url: str) -> AsyncIterator[Bot]:
    policies = write_policies(tmp_path, POLICIES)
    async with running_governor(
        policies=policies, slack=slack, folder=tmp_path, PROMETHEUS_URL=prometheus.url, DATABASE_URL=url
    ) as bot:
        yield bot


@pytest.mark.timeout(240)
async def test_a_service_fails_is_frozen_recovers_and_is_open_again(
    exporter: Exporter, bot: Bot, slack: FakeSlackServer
) -> None:
    async with flowing(exporter) as traffic:
        await until(bot, "availability", state="ok", remaining=1.0)
        assert (await bot.api("GET", "gate/checkout"))[1]["allow"] is True

        traffic.failing = 5
        frozen = await bot.until_state("checkout", "frozen", within_s=60)
        traffic.failing = 0
        assert [hold["kind"] for hold in frozen["holds"]] == ["budget"]
        assert (await bot.api("GET", "gate/checkout?strict=1"))[0] == 423
        await slack.person("dana").says("/ship checkout", "#checkout")
        answer = (await slack.until(lambda: slack.ephemerals("#checkout", "dana")))[-1]
        assert "may not ship" in answer.text.casefold() or "no" in answer.text.casefold().split()

        await bot.until_state("checkout", "open", within_s=120)
        assert (await bot.api("GET", "gate/checkout"))[1]["allow"] is True
    for channel in ("#checkout", "#releases"):
        await slack.until(partial(heard, slack, channel, "service_open"))
        turns = [kind for kind in told(slack, channel) if kind in {"service_frozen", "service_open"}]
        assert turns == ["service_frozen", "service_open"]
    assert "budget_warning" not in told(slack, "#releases")
    _, log = await bot.api("GET", "audit?service=checkout")
    actions = [row["action"] for row in log["rows"] if row["action"].startswith("service.")]
    assert actions == ["service.frozen", "service.unfrozen"]
    assert slack.refused == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
async def test_while_prometheus_is_away_nothing_is_lifted_and_afterwards_nothing_is_missing(
    exporter: Exporter, prometheus: Prometheus, bot: Bot, slack: FakeSlackServer
) -> None:
    async with flowing(exporter) as traffic:
        await until(bot, "availability", state="ok", remaining=1.0)
        traffic.failing = 5
        await bot.until_state("checkout", "frozen", within_s=60)
        traffic.failing = 0
        await prometheus.stop()
        stale = await until(bot, "availability", state="stale")
        assert stale["problem"]
        # Longer than window and dwell together: were the ledger's silence taken for health, it would lift.
        await asyncio.sleep(45)
        assert (await bot.state("checkout"))["state"] == "frozen"
        assert "service_open" not in told(slack, "#releases")

        await prometheus.start()
        await until(bot, "everything", state="ok")
        await bot.until_state("checkout", "open", within_s=60)
        sent = traffic.sent
        seen = await until(bot, "everything", total=lambda total: total >= sent * 0.97)
        # Counted from the second scrape on: what came before it, a second or two, Prometheus never counts.
        assert seen["total"] <= traffic.sent
        assert seen["bad"] > 0
