"""CloudWatch as a source, by AWS' library against moto's server, and its errors as AWS documents them."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bot.budgets.source import (
    BucketColumns,
    InvalidAnswerError,
    NoSeriesError,
    SourceRefusedError,
    SourceUnavailableError,
)
from bot.budgets.sources.cloudwatch import CloudWatchSource
from bot.budgets.sources.registry import SourceRegistry
from bot.catalog.catalog import Workspace
from bot.catalog.slo import EventsSli
from bot.catalog.source_slis import CloudWatchMetric, CloudWatchSli
from bot.catalog.sources import CloudWatchSettings
from bot.catalog.window import Span
from bot.policy.loader import load
from bot.policy.secrets import secrets_of
from tests.policy.conftest import SERVICE, WORKSPACE, Write, texts_of, write
from tests.support.clock import HOUR, MINUTE
from tests.support.monitoring.cloudwatch import CloudWatch, refusing, running_cloudwatch
from tests.support.monitoring.serving import Handler, always, serving

__all__ = ["write"]

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
ZERO = int(START.timestamp())
SPAN = Span(START, START + 3 * MINUTE)
BALANCER = (("LoadBalancer", "app/shop/1"),)
ALL = CloudWatchMetric("all", "Shop", "RequestCount", BALANCER)
FAILED = CloudWatchMetric("failed", "Shop", "HTTPCode_Target_5XX_Count", BALANCER)
SLI = CloudWatchSli("aws", (ALL, FAILED), "all", bad="failed")


@pytest.fixture
async def cloudwatch() -> AsyncIterator[CloudWatch]:
    async with running_cloudwatch() as server:
        for seconds, events in ((0, 5), (59, 2), (60, 4), (179, 1), (180, 9)):
            await server.count("RequestCount", START + timedelta(seconds=seconds), events)
        await server.count("RequestCount", START, 100, "app/other/2")
        await server.count("HTTPCode_Target_5XX_Count", START + timedelta(seconds=59), 2)
        yield server


def source_of(url: str, timeout: timedelta = timedelta(seconds=20)) -> CloudWatchSource:
    settings = CloudWatchSettings("eu-central-1", url, "AKIAEXAMPLE", "s3cret", timeout=timeout)
    return CloudWatchSource(settings)


async def test_events_are_counted_by_bucket(cloudwatch: CloudWatch) -> None:
    source = source_of(cloudwatch.url)
    await source.check()
    counted = BucketColumns({ZERO: (2, 7), ZERO + 60: (0, 4), ZERO + 120: (0, 1)}, MINUTE)
    assert await source.read_together([SLI], SPAN, MINUTE) == [counted]
    good = CloudWatchSli("aws", (ALL,), "all", good="all")
    (answer,) = await source.read_together([good], SPAN, MINUTE)
    assert answer == BucketColumns({ZERO: (0, 7), ZERO + 60: (0, 4), ZERO + 120: (0, 1)}, MINUTE)
    hour = Span(START, START + HOUR)
    (wide,) = await source.read_together([SLI], hour, HOUR)
    assert wide == BucketColumns({ZERO: (2, 21)}, HOUR)


def result(name: str, *values: tuple[int, float], status: str = "Complete") -> dict[str, Any]:
    times, numbers = [ZERO + after for after, _ in values], [number for _, number in values]
    return {"Id": name, "Label": name, "Timestamps": times, "Values": numbers, "StatusCode": status}


def answering(*pages: list[dict[str, Any]], asked: list[Any] | None = None) -> Handler:
    """Answer with documented pages, the first again after the last."""

    async def answer(request: web.Request) -> web.Response:
        body = json.loads(await request.text())
        if asked is not None:
            asked.append(body)
        index = int(body.get("NextToken", 0))
        found: dict[str, Any] = {"MetricDataResults": pages[index], "Messages": []}
        if index + 1 < len(pages):
            found["NextToken"] = str(index + 1)
        return web.json_response(found, content_type="application/x-amz-json-1.0")

    return answer


async def test_metric_math_is_left_to_cloudwatch_and_all_pages_are_read() -> None:
    sli = CloudWatchSli("aws", (ALL, FAILED), "all - failed", bad="failed")
    asked: list[Any] = []
    first = [result("governor_total", (0, 7), (60, 4)), result("failed", (0, 2), status="PartialData")]
    second = [result("governor_total", (120, 1)), result("failed", (120, 1), (500, 9))]
    async with serving(answering(first, second, asked=asked)) as (url, _):
        (answer,) = await source_of(url).read_together([sli], SPAN, MINUTE)
    assert answer == BucketColumns({ZERO: (2, 7), ZERO + 60: (0, 4), ZERO + 120: (1, 1)}, MINUTE)
    queries = {each["Id"]: each for each in asked[0]["MetricDataQueries"]}
    assert queries["governor_total"]["Expression"] == "all - failed"
    assert [queries[name]["ReturnData"] for name in ("all", "failed")] == [False, True]
    assert queries["all"]["MetricStat"]["Period"] == 60


@pytest.mark.parametrize(
    ("status", "kind"), [("InternalError", SourceUnavailableError), ("Forbidden", SourceRefusedError)]
)
async def test_a_result_that_failed_is_no_result(status: str, kind: type[Exception]) -> None:
    async with serving(answering([result("all", status=status)])) as (url, _):
        inspection = await source_of(url).inspect(SLI, SPAN, MINUTE)
    assert type(inspection.answer) is kind


@pytest.mark.parametrize("body", ["<html>", "[1]", '{"MetricDataResults": 3}', "\x00"])
async def test_an_answer_in_another_form_is_told(body: str) -> None:
    async with serving(always(200, body)) as (url, _):
        inspection = await source_of(url).inspect(SLI, SPAN, MINUTE)
    assert type(inspection.answer) is InvalidAnswerError


async def test_an_hour_without_values_is_missing_data(cloudwatch: CloudWatch) -> None:
    source = source_of(cloudwatch.url)
    half = Span(START + 30 * MINUTE, START + 31 * MINUTE)
    assert await source.read_together([SLI], half, MINUTE) == [BucketColumns({}, MINUTE)]
    later = Span(START + 2 * HOUR, START + 2 * HOUR + MINUTE)
    (answer,) = await source.read_together([SLI], later, MINUTE)
    assert isinstance(answer, NoSeriesError)
    (other,) = await source.read_together([EventsSli()], SPAN, MINUTE)
    assert isinstance(other, SourceRefusedError)


@pytest.mark.parametrize(
    ("status", "code", "kind", "says"),
    [
        (400, "ThrottlingException", SourceUnavailableError, "cannot answer now (ThrottlingException): Rate"),
        (400, "RequestLimitExceeded", SourceUnavailableError, "cannot answer now"),
        (503, "ServiceUnavailable", SourceUnavailableError, "cannot answer now"),
        (500, "InternalServiceFault", SourceUnavailableError, "cannot answer now"),
        (403, "AccessDeniedException", SourceRefusedError, "refuses the credentials (AccessDeniedException)"),
        (400, "ExpiredTokenException", SourceRefusedError, "refuses the credentials (ExpiredTokenException)"),
        (403, "InvalidClientTokenId", SourceRefusedError, "refuses the credentials"),
        (403, "SignatureDoesNotMatch", SourceRefusedError, "refuses the credentials"),
        (400, "InvalidParameterValueException", SourceRefusedError, "refuses the request"),
    ],
)
async def test_errors_of_aws_are_told_apart(status: int, code: str, kind: type[Exception], says: str) -> None:
    async with serving(refusing(status, code, "Rate exceeded")) as (url, _):
        inspection = await source_of(url).inspect(SLI, SPAN, MINUTE)
    assert type(inspection.answer) is kind
    assert says in str(inspection.answer)


async def test_an_address_where_nobody_answers_may_be_tried_again() -> None:
    with pytest.raises(SourceUnavailableError, match="cannot be reached"):
        await source_of("http://127.0.0.1:9").check()


async def test_without_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    source = CloudWatchSource(CloudWatchSettings("eu-central-1", "http://127.0.0.1:9"))
    with pytest.raises(SourceRefusedError, match="there are no credentials for CloudWatch"):
        await source.check()


NAMED = WORKSPACE + (
    '    aws: {type: cloudwatch, region: eu-central-1, accessKeyId: "${ID}", secretAccessKey: "${KEY}"}\n'
)
GOOD = (
    "metrics: {all: {namespace: Shop, metric: RequestCount, dimensions: {LoadBalancer: app/shop/1}}, "
    "failed: {namespace: Shop, metric: HTTPCode_Target_5XX_Count, dimensions: {LoadBalancer: app/shop/1}}}, "
    "total: all, bad: failed"
)
ENVIRON = {"ID": "AKIAEXAMPLE", "KEY": "s3cret"}


def asks(sli: str) -> str:
    return SERVICE.replace("events: {}", f"aws: {{{sli}}}")


async def test_policies_name_a_region_and_its_metrics(write: Write, cloudwatch: CloudWatch) -> None:
    catalog = load(write(w=NAMED, s=asks(GOOD)), ENVIRON)
    settings = catalog.workspace.sources["aws"]
    assert settings == CloudWatchSettings("eu-central-1", None, "AKIAEXAMPLE", "s3cret")
    assert "s3cret" not in repr(catalog)
    assert secrets_of(catalog) == ("AKIAEXAMPLE", "s3cret")
    async with aiohttp.ClientSession() as session:
        sources = SourceRegistry(session)
        local = replace(settings, url=cloudwatch.url)
        sources.follow(Workspace("acme", "#a", sources={"aws": local}))
        (answer,) = await sources["aws"].read_together([catalog.slos[0].sli], SPAN, MINUTE)
        assert answer == BucketColumns({ZERO: (2, 7), ZERO + 60: (0, 4), ZERO + 120: (0, 1)}, MINUTE)


@pytest.mark.parametrize(
    ("sli", "says"),
    [
        (
            GOOD.replace("bad: failed", "bad: 'FILL(faled, 0)'"),
            "there is no metric `faled`; did you mean `failed`?",
        ),
        (GOOD.replace("bad: failed", ""), "one of `bad` and `good` is missing"),
        (GOOD.replace("all: {", "All: {"), "is not a metric's id"),
        (GOOD.replace("Shop, metric", "Shop, stat: sum, metric"), "`sum` is not a statistic"),
        ("total: all, bad: all", "`metrics` is missing"),
    ],
)
def test_what_cloudwatch_does_not_take_is_refused_at_its_key(write: Write, sli: str, says: str) -> None:
    texts = texts_of(write(w=NAMED, s=asks(sli)), **ENVIRON)
    assert any(says in text for text in texts), texts


def test_half_an_access_key_is_refused(write: Write) -> None:
    half = NAMED.replace(', secretAccessKey: "${KEY}"', "")
    (text,) = texts_of(write(w=half, s=SERVICE), **ENVIRON)
    assert "`secretAccessKey` is missing" in text
