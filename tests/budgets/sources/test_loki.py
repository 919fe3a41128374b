"""Loki as a source: log lines are counted once each, and what Loki refuses is told as it says it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.budgets.source import BucketColumns, NoSeriesError, SourceRefusedError
from bot.budgets.sources.counts import instant
from bot.budgets.sources.loki import LokiSource
from bot.catalog.slo import CounterSli, LatencySli
from bot.catalog.sources import LokiSettings
from bot.catalog.window import Span
from bot.policy.loader import load, read
from tests.policy.conftest import SERVICE, WORKSPACE, Write, texts_of, write
from tests.support.clock import HOUR, MINUTE
from tests.support.monitoring.loki import Loki
from tests.support.monitoring.serving import serving

__all__ = ["write"]

START = 1_790_000_040
"""A whole minute, in seconds since the epoch."""
TOTAL = 'sum(count_over_time({app="shop"}[$window]))'
BAD = 'sum(count_over_time({app="shop"} |= "error" [$window]))'
SLI = CounterSli("logs", TOTAL, bad=BAD)


def span(minutes: int) -> Span:
    return Span(instant(START), instant(START) + minutes * MINUTE)


@asynccontextmanager
async def asking(loki: Loki, **settings: Any) -> AsyncIterator[LokiSource]:
    async with serving(loki.answer) as (url, session):
        yield LokiSource(LokiSettings(url, **settings), session)


async def test_lines_are_counted_in_the_minute_in_which_they_were_written() -> None:
    loki = Loki()
    for at, line in (
        (1, "ok"),
        (59, "error: no stock"),
        (61, "ok"),
        (62, "ok"),
        (150, "error"),
        (-5, "error"),
    ):
        loki.write(START + at, line, app="shop")
    loki.write(START + 10, "error", app="other")
    async with asking(loki) as source:
        (answer,) = await source.read_together([SLI], span(3), MINUTE)
        assert answer == BucketColumns({START: (1, 2), START + 60: (0, 2), START + 120: (1, 1)}, MINUTE)
        (good,) = await source.read_together([CounterSli("logs", TOTAL, good=TOTAL)], span(3), MINUTE)
        assert good == BucketColumns({START: (0, 2), START + 60: (0, 2), START + 120: (0, 1)}, MINUTE)


@given(
    lines=st.lists(st.tuples(st.integers(1, 20 * 3600), st.booleans()), max_size=40),
    step=st.sampled_from([60, 300, 3600]),
)
async def test_no_line_is_lost_or_counted_twice_whatever_the_width(
    lines: list[tuple[int, bool]], step: int
) -> None:
    loki, start = Loki(), START // 3600 * 3600
    for at, is_bad in lines:
        loki.write(start + at, "error" if is_bad else "ok", app="shop")
    # What keeps the stream alive.
    loki.write(start + 20 * 3600, "ok", app="shop")
    async with asking(loki) as source:
        whole = Span(instant(start), instant(start) + 20 * HOUR)
        (answer,) = await source.read_together([SLI], whole, timedelta(seconds=step))
        assert isinstance(answer, BucketColumns)
        assert sum(bucket.total for bucket in answer) == len(lines) + 1
        assert sum(bucket.bad for bucket in answer) == sum(is_bad for _, is_bad in lines)


async def test_a_long_time_is_asked_for_a_day_at_a_time() -> None:
    loki = Loki()
    for day in range(5):
        loki.write(START + day * 86_400 + 1, "ok", app="shop")
    async with asking(loki) as source:
        (answer,) = await source.read_together([SLI], span(5 * 24 * 60), MINUTE)
        assert isinstance(answer, NoSeriesError)
        assert sum(bucket.total for bucket in answer.counted or ()) == 5
        assert loki.requests == 2 * 5 + 1


async def test_silence_is_no_traffic_for_an_hour_and_missing_data_after_that() -> None:
    loki = Loki()
    loki.write(START - 1800, "ok", app="shop")
    async with asking(loki) as source:
        (quiet,) = await source.read_together([SLI], span(3), MINUTE)
        assert quiet == BucketColumns({}, MINUTE)
        (gone,) = await source.read_together([SLI], span(60), MINUTE)
        assert isinstance(gone, NoSeriesError)
        assert "no log line was counted for an hour" in str(gone)


async def test_a_tenant_is_named_and_what_is_refused_is_told() -> None:
    loki = Loki(tenant="team-a")
    loki.write(START + 1, "ok", app="shop")
    async with asking(loki) as source:
        with pytest.raises(SourceRefusedError, match=r"refuses the credentials \(401\): no org id"):
            await source.check()
    async with asking(loki, headers={"X-Scope-OrgID": "team-a"}) as source:
        await source.check()
        assert await source.label_values("app", None, span(3)) == ["shop"]
        assert await source.label_values("pod", None, span(3)) == []
        wrong = CounterSli("logs", 'sum(rat({app="shop"}[$window]))', bad=BAD)
        lines = CounterSli("logs", '{app="shop"}', bad=BAD)
        answers = await source.read_together([wrong, lines, SLI], span(3), MINUTE)
        assert [type(answer) for answer in answers] == [SourceRefusedError, SourceRefusedError, BucketColumns]
        assert "parse error at line 1, col 5" in str(answers[0])
        assert "counts nothing" in str(answers[1])
        (latency,) = await source.read_together(
            [LatencySli("logs", "latency", "", timedelta(seconds=1))], span(3), MINUTE
        )
        assert isinstance(latency, SourceRefusedError)


async def test_somebody_who_asks_sees_what_was_sent() -> None:
    loki = Loki()
    loki.write(START + 61, "ok", app="shop")
    async with asking(loki) as source:
        inspection = await source.inspect(SLI, span(3), MINUTE)
        assert inspection.newest == instant(START + 120)
        sent = {query.parameters["query"] for query in inspection.queries}
        assert sent == {TOTAL.replace("$window", "60s"), BAD.replace("$window", "60s")}
        assert inspection.queries[0].parameters["start"] == str(START + 60)


NAMED = WORKSPACE + '    logs: {type: loki, url: "http://loki:3100", tenant: "${TENANT}", delay: 1m}\n'


def asks(sli: str) -> str:
    return SERVICE.replace("events: {}", f"logs: {{{sli}}}")


def test_policies_name_a_loki_and_its_queries(write: Write) -> None:
    catalog = load(write(w=NAMED, s=asks(f"total: '{TOTAL}', bad: '{BAD}'")), {"TENANT": "team-a"})
    assert catalog.workspace.sources["logs"] == LokiSettings(
        "http://loki:3100", headers={"X-Scope-OrgID": "team-a"}, delay=MINUTE
    )
    assert "team-a" not in repr(catalog)
    assert catalog.slos[0].sli == SLI


@pytest.mark.parametrize(
    ("sli", "says"),
    [
        (
            "histogram: latency, threshold: 300ms",
            "Service/checkout spec.slos[0].sli.logs: unknown key `histogram` (allowed: bad, good, total)",
        ),
        ("total: http_requests_total, bad: http_requests_total", "does not count the events in $window"),
        ("total: 'sum(count_over_time({a=\"b\"}[$window]))'", "one of `bad` and `good` is missing"),
        (
            f"total: 'sum(count_over_time({{}}[$window])', bad: '{BAD}'",
            "is not closed",
        ),
        (f"total: '{TOTAL}', bad: '{BAD}', good: '{BAD}'", "`good` and `bad` exclude each other"),
    ],
)
def test_what_loki_does_not_take_is_refused_at_its_key(write: Write, sli: str, says: str) -> None:
    assert any(says in text for text in texts_of(write(w=NAMED, s=asks(sli)), TENANT="a"))


async def test_one_document_for_many_services_takes_the_labels_of_log_streams(write: Write) -> None:
    service = asks(
        """total: 'sum(count_over_time({app="%{app}"}[$window]))', """
        """bad: 'sum(count_over_time({app="%{app}"} |= "error" [$window]))'"""
    ).replace("spec:\n", "spec:\n  forEach: {label: app, source: logs, match: '{env=\"prod\"}'}\n", 1)
    policies = read(write(w=NAMED, s=service), {"TENANT": "team-a"})
    (wanted,) = policies.discovery_requests
    loki = Loki()
    loki.write(START + 1, "ok", app="shop", env="prod")
    async with asking(loki) as source:
        values = await source.label_values(wanted.key.label, wanted.match, span(3))
    expanded = policies.expanded({wanted.key: values})
    assert expanded.faults == ()
    assert [slo.sli for slo in expanded.catalog.slos] == [SLI]
