"""One document stands for many services on a real Prometheus: they come, freeze, are told, and stay."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest

from bot.budgets.ledger.ledger import Ledger
from bot.budgets.reading.collector import Collector
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.window import Span
from bot.policy.discovery import discover_and_expand
from bot.policy.loader import read
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.store.database import Database
from bot.store.migrate import migrate
from tests.stories.test_command_line import governor
from tests.stories.test_prometheus import heard, told
from tests.support.clock import HOUR, MINUTE, NOW
from tests.support.running import Bot, eventually, meanwhile, running_governor, write_policies
from tests.support.servers import Exporter, Prometheus, running_prometheus

POLICIES = """
apiVersion: governor/v1
kind: Workspace
metadata: {name: acme}
spec:
  channels: {announcements: "#releases"}
  evaluateEvery: 1s
  sources: {prometheus: {url: "${PROMETHEUS_URL}", timeout: 2s}}
---
apiVersion: governor/v1
kind: ErrorBudgetPolicy
metadata: {name: standard}
spec: {warnAt: [50%], freezeAt: 0%, unfreezeAt: 10%, dwell: 3s, burnAlerts: []}
---
apiVersion: governor/v1
kind: Service
metadata: {name: shop}
spec:
  forEach: {label: service, match: http_requests_total}
  description: The shop's %{service}.
  channel: "#%{service}"
  slos:
    - name: availability
      objective: 90
      window: 10m
      sli:
        prometheus:
          total: http_requests_total{service="%{service}"}
          bad: http_requests_total{service="%{service}",code=~"5.."}
"""


class Traffic:
    """Ten requests each tenth of a second for each service, of which so many fail."""

    def __init__(self, exporter: Exporter) -> None:
        self.failing: dict[str, int] = {}
        self._exporter = exporter

    async def run(self) -> None:
        while True:
            for service, failing in self.failing.items():
                self._exporter.count("http_requests_total", 10 - failing, service=service, code="200")
                self._exporter.count("http_requests_total", failing, service=service, code="500")
            await asyncio.sleep(0.1)


@asynccontextmanager
async def flowing(exporter: Exporter) -> AsyncIterator[Traffic]:
    traffic = Traffic(exporter)
    async with meanwhile(traffic.run()):
        yield traffic


async def services(bot: Bot) -> list[str]:
    _, body = await bot.api("GET", "services")
    return sorted(one["service"] for one in body["services"])


async def until_services(bot: Bot, *names: str) -> None:
    await eventually(partial(services, bot), lambda found: found == sorted(names), 60)


def shop(services: int) -> dict[str, int]:
    """Return values and how many requests each has in ten seconds, of which one fails; some are strange."""
    names = ["Cart API", "a.b|c", 'say "hi"', *(f"service-{number}" for number in range(services))]
    return {name: 10 + number for number, name in enumerate(names[:services])}


def history(rates: Mapping[str, int]) -> Iterator[str]:
    """Return two hours of these requests, as OpenMetrics text."""
    yield "# TYPE http_requests counter\n"
    for name, rate in rates.items():
        label = name.replace('"', '\\"')
        for code, events in (("200", rate - 1), ("500", 1)):
            head = f'http_requests_total{{service="{label}",code="{code}"}}'
            for at in range(0, 7_201, 10):
                yield f"{head} {events * at // 10} {int(NOW.timestamp()) - 7_200 + at}\n"
    yield "# EOF\n"


_TICKS = 3


async def questions_of_a_tick(rates: Mapping[str, int], folder: Path) -> int:
    """Return how few queries Prometheus counts in a tick of those that follow upon the back-filling one.

    Once an hour, in another tick for each service, all minutes are read again.
    """
    write_policies(folder, POLICIES.replace("window: 10m", "window: 1h"))
    async with (
        running_prometheus(folder, openmetrics="".join(history(rates))) as prometheus,
        Database(f"sqlite+aiosqlite:///{folder}/governor.db") as database,
        aiohttp.ClientSession() as session,
    ):
        await migrate(database)
        ledger, sources = Ledger(database), {"prometheus": PrometheusSource(prometheus.url, session)}
        policies = read(folder / "policies", {"PROMETHEUS_URL": prometheus.url})
        made, problems = await discover_and_expand(policies, sources, NOW, within=MINUTE)
        slos = made.catalog.slos
        assert (len(slos), made.faults, problems) == (len(rates), (), {})
        collector = Collector(ledger, sources)
        await collector.collect(slos, NOW - _TICKS * MINUTE, MINUTE)
        counted_queries = [await prometheus.asked()]
        for tick in reversed(range(_TICKS)):
            await collector.collect(slos, NOW - tick * MINUTE, MINUTE)
            counted_queries.append(await prometheus.asked())
        counted = await ledger.counts_of_many([(slo, [Span(NOW - HOUR, NOW)]) for slo in slos], NOW)
        assert sorted(hour.total for (hour,) in counted) == [360.0 * rate for rate in rates.values()]
        assert {hour.bad for (hour,) in counted} == {360.0}
        return min(after - before for before, after in pairwise(counted_queries))


async def test_fifty_values_are_asked_for_with_hardly_more_questions_than_two(tmp_path: Path) -> None:
    two = await questions_of_a_tick(shop(2), tmp_path / "two")
    assert 0 < two <= 4, "all requests, the failed ones, how many series there are, and how many there were"
    assert two <= await questions_of_a_tick(shop(50), tmp_path / "fifty") <= two + 4


@pytest.fixture
async def bot(tmp_path: Path, slack: FakeSlackServer, prometheus: Prometheus) -> AsyncIterator[Bot]:
    policies = write_policies(tmp_path, POLICIES)
    async with running_governor(
        policies=policies, slack=slack, folder=tmp_path, PROMETHEUS_URL=prometheus.url
    ) as bot:
        yield bot


@pytest.mark.timeout(240)
async def test_a_new_value_becomes_a_service_is_frozen_and_told_and_outlives_its_source(
    exporter: Exporter, prometheus: Prometheus, bot: Bot, slack: FakeSlackServer, tmp_path: Path
) -> None:
    async with flowing(exporter) as traffic:
        traffic.failing = {"checkout": 0}
        await until_services(bot, "checkout")
        checked = await asyncio.to_thread(
            governor, "check", str(tmp_path / "policies"), PROMETHEUS_URL=prometheus.url
        )
        assert (checked.returncode, checked.stderr) == (0, "")
        assert "Service/shop: makes one service, by `service` of prometheus" in checked.stdout

        traffic.failing |= {"Search": 0, "日本": 0}
        await until_services(bot, "checkout", "search")
        await slack.until(partial(heard, slack, "#releases", "refused_values"))
        refusal = next(one for one in slack.messages("#releases") if "日本" in one.text)
        assert "Service/shop" in refusal.text
        assert "search" not in refusal.text

        traffic.failing["Search"] = 8
        await bot.until_state("search", "frozen", within_s=60)
        assert (await bot.api("GET", "gate/search?strict=1"))[0] == 423
        assert (await bot.api("GET", "gate/checkout"))[1]["allow"] is True
        # Each channel is told at its own pace.
        for channel in ("#search", "#releases"):
            await slack.until(partial(heard, slack, channel, "service_frozen"))
        assert told(slack, "#checkout") == ["launch_checklist"]

        await prometheus.stop()
        await eventually(
            lambda: bot.get("/readyz"),
            lambda ready: any("shop" in str(one.get("values_not_found")) for one in details(ready)),
        )
        assert await services(bot) == ["checkout", "search"]
        await bot.kill()
        await bot.start()
        assert await services(bot) == ["checkout", "search"]
        assert (await bot.state("search"))["state"] == "frozen"
        assert (await bot.api("GET", "gate/search?strict=1"))[0] == 423
    assert told(slack, "#releases").count("refused_values") == 1
    for channel in ("#search", "#releases"):
        assert told(slack, channel).count("service_frozen") == 1
    assert slack.refused == []


def details(ready: object) -> list[dict[str, object]]:
    """Return the details of each check of `/readyz`."""
    assert isinstance(ready, dict)
    return [one for one in ready["checks"].values() if isinstance(one, dict)]
