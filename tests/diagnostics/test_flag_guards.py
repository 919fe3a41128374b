"""What `governor doctor` and `governor check` say of guards that cannot tell, on a real Prometheus."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from typer.testing import CliRunner

from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.slo import CounterSli, EventsSli, LatencySli, Sli
from bot.catalog.variants import Variants
from bot.cli.main import cli
from bot.clock import SystemClock
from bot.diagnostics.flag_guards import GuardFinding, guard_findings
from tests.support.clock import HOUR, MINUTE, NOW
from tests.support.servers import running_prometheus
from tests.support.values import catalog, service, slo

SLI = CounterSli("prometheus", "requests_total", bad='requests_total{code=~"5.."}')
LATENCY = LatencySli("prometheus", "latency", 'service="shop"', timedelta(milliseconds=300))
SOON = timedelta(seconds=20)


def samples(now: datetime, *variants: str, per_minute: float = 60.0) -> str:
    return "\n".join(["# TYPE requests counter", *lines(now, variants, per_minute), "# EOF", ""])


def lines(now: datetime, variants: tuple[str, ...], per_minute: float) -> Iterator[str]:
    for variant in variants:
        at, value = now - 24 * HOUR, 0.0
        while at <= now:
            yield f'requests_total{{code="200",variant="{variant}"}} {value:g} {at.timestamp():.3f}'
            at, value = at + MINUTE, value + per_minute


async def found(
    folder: Path, openmetrics: str, *, sli: Sli = SLI, variants: Variants | None = None
) -> list[GuardFinding]:
    shop = replace(service(slos=(slo(sli=sli),)), flags=("new-checkout",), variants=variants)
    async with (
        running_prometheus(folder, openmetrics=openmetrics) as prometheus,
        aiohttp.ClientSession() as session,
    ):
        sources = {"prometheus": PrometheusSource(prometheus.url, session)}
        return await guard_findings(catalog(shop), sources, NOW, within=SOON)


VARIANTS = Variants("variant", "off", flags=("new-checkout",))


async def test_both_values_and_enough_traffic_are_as_it_should_be(tmp_path: Path) -> None:
    assert await found(tmp_path, samples(NOW, "off", "on"), variants=VARIANTS) == []


@pytest.mark.parametrize(
    ("variants", "words", "is_fault"),
    [
        (Variants("cohort", "off"), "no series has the label `cohort` now, so increases", True),
        (
            Variants("variant", "control"),
            'no series has `variant="control"` now (it has "off" and "on")',
            True,
        ),
        (
            Variants("variant", "off", "treatment"),
            'no series has `variant="treatment"` now: nobody met a flag (it has "off" and "on")',
            False,
        ),
    ],
)
async def test_a_label_or_a_value_that_no_series_has_is_named(
    tmp_path: Path, variants: Variants, words: str, is_fault: bool
) -> None:
    (finding,) = await found(tmp_path, samples(NOW, "off", "on"), variants=variants)
    assert words in finding.words
    assert finding.slo == "checkout/availability"
    assert finding.is_fault == is_fault
    assert finding.fix


async def test_while_the_flag_is_off_nothing_is_wrong(tmp_path: Path) -> None:
    (finding,) = await found(tmp_path, samples(NOW, "off"), variants=VARIANTS)
    assert not finding.is_fault
    assert 'no series has `variant` but `variant="off"` now: nobody met a flag' in finding.words


async def test_pushed_events_cannot_be_told_apart(tmp_path: Path) -> None:
    (finding,) = await found(tmp_path, samples(NOW, "off"), sli=EventsSli(), variants=VARIANTS)
    assert finding.words.startswith("its events are pushed, and carry no labels, so increases of flags")


async def test_a_histogram_without_the_label_is_named(tmp_path: Path) -> None:
    (finding,) = await found(tmp_path, samples(NOW, "off", "on"), sli=LATENCY, variants=VARIANTS)
    assert "no series has the label `variant` now" in finding.words


async def test_a_guard_with_too_little_traffic_is_named(tmp_path: Path) -> None:
    (finding,) = await found(tmp_path, samples(NOW, "off", per_minute=0.2))
    assert finding.words.startswith("about 6 requests in the 30\N{NBSP}min that the guard of flags watches")
    assert "`guard.watchFor` to 12h" in finding.fix
    assert finding.is_fault


POLICIES = """
apiVersion: governor/v1
kind: Workspace
metadata: {name: acme}
spec:
  channels: {announcements: "#releases"}
  sources: {prometheus: {url: URL}}
---
apiVersion: governor/v1
kind: Service
metadata: {name: checkout}
spec:
  channel: "#checkout"
  flags: [new-checkout]
  variants: {label: cohort, control: off}
  slos:
    - name: availability
      objective: 99.9
      window: 30d
      sli: {prometheus: {total: requests_total, bad: 'requests_total{code=~"5.."}'}}
"""


async def test_check_prints_what_keeps_guards_from_telling(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    history = samples(SystemClock().now(), "off", "on")
    async with running_prometheus(tmp_path, openmetrics=history) as prometheus:
        (folder / "all.yaml").write_text(POLICIES.replace("URL", prometheus.url))
        run = CliRunner().invoke
        text = await asyncio.to_thread(run, cli, ["check", str(folder)])
        as_json = await asyncio.to_thread(run, cli, ["check", str(folder), "--json"])
    assert text.exit_code == as_json.exit_code == 0
    assert "checkout/availability: no series has the label `cohort` now, so increases" in text.output
    (finding,) = json.loads(as_json.output)["flag_guards"]
    assert finding["slo"] == "checkout/availability"
    assert finding["is_fault"] is True
