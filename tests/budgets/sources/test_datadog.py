"""Datadog as a source: counts by bucket, SLOs of its own, and what it refuses, in its documented forms."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from bot.budgets.source import (
    BucketColumns,
    InvalidAnswerError,
    NoSeriesError,
    SourceRefusedError,
    SourceUnavailableError,
)
from bot.budgets.sources.counts import instant
from bot.budgets.sources.datadog import DatadogSource
from bot.catalog.slo import CounterSli, LatencySli
from bot.catalog.source_slis import DatadogSloSli
from bot.catalog.sources import DatadogSettings
from bot.catalog.window import Span
from bot.policy.loader import load
from bot.policy.secrets import secrets_of
from tests.policy.conftest import SERVICE, WORKSPACE, Write, texts_of, write
from tests.support.clock import DAY, HOUR, MINUTE
from tests.support.monitoring.datadog import Datadog
from tests.support.monitoring.serving import always, serving

__all__ = ["write"]

START = 1_790_002_800
SPAN = Span(instant(START), instant(START) + 3 * MINUTE)
TOTAL, BAD = "sum:hits{service:shop}.as_count()", "sum:errors{service:shop}.as_count()"
SLI = CounterSli("datadog", TOTAL, bad=BAD)


@asynccontextmanager
async def asking(datadog: Datadog, api: str = "api", app: str = "app") -> AsyncIterator[DatadogSource]:
    async with serving(datadog.answer) as (url, session):
        yield DatadogSource(DatadogSettings(url, api, app), session)


@pytest.fixture
def datadog() -> Datadog:
    found = Datadog()
    for at, events in ((0, 5), (59, 2), (60, 4), (179, 1), (180, 9), (-1, 9)):
        found.count("hits", START + at, events)
    found.count("errors", START + 59, 2)
    found.slos = {"abc": ("errors", "hits"), "watch": None}
    return found


async def test_events_are_counted_by_bucket(datadog: Datadog) -> None:
    counted = BucketColumns({START: (2, 7), START + 60: (0, 4), START + 120: (0, 1)}, MINUTE)
    async with asking(datadog) as source:
        await source.check()
        assert await source.read_together([SLI], SPAN, MINUTE) == [counted]
        good = CounterSli("datadog", TOTAL, good=TOTAL)
        (answer,) = await source.read_together([good], SPAN, MINUTE)
        assert answer == BucketColumns({START: (0, 7), START + 60: (0, 4), START + 120: (0, 1)}, MINUTE)


async def test_an_slo_of_datadog_gives_its_events(datadog: Datadog) -> None:
    async with asking(datadog) as source:
        (answer,) = await source.read_together([DatadogSloSli("datadog", "abc")], SPAN, MINUTE)
        assert answer == BucketColumns({START: (2, 7), START + 60: (0, 4), START + 120: (0, 1)}, MINUTE)
        inspection = await source.inspect(DatadogSloSli("datadog", "abc"), SPAN, MINUTE)
        assert inspection.queries[0].endpoint == "/api/v1/slo/abc/history"
        monitor, unknown = await source.read_together(
            [DatadogSloSli("datadog", "watch"), DatadogSloSli("datadog", "gone")], SPAN, MINUTE
        )
        assert "only metric-based ones do" in str(monitor)
        assert "answered 404: SLO not found" in str(unknown)


async def test_a_long_time_is_asked_in_parts_that_keep_the_width(datadog: Datadog) -> None:
    datadog.count("hits", START + 2 * 86_400 - 30, 3)
    async with asking(datadog) as source:
        long = Span(instant(START), instant(START) + 2 * DAY)
        (answer,) = await source.read_together([SLI], long, MINUTE)
        assert isinstance(answer, BucketColumns)
        assert sum(bucket.total for bucket in answer) == 7 + 4 + 1 + 9 + 3
        assert sum("query?" in request for request in datadog.requests) == 2 * 3


async def test_an_hour_without_values_is_missing_data(datadog: Datadog) -> None:
    async with asking(datadog) as source:
        soon = Span(instant(START) + 30 * MINUTE, instant(START) + 31 * MINUTE)
        assert await source.read_together([SLI], soon, MINUTE) == [BucketColumns({}, MINUTE)]
        later = Span(instant(START) + 2 * HOUR, instant(START) + 2 * HOUR + MINUTE)
        (answer,) = await source.read_together([SLI], later, MINUTE)
        assert isinstance(answer, NoSeriesError)


async def test_what_datadog_refuses_is_told(datadog: Datadog) -> None:
    async with asking(datadog, api="wrong") as source:
        with pytest.raises(SourceRefusedError, match=r"refuses the credentials \(403\): Forbidden"):
            await source.check()
    async with asking(datadog, app="wrong") as source:
        (answer,) = await source.read_together([SLI], SPAN, MINUTE)
        assert isinstance(answer, SourceRefusedError)
    async with asking(datadog) as source:
        wrong, latency = await source.read_together(
            [
                CounterSli("datadog", "sum:hits{.as_count()", bad=BAD),
                LatencySli("datadog", "a", "", timedelta(seconds=1)),
            ],
            SPAN,
            MINUTE,
        )
        assert "Rule 'scope_expr' didn't match" in str(wrong)
        assert isinstance(latency, SourceRefusedError)


async def test_buckets_wider_than_asked_for_are_not_taken(datadog: Datadog) -> None:
    body = '{"status": "ok", "series": [{"interval": 300, "pointlist": [[1790002800000, 4]]}]}'
    async with serving(always(200, body)) as (url, session):
        source = DatadogSource(DatadogSettings(url, "api", "app"), session)
        (answer,) = await source.read_together([SLI], SPAN, MINUTE)
        assert isinstance(answer, InvalidAnswerError)
        assert "counts by 300 s here, and 60 s were asked for" in str(answer)


async def test_the_reset_of_the_rate_limit_is_waited_for() -> None:
    refuse = always(
        429, '{"errors": ["Rate limit of 300 requests in 3600 seconds reached."]}', X_RateLimit_Reset="77"
    )
    async with serving(refuse) as (url, session):
        source = DatadogSource(DatadogSettings(url, "api", "app"), session)
        with pytest.raises(SourceUnavailableError, match="no more requests for 77 s: Rate limit of 300"):
            await source.read_together([SLI], SPAN, MINUTE)


NAMED = (
    WORKSPACE + '    dd: {type: datadog, site: datadoghq.eu, apiKey: "${API}", applicationKey: "${APP}"}\n'
)
KEYS = {"API": "s3cret-api", "APP": "s3cret-app"}


def asks(sli: str) -> str:
    return SERVICE.replace("events: {}", f"dd: {{{sli}}}")


def test_policies_name_an_account_and_its_queries(write: Write) -> None:
    catalog = load(write(w=NAMED, s=asks(f"total: '{TOTAL}', good: '{BAD}'")), KEYS)
    settings = DatadogSettings("https://api.datadoghq.eu", "s3cret-api", "s3cret-app")
    assert catalog.workspace.sources["dd"] == settings
    assert catalog.slos[0].sli == CounterSli("dd", TOTAL, good=BAD)
    assert "s3cret" not in repr(catalog)
    assert secrets_of(catalog) == ("s3cret-api", "s3cret-app")
    assert load(write(w=NAMED, s=asks("slo: abc")), KEYS).slos[0].sli == DatadogSloSli("dd", "abc")


@pytest.mark.parametrize(
    ("sli", "says"),
    [
        (f"total: '{TOTAL}'", "one of `bad` and `good` is missing"),
        (f"slo: abc, total: '{TOTAL}'", "`total` does not go with `slo`"),
        ("slo: ../../v2", "is not the id of an SLO"),
        (f"total: '{TOTAL}', bad: 'sum:a{{*}}'", "does not count events"),
        (f"total: '{TOTAL}', bad: 'sum:a{{*}}.as_count().rollup(sum, 5)'", "leave `.rollup(…)` out"),
        (f"bad: '{BAD}'", "`total` is missing"),
        ("sql: SELECT 1", "(allowed: bad, good, slo, total)"),
    ],
)
def test_what_datadog_does_not_take_is_refused_at_its_key(write: Write, sli: str, says: str) -> None:
    assert any(says in text for text in texts_of(write(w=NAMED, s=asks(sli)), **KEYS))
