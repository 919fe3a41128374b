"""Amazon CloudWatch: metrics and metric math by bucket, asked by AWS' own library, in threads.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
"""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import (
    ConnectionError as BotocoreConnectionError,
)
from botocore.parsers import ResponseParserError
from botocore.session import Session

from bot.bounded_body import quotable
from bot.budgets.source import InvalidAnswerError, SourceError, SourceRefusedError, SourceUnavailableError
from bot.budgets.sources.counts import Counts, events, second
from bot.budgets.sources.one_by_one import OneByOneSource, Reading
from bot.budgets.sources.sent_queries import record_sent
from bot.budgets.sources.silence import read_unless_silent
from bot.catalog.slo import Sli
from bot.catalog.source_slis import CloudWatchSli
from bot.catalog.sources import CloudWatchSettings
from bot.catalog.window import Span

_MOST_CONCURRENT = 4
_MOST_PAGES = 50
_TOTAL, _PART = "governor_total", "governor_part"
_MALFORMED = "the answer is not in the form of CloudWatch's API"

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CommonErrors.html
_TRANSIENT = (
    *("Throttl", "RequestLimitExceeded", "TooManyRequests", "LimitExceeded", "SlowDown"),
    *("InternalFailure", "InternalService", "ServiceUnavailable"),
)
_LOGIN = (
    *("AccessDenied", "Unauthorized", "NotAuthorized", "OptInRequired", "MissingAuthenticationToken"),
    *("InvalidClientTokenId", "UnrecognizedClient", "ExpiredToken", "RequestExpired"),
    *("SignatureDoesNotMatch", "InvalidSignature", "IncompleteSignature"),
)


class CloudWatchSource(OneByOneSource):
    """CloudWatch in one region."""

    def __init__(self, settings: CloudWatchSettings) -> None:
        self.delay = settings.delay
        self._settings = settings
        self._slots = asyncio.Semaphore(_MOST_CONCURRENT)
        self._opening = threading.Lock()
        self._client: Any = None

    async def check(self) -> None:
        """List one page of the metrics that there are; raises `SourceError`."""
        await self._call("list_metrics", {})

    async def _read(self, sli: Sli, span: Span, step: timedelta) -> Reading:
        if not isinstance(sli, CloudWatchSli):
            raise SourceRefusedError("CloudWatch is asked by {metrics, total, bad}")

        async def read(part: Span) -> Reading:
            return await self._ask(sli, part, step)

        return await read_unless_silent(read, span, step, "CloudWatch had no value for the last hour")

    async def _ask(self, sli: CloudWatchSli, span: Span, step: timedelta) -> Reading:
        other = sli.bad if sli.bad is not None else sli.good
        queries = _queries(sli, other or "", int(step.total_seconds()))
        asked = {
            "StartTime": span.start,
            "EndTime": span.end,
            "ScanBy": "TimestampAscending",
            "MetricDataQueries": queries,
        }
        record_sent("GetMetricData", {name: str(value) for name, value in asked.items()})
        found: dict[str, dict[int, float]] = {}
        token: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            answer = await self._call("get_metric_data", {**asked, **token})
            _add(found, answer, span)
            if not answer.get("NextToken"):
                break
            token = {"NextToken": answer["NextToken"]}
        else:
            raise InvalidAnswerError(f"CloudWatch's answer has more than {_MOST_PAGES} pages")
        total = _of(found, sli, sli.total, _TOTAL)
        part = _of(found, sli, other or "", _PART)
        return events(total, good=part, step=step) if sli.bad is None else events(total, bad=part, step=step)

    async def _call(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Call an operation in a thread; raises `SourceError`."""
        seconds = self._settings.timeout.total_seconds()
        try:
            async with self._slots, asyncio.timeout(2 * seconds):
                return await asyncio.to_thread(self._call_now, operation, parameters)
        except TimeoutError as error:
            raise SourceUnavailableError(f"CloudWatch did not answer within {seconds:g} s") from error
        except (BotoCoreError, ClientError) as error:
            raise _translated(error) from error
        except (ValueError, TypeError, AttributeError) as error:
            # What its parser says to an answer that is not CloudWatch's.
            raise InvalidAnswerError(_MALFORMED) from error

    def _call_now(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        with self._opening:
            if self._client is None:
                self._client = _open(self._settings)
        answer: Mapping[str, Any] = getattr(self._client, operation)(**parameters)
        return answer


def _open(settings: CloudWatchSettings) -> Any:
    seconds = settings.timeout.total_seconds()
    return Session().create_client(
        "cloudwatch",
        region_name=settings.region,
        endpoint_url=settings.url,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
        aws_session_token=settings.session_token,
        config=Config(
            connect_timeout=seconds,
            read_timeout=seconds,
            retries={"total_max_attempts": 1},
            max_pool_connections=_MOST_CONCURRENT,
        ),
    )


def _queries(sli: CloudWatchSli, other: str, width: int) -> list[dict[str, Any]]:
    """Return what is asked: each metric, and each expression that is not just one metric's id."""
    ids = {metric.id for metric in sli.metrics}
    queries: list[dict[str, Any]] = [
        {
            "Id": metric.id,
            "ReturnData": metric.id in (sli.total, other),
            "MetricStat": {
                "Metric": {
                    "Namespace": metric.namespace,
                    "MetricName": metric.metric,
                    "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
                },
                "Period": width,
                "Stat": metric.stat,
            },
        }
        for metric in sli.metrics
    ]
    expressions = {_TOTAL: sli.total, _PART: other}
    return queries + [
        {"Id": name, "Expression": text, "Period": width, "ReturnData": True}
        for name, text in expressions.items()
        if text not in ids
    ]


def _add(found: dict[str, dict[int, float]], answer: Mapping[str, Any], span: Span) -> None:
    """Add the values of one page, by query and bucket; raises `SourceError`."""
    if "MetricDataResults" not in answer:
        # Of an answer that is no JSON its library reads nothing.
        raise InvalidAnswerError(_MALFORMED)
    for result in answer["MetricDataResults"]:
        status = result.get("StatusCode", "Complete")
        if status in ("InternalError", "Forbidden"):
            messages: Sequence[Mapping[str, str]] = result.get("Messages") or ()
            why = quotable("; ".join(each.get("Value", "") for each in messages))
            kind = SourceUnavailableError if status == "InternalError" else SourceRefusedError
            raise kind(f"CloudWatch answered {status}: {why}")
        counts = found.setdefault(str(result.get("Id")), {})
        for at, value in zip(result.get("Timestamps", ()), result.get("Values", ()), strict=True):
            if not isinstance(at, datetime):
                raise InvalidAnswerError(_MALFORMED)
            if span.start <= at < span.end:
                counts[second(at)] = counts.get(second(at), 0.0) + float(value)


def _of(found: Mapping[str, Counts], sli: CloudWatchSli, text: str, name: str) -> Counts:
    is_metric = any(metric.id == text for metric in sli.metrics)
    return found.get(text if is_metric else name, {})


def _translated(error: Exception) -> SourceError:
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        code, said = str(details.get("Code", "")), quotable(str(details.get("Message", "")))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status == 429 or status >= 500 or code.startswith(_TRANSIENT):
            return SourceUnavailableError(f"CloudWatch cannot answer now ({code}): {said}")
        what = "credentials" if code.startswith(_LOGIN) else "request"
        return SourceRefusedError(f"CloudWatch refuses the {what} ({code}): {said}")
    said = quotable(str(error))
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return SourceRefusedError("there are no credentials for CloudWatch")
    if isinstance(error, ResponseParserError):
        return InvalidAnswerError(_MALFORMED)
    if isinstance(error, BotocoreConnectionError | HTTPClientError):
        return SourceUnavailableError(f"CloudWatch cannot be reached: {said}")
    return SourceRefusedError(f"CloudWatch cannot be asked: {said}")
