"""One workspace with a source of every type: the same events become the same budget, whoever counts them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from textwrap import indent

import aiohttp
import pytest
from aiohttp import web
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from bot.budgets.budget import EventCounts
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.measurement import measure
from bot.budgets.reading.collector import Collector
from bot.budgets.source import SourceError, buckets_of
from bot.budgets.sources.registry import SourceRegistry
from bot.catalog.catalog import Catalog
from bot.catalog.window import Span
from bot.policy.loader import load
from bot.store.database import Database
from tests.budgets.sources.test_sql import documented
from tests.support.clock import HOUR, MINUTE, NOW
from tests.support.monitoring.clickhouse import ClickHouse
from tests.support.monitoring.cloudwatch import running_cloudwatch
from tests.support.monitoring.datadog import Datadog
from tests.support.monitoring.loki import Loki
from tests.support.monitoring.serving import serving

TOTAL, BAD = 5, 1
"""The events of each minute of the last hour, half a minute after it began."""

SOURCES = """\
    loki: {type: loki, url: "${LOKI}"}
    sql: {type: sql, url: "${SQL}"}
    clickhouse: {type: clickhouse, url: "${CLICKHOUSE}", basicAuth: {username: reader, password: pass}}
    json: {type: json, url: "${JSON}", check: /health}
    datadog: {type: datadog, url: "${DATADOG}", apiKey: api, applicationKey: app, delay: 0s}
    cloudwatch:
      {type: cloudwatch, region: eu-central-1, url: "${AWS}", accessKeyId: A, secretAccessKey: B, delay: 0s}
"""
SLIS = {
    "loki": """\
total: 'sum(count_over_time({app="shop"}[$window]))'
bad: 'sum(count_over_time({app="shop"} |= "error" [$window]))'
""",
    "sql": "sql: |\n" + documented("SQLite"),
    "clickhouse": "sql: |\n" + documented("ClickHouse"),
    "json": """\
path: /?from={start}&to={end}&step={step}
buckets: '@'
time: '[0]'
total: '[1]'
bad: '[2]'
""",
    "datadog": "{total: 'sum:hits{*}.as_count()', bad: 'sum:errors{*}.as_count()'}\n",
    "cloudwatch": """\
metrics:
  all: {namespace: Shop, metric: Hits, dimensions: {LoadBalancer: app/shop/1}}
  failed: {namespace: Shop, metric: Errors, dimensions: {LoadBalancer: app/shop/1}}
total: all
bad: failed
""",
}


def documents() -> str:
    slos = "".join(
        f"    - name: {name}\n      objective: 90\n      window: 1h\n      sli:\n        {name}:\n"
        + indent(asked, " " * 10)
        for name, asked in SLIS.items()
    )
    return (
        "apiVersion: governor/v1\nkind: Workspace\nmetadata: {name: acme}\nspec:\n"
        f'  channels: {{announcements: "#a"}}\n  sources:\n{SOURCES}'
        "---\napiVersion: governor/v1\nkind: Service\nmetadata: {name: shop}\nspec:\n"
        f'  channel: "#shop"\n  slos:\n{slos}'
    )


async def endpoint(request: web.Request) -> web.Response:
    if request.path == "/health":
        return web.Response(text="ok")
    start, end, step = (int(request.query[name]) for name in ("from", "to", "step"))
    found: dict[int, list[int]] = {}
    for at in seconds():
        if start <= at < end:
            bucket = found.setdefault(at // step * step, [0, 0])
            bucket[0] += TOTAL
            bucket[1] += BAD
    return web.json_response([[at, *counts] for at, counts in found.items()])


def seconds() -> Sequence[int]:
    end = int(NOW.timestamp())
    return [end - 60 * minute + 30 for minute in range(60, 0, -1)]


@pytest.fixture
async def policies(tmp_path: Path) -> AsyncIterator[Catalog]:
    loki, clickhouse, datadog = Loki(), ClickHouse(), Datadog()
    for at in seconds():
        for index in range(TOTAL):
            loki.write(at, "error" if index < BAD else "ok", app="shop")
            clickhouse.rows.append((at, index < BAD))
        datadog.count("hits", at, TOTAL)
        datadog.count("errors", at, BAD)
    sql = f"sqlite+aiosqlite:///{tmp_path}/shop.db"
    engine = create_async_engine(sql)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE requests (placed_at text, status integer)"))
        await connection.execute(
            text("INSERT INTO requests VALUES (datetime(:at, 'unixepoch'), :status)"),
            [{"at": at, "status": 500 if i < BAD else 200} for at in seconds() for i in range(TOTAL)],
        )
    await engine.dispose()
    async with AsyncExitStack() as stack:
        environ = {"SQL": sql}
        for name, handler in (
            ("LOKI", loki.answer),
            ("CLICKHOUSE", clickhouse.answer),
            ("JSON", endpoint),
            ("DATADOG", datadog.answer),
        ):
            environ[name], _ = await stack.enter_async_context(serving(handler))
        cloudwatch = await stack.enter_async_context(running_cloudwatch())
        environ["AWS"] = cloudwatch.url
        for at in seconds():
            await cloudwatch.count("Hits", datetime.fromtimestamp(at, NOW.tzinfo), TOTAL)
            await cloudwatch.count("Errors", datetime.fromtimestamp(at, NOW.tzinfo), BAD)
        folder = tmp_path / "policies"
        folder.mkdir()
        (folder / "all.yaml").write_text(documents())
        yield load(folder, environ)


async def test_every_source_is_measured_counted_and_inspected(policies: Catalog, database: Database) -> None:
    async with aiohttp.ClientSession() as session:
        sources = SourceRegistry(session)
        sources.follow(policies.workspace)
        for source in sources.values():
            await source.check()
        measurement = await measure(policies.slos, sources, NOW, within=MINUTE)
        assert (measurement.problems, measurement.silent) == ({}, {})
        ledger = Ledger(database)
        await Collector(ledger, sources).collect(policies.slos, NOW, MINUTE)
        for slo in policies.slos:
            (counted,) = await ledger.counts(slo, [Span(NOW - HOUR, NOW)], NOW)
            assert counted == EventCounts(60 * BAD, 60 * TOTAL), slo.name
            asked = sources[slo.name]
            inspection = await asked.inspect(slo.sli, Span(NOW - 10 * MINUTE, NOW), MINUTE)
            assert inspection.queries, slo.name
            assert not isinstance(inspection.answer, SourceError)
            assert sum(bucket.total for bucket in buckets_of(inspection.answer)) == 10 * TOTAL
