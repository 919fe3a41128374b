"""What every source that is asked over HTTP makes of a server's faults: the same for all of them."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web

from bot.budgets.source import (
    AnswerTooLargeError,
    InvalidAnswerError,
    Source,
    SourceError,
    SourceRefusedError,
    SourceUnavailableError,
)
from bot.budgets.sources.clickhouse import ClickHouseSource
from bot.budgets.sources.datadog import DatadogSource
from bot.budgets.sources.json_http import JsonSource
from bot.budgets.sources.loki import LokiSource
from bot.catalog.slo import CounterSli, Sli
from bot.catalog.source_slis import DatadogSloSli, JsonSli, SqlSli
from bot.catalog.sources import ClickHouseSettings, DatadogSettings, JsonSettings, LokiSettings
from bot.catalog.window import Span
from tests.support.clock import MINUTE, NOW
from tests.support.monitoring.serving import Handler, always, serving

OpenSource = Callable[[str, aiohttp.ClientSession, timedelta], Source]
SPAN = Span(NOW - 10 * MINUTE, NOW)
PATIENCE = timedelta(minutes=1)


def _loki(url: str, session: aiohttp.ClientSession, timeout: timedelta) -> Source:
    return LokiSource(LokiSettings(url, timeout=timeout), session)


def _json(url: str, session: aiohttp.ClientSession, timeout: timedelta) -> Source:
    return JsonSource(JsonSettings(url, timeout=timeout), session)


def _clickhouse(url: str, session: aiohttp.ClientSession, timeout: timedelta) -> Source:
    return ClickHouseSource(ClickHouseSettings(url, timeout=timeout), session)


def _datadog(url: str, session: aiohttp.ClientSession, timeout: timedelta) -> Source:
    return DatadogSource(DatadogSettings(url, "a", "b", timeout), session)


_LOGS = "sum(count_over_time({app='a'}[$window]))"
_HITS = "sum:hits{*}.as_count()"
SOURCES: dict[str, tuple[OpenSource, Sli]] = {
    "loki": (_loki, CounterSli("logs", _LOGS, bad=_LOGS)),
    "json": (_json, JsonSli("shop", "/?{start}{end}", None, "points", "time", "total", "bad")),
    "clickhouse": (_clickhouse, SqlSli("ch", "SELECT 1")),
    "datadog": (_datadog, CounterSli("dd", _HITS, bad=_HITS)),
    "datadog's SLO": (_datadog, DatadogSloSli("dd", "abc")),
}


@dataclass(frozen=True, slots=True)
class ServerFault:
    """How a server answers, and what must become of it."""

    handler: Handler
    error: type[SourceError]
    says: str


FAULTS = {
    "down": ServerFault(
        always(503, "no healthy upstream"), SourceUnavailableError, "503: no healthy upstream"
    ),
    "busy": ServerFault(
        always(429, "too many outstanding requests", Retry_After="7"), SourceUnavailableError, "for 7 s"
    ),
    "login": ServerFault(always(401, "no"), SourceRefusedError, "refuses the credentials"),
    "forbidden": ServerFault(always(403, "no"), SourceRefusedError, "refuses the credentials"),
    "moved": ServerFault(
        always(302, "", Location="http://elsewhere.example/x"), SourceRefusedError, "is not followed"
    ),
    "page": ServerFault(always(200, "<html>"), InvalidAnswerError, "does not answer JSON"),
    "nested": ServerFault(always(200, "[" * 100_000), InvalidAnswerError, "does not answer JSON"),
    "other": ServerFault(always(200, json.dumps(["what"])), InvalidAnswerError, "form"),
    "huge": ServerFault(always(200, " " * (17 << 20)), AnswerTooLargeError, "larger than 16 MiB"),
}


@pytest.mark.parametrize("fault", list(FAULTS.values()), ids=list(FAULTS))
@pytest.mark.parametrize("name", list(SOURCES))
async def test_a_fault_of_the_server_is_told_as_what_it_is(name: str, fault: ServerFault) -> None:
    open_source, sli = SOURCES[name]
    async with serving(fault.handler) as (url, session):
        error = await error_of(open_source(url, session, PATIENCE), sli)
        assert type(error) is fault.error
        assert fault.says in str(error)
        inspection = await open_source(url, session, PATIENCE).inspect(sli, SPAN, MINUTE)
        assert type(inspection.answer) is fault.error


@pytest.mark.parametrize("name", list(SOURCES))
async def test_a_server_that_cannot_be_reached_may_be_tried_again(name: str) -> None:
    open_source, sli = SOURCES[name]
    async with aiohttp.ClientSession() as session:
        error = await error_of(open_source("http://127.0.0.1:9", session, PATIENCE), sli)
        assert type(error) is SourceUnavailableError
        assert "cannot be reached" in str(error)
        with pytest.raises(SourceUnavailableError, match="cannot be reached"):
            await open_source("http://127.0.0.1:9", session, PATIENCE).check()


@pytest.mark.parametrize("name", list(SOURCES))
async def test_a_server_that_hangs_is_not_waited_for(name: str) -> None:
    async def hang(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        raise AssertionError(request.path)

    open_source, sli = SOURCES[name]
    async with serving(hang) as (url, session):
        error = await error_of(open_source(url, session, timedelta(milliseconds=300)), sli)
        assert type(error) is SourceUnavailableError
        assert "did not answer within" in str(error)


@pytest.mark.parametrize("name", list(SOURCES))
async def test_a_server_that_asks_for_a_pause_gets_it(name: str) -> None:
    asked = 0

    async def refuse(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=429, headers={"Retry-After": "600", "X-RateLimit-Reset": "600"})

    open_source, sli = SOURCES[name]
    async with serving(refuse) as (url, session):
        source = open_source(url, session, PATIENCE)
        await error_of(source, sli)
        before = asked
        assert "takes no more requests for" in str(await error_of(source, sli))
        assert asked == before


async def error_of(source: Source, sli: Sli) -> SourceError:
    """Return the error of one SLI, raised or in its place."""
    try:
        (answer,) = await source.read_together([sli], SPAN, MINUTE)
    except SourceUnavailableError as error:
        return error
    assert isinstance(answer, SourceError), f"it answered {answer}"
    return answer
