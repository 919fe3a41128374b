"""Prometheus, and what speaks its HTTP API: Thanos, Mimir, VictoriaMetrics.

https://prometheus.io/docs/prometheus/latest/querying/api/
"""

import asyncio
import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

import aiohttp
import structlog

from bot.budgets.slo import CounterSli, DowntimeSli, EventsSli, LatencySli, Sli
from bot.budgets.source import Bucket, InvalidAnswer, SourceError, SourceRefused, SourceUnavailable
from bot.budgets.sources import promql
from bot.budgets.sources.counters import Series, count_events
from bot.budgets.window import Span

log = structlog.get_logger(__name__)

WINDOW = "$window"
"""In a full query: stands for the width of a bucket."""

_MOST_POINTS = 10_000
"""Prometheus answers at most 11,000 points of a series."""

_AT_ONCE = 4
"""Questions of ours that one server has to answer at a time."""

_PART = "governor_part"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A counter that is read just before another may lag behind by these.
_RACE_SHARE = 0.01
_RACE_EVENTS = 2.0


class PrometheusSource:
    """Counts events by queries to one server.

    `headers` go with every request (`X-Scope-OrgID` and the like). Give a bearer token or basic auth,
    not both. No request takes longer than `timeout`.
    """

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        *,
        bearer_token: str | None = None,
        basic_auth: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: timedelta = timedelta(seconds=30),
    ) -> None:
        self._url = url.rstrip("/")
        self._session = session
        self._headers = {**(headers or {}), **_authorization(bearer_token, basic_auth)}
        self._timeout = timeout
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def check(self) -> None:
        """Ask for the number 1; raises `SourceError`."""
        await self._ask("query", {"query": "vector(1)"})

    async def read(self, sli: Sli, span: Span, step: timedelta) -> Sequence[Bucket]:
        """Count the events of `span` in buckets of width `step`; see the port."""
        wide = int(step.total_seconds())
        steps = range(_seconds(span.start), _seconds(span.end), wide)
        match sli:
            case CounterSli():
                total, bad = await self._read_counters(sli, steps)
            case LatencySli():
                total, bad = await self._read_histogram(sli, steps)
            case EventsSli() | DowntimeSli():
                raise SourceRefused("Prometheus counts neither pushed events nor downtime")
            case _:
                assert_never(sli)
        return [
            Bucket(_EPOCH + timedelta(seconds=start), step, bad.get(start, 0.0), total.get(start, 0.0))
            for start in sorted({*total, *bad})
        ]

    async def _read_counters(self, sli: CounterSli, steps: range) -> tuple[Series, Series]:
        other = sli.bad if sli.bad is not None else sli.good
        if other is None:
            raise SourceRefused("the SLI names neither the bad events nor the good ones")
        found = await self._count({"total": sli.total, "other": other}, steps)
        total, counted = found["total"], found["other"]
        name = "good" if sli.bad is None else "bad"
        _check_below(counted, total, f"there are more {name} events than events in all")
        return total, _rest(total, counted) if sli.bad is None else counted

    async def _read_histogram(self, sli: LatencySli, steps: range) -> tuple[Series, Series]:
        match = sli.match.strip().rstrip(",")
        braces = f"{match}," if match else ""
        everything = f"{sli.histogram}_count{{{match}}}"
        quick = f'{sli.histogram}_bucket{{{braces}le=~"{_boundary_pattern(sli.threshold)}"}}'
        found = await self._count({"total": everything, "good": quick}, steps)
        total, good = found["total"], found["good"]
        if any(total.values()) and not any(good.values()):
            await self._check_boundary(sli, match, steps)
        _check_below(good, total, "there are more quick events than events in all")
        return total, _rest(total, good)

    async def _check_boundary(self, sli: LatencySli, match: str, steps: range) -> None:
        """Raise `InvalidAnswer` if the histogram has no bucket that ends at the threshold."""
        at = min(steps.stop, steps.start + _MOST_POINTS * steps.step)
        selector = f"{sli.histogram}_bucket{{{match}}}[{max(promql.LOOKBACK_S, at - steps.start)}s]"
        query = f"group by (le) (last_over_time({selector}))"
        result = await self._ask("query", {"query": query, "time": str(at)})
        known = {series["metric"].get("le", "") for series in result}
        pattern = _boundary_pattern(sli.threshold).replace(r"\\", "\\")
        if not any(re.fullmatch(pattern, boundary) for boundary in known):
            shown = ", ".join(sorted(known - {""}, key=_as_number)) or "none"
            threshold = f"{sli.threshold.total_seconds():g}"
            raise InvalidAnswer(f"{sli.histogram} has no bucket that ends at {threshold} s; it has: {shown}")

    async def _count(self, counters: Mapping[str, str], steps: range) -> dict[str, Series]:
        """Count each counter: a selector by its differences, a query with `$window` as it says."""
        selectors = {name: text for name, text in counters.items() if WINDOW not in text}
        found = await count_events(self._evaluate, selectors, steps) if selectors else {}
        for name, text in counters.items():
            if WINDOW in text:
                query = text.replace(WINDOW, f"{steps.step}s")
                found[name] = await self._evaluate_sum(query, steps)
        for name, series in found.items():
            if any(events < 0 for events in series.values()):
                raise InvalidAnswer(f"{counters[name]} answered a negative number of events")
        return found

    async def _evaluate(self, queries: Mapping[str, str], steps: range) -> dict[str, Series]:
        """Evaluate several queries, each of one series, in one request."""
        query = " or ".join(
            f'label_replace({text}, "{_PART}", "{name}", "", "")' for name, text in queries.items()
        )
        found: dict[str, Series] = {}
        for labels, values in await self._ask_range(query, steps):
            found.setdefault(labels.get(_PART, ""), {}).update(values)
        return found

    async def _evaluate_sum(self, query: str, steps: range) -> Series:
        found: Series = {}
        for _, values in await self._ask_range(query, steps):
            for start, events in values.items():
                found[start] = found.get(start, 0.0) + events
        return found

    async def _ask_range(self, query: str, steps: range) -> list[tuple[Mapping[str, str], Series]]:
        """Evaluate a query at the end of each step; answer each series' labels and values."""
        found: list[tuple[Mapping[str, str], Series]] = []
        for first in range(0, len(steps), _MOST_POINTS):
            part = steps[first : first + _MOST_POINTS]
            form = {
                "query": query,
                "start": str(part[0] + part.step),
                "end": str(part[-1] + part.step),
                "step": str(part.step),
            }
            result = await self._ask("query_range", form)
            found.extend((series["metric"], _values(series, part.step)) for series in result)
        return found

    async def _ask(self, what: str, form: Mapping[str, str]) -> list[Mapping[str, Any]]:
        seconds = self._timeout.total_seconds()
        try:
            async with (
                self._turns,
                self._session.post(
                    f"{self._url}/api/v1/{what}",
                    data={**form, "timeout": f"{seconds:g}s"},
                    headers=self._headers,
                    timeout=aiohttp.ClientTimeout(total=seconds),
                ) as response,
            ):
                return _result(response.status, await response.read())
        except TimeoutError as error:
            raise SourceUnavailable(f"{self._url} did not answer within {seconds:g} s") from error
        except aiohttp.InvalidURL as error:
            raise SourceRefused(f"{self._url} is no address") from error
        except aiohttp.ClientError as error:
            raise SourceUnavailable(f"{self._url} cannot be reached: {error}") from error


def _authorization(token: str | None, basic: tuple[str, str] | None) -> Mapping[str, str]:
    if token is not None:
        return {"Authorization": f"Bearer {token}"}
    if basic is not None:
        return {"Authorization": f"Basic {base64.b64encode(':'.join(basic).encode()).decode()}"}
    return {}


def _result(status: int, body: bytes) -> list[Mapping[str, Any]]:
    """Answer what a response holds; raise what it says or what is wrong with it."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if status != 200:
        raise _refusal(status, answer, body)
    match answer:
        case {"status": "success", "data": {"resultType": "matrix" | "vector", "result": list(result)}}:
            for warning in answer.get("warnings") or ():
                log.warning("prometheus.warning", warning=warning)
            return result
        case _:
            raise InvalidAnswer("the answer is not in the form of Prometheus' HTTP API")


def _refusal(status: int, answer: object, body: bytes) -> SourceError:
    said = answer.get("error") if isinstance(answer, dict) else None
    message = str(said or body[:200].decode(errors="replace").strip() or f"status {status}")
    match status:
        case 401 | 403:
            return SourceRefused(f"the credentials were refused: {message}")
        case 429:
            return SourceUnavailable(f"too many requests: {message}")
        case _ if status >= 500:
            return SourceUnavailable(f"status {status}: {message}")
        case _:
            hint = f"; is it a series selector, or a query with {WINDOW}?" if "parse error" in message else ""
            return SourceRefused(f"{message}{hint}")


def _values(series: Mapping[str, Any], step: int) -> Series:
    try:
        values = {round(float(at)) - step: float(text) for at, text in series.get("values", ())}
    except (TypeError, ValueError) as error:
        raise InvalidAnswer("the answer is not in the form of Prometheus' HTTP API") from error
    if not all(map(math.isfinite, values.values())):
        raise InvalidAnswer("the answer holds NaN or infinity")
    return values


def _boundary_pattern(threshold: timedelta) -> str:
    """Answer the `le` label as a pattern, escaped for a query: "1" in the text format, else "1.0"."""
    seconds = threshold.total_seconds()
    texts = dict.fromkeys((repr(seconds), f"{seconds:.17g}" if seconds.is_integer() else repr(seconds)))
    return "|".join(re.escape(text) for text in texts).replace("\\", r"\\")


def _as_number(boundary: str) -> float:
    try:
        return float(boundary)
    except ValueError:
        return math.nan


def _check_below(part: Series, whole: Series, fault: str) -> None:
    """Raise `InvalidAnswer` if the part is the greater, by more than two readings at once explain."""
    parts, wholes = sum(part.values()), sum(whole.values())
    if parts > wholes + max(_RACE_EVENTS, _RACE_SHARE * wholes):
        raise InvalidAnswer(f"{fault} ({parts:g} of {wholes:g})")


def _rest(whole: Series, part: Series) -> Series:
    # Not cut off at 0: what one step has too much, a neighbour has too little.
    return {start: whole.get(start, 0.0) - part.get(start, 0.0) for start in {*whole, *part}}


def _seconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(seconds=1)
