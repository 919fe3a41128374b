"""Any HTTP endpoint that answers JSON: what of the answer is counted is said by JMESPath expressions.

https://jmespath.org/specification.html
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import jmespath
from jmespath.exceptions import JMESPathError

from bot.bounded_body import quotable
from bot.budgets.source import InvalidAnswerError, SourceRefusedError
from bot.budgets.sources.counts import second
from bot.budgets.sources.http_api import HttpApi, authorization
from bot.budgets.sources.one_by_one import OneByOneSource, Reading
from bot.budgets.sources.rows import events_of
from bot.budgets.sources.sent_queries import record_sent
from bot.budgets.sources.silence import read_unless_silent
from bot.catalog.slo import Sli
from bot.catalog.source_slis import JsonSli
from bot.catalog.sources import JsonSettings
from bot.catalog.window import Span

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_EARLIEST_MS = 100_000_000_000
"""A time above this is in milliseconds: in seconds it would lie three thousand years ahead."""


class JsonSource(OneByOneSource):
    """One server with endpoints that answer JSON."""

    def __init__(self, settings: JsonSettings, session: aiohttp.ClientSession) -> None:
        self.delay = settings.delay
        login = authorization(settings.bearer_token, settings.basic_auth)
        self._check = settings.check
        self._api = HttpApi(
            settings.url, session, headers={**settings.headers, **login}, timeout=settings.timeout
        )

    async def check(self) -> None:
        """Call the path that is there to see whether the server answers; raises `SourceError`."""
        await self._api.send("GET", self._check)

    async def _read(self, sli: Sli, span: Span, step: timedelta) -> Reading:
        if not isinstance(sli, JsonSli):
            raise SourceRefusedError("an HTTP endpoint is asked by {path, buckets, total, bad}")

        async def read(part: Span) -> Reading:
            return await self._ask(sli, part, step)

        return await read_unless_silent(read, span, step, f"{sli.path} had no bucket for the last hour")

    async def _ask(self, sli: JsonSli, span: Span, step: timedelta) -> Reading:
        values = _values(span, step)
        path = _filled(sli.path, values)
        if sli.body is None:
            record_sent(path, {})
            answer = await self._api.json("GET", path)
        else:
            body = _filled(sli.body, values)
            record_sent(path, {"body": body})
            headers = {"Content-Type": "application/json"}
            answer = await self._api.json("POST", path, data=body.encode(), headers=headers)
        buckets = _found(sli.buckets, answer)
        if not isinstance(buckets, list):
            raise InvalidAnswerError(f"the answer has another form: no list is at {quotable(sli.buckets)}")
        part, expression = ("good", sli.good) if sli.bad is None else ("bad", sli.bad)
        rows = (
            (_time(_found(sli.time, bucket)), _found(sli.total, bucket), _found(expression or "", bucket))
            for bucket in buckets
        )
        return events_of(["bucket", "total", part], rows, span, step)


def _values(span: Span, step: timedelta) -> Mapping[str, str]:
    """Return what the placeholders of a path or body stand for."""
    times = {"start": span.start.astimezone(UTC), "end": span.end.astimezone(UTC)}
    return {
        **{name: str(second(at)) for name, at in times.items()},
        **{f"{name}_ms": str(1000 * second(at)) for name, at in times.items()},
        **{f"{name}_iso": f"{at:%Y-%m-%dT%H:%M:%SZ}" for name, at in times.items()},
        "step": str(int(step.total_seconds())),
    }


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)


def _found(expression: str, value: Any) -> Any:
    try:
        return jmespath.search(expression, value)
    except JMESPathError as error:
        raise InvalidAnswerError(f"the answer has another form: {quotable(str(error))}") from error


def _time(value: object) -> object:
    """Return a time in seconds, or as it is where it is no number of milliseconds."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value > _EARLIEST_MS:
        return value / 1000
    if isinstance(value, str) and value.endswith("Z"):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return value
    return value
