"""ClickHouse by its HTTP interface: one query counts the events by time, with bound parameters.

https://clickhouse.com/docs/interfaces/http
"""

import math
from datetime import timedelta
from typing import Any

import aiohttp

from bot.budgets.source import (
    AnswerTooLargeError,
    InvalidAnswerError,
    SourceError,
    SourceRefusedError,
    SourceUnavailableError,
)
from bot.budgets.sources.counts import second
from bot.budgets.sources.http_api import HttpAnswer, HttpApi, authorization, error_text
from bot.budgets.sources.one_by_one import OneByOneSource, Reading
from bot.budgets.sources.rows import events_of, most_rows
from bot.budgets.sources.sent_queries import record_sent
from bot.budgets.sources.silence import read_unless_silent
from bot.catalog.slo import Sli
from bot.catalog.source_slis import SqlSli
from bot.catalog.sources import ClickHouseSettings
from bot.catalog.window import Span

# https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp: timeouts, too many queries,
# no memory, no connection to a shard or to the keeper.
_TRANSIENT = frozenset({159, 160, 202, 209, 210, 241, 242, 252, 279, 285, 319, 473, 519, 999})
_LOGIN = frozenset({192, 193, 194, 497, 516})
_TOO_LARGE = frozenset({158, 396})
_MALFORMED = "the answer is not in the form of ClickHouse's JSONCompact"


class ClickHouseSource(OneByOneSource):
    """One database of a ClickHouse."""

    def __init__(self, settings: ClickHouseSettings, session: aiohttp.ClientSession) -> None:
        self.delay = settings.delay
        self._settings = settings
        login = authorization(settings.bearer_token, settings.basic_auth)
        self._api = HttpApi(
            settings.url,
            session,
            headers={**settings.headers, **login},
            timeout=settings.timeout,
            refusal=_refusal,
        )

    async def check(self) -> None:
        """Log in and ask for nothing; raises `SourceError`."""
        await self._select("SELECT 1", {})

    async def _read(self, sli: Sli, span: Span, step: timedelta) -> Reading:
        if not isinstance(sli, SqlSli):
            raise SourceRefusedError("ClickHouse is asked by {sql: …}")

        async def read(part: Span) -> Reading:
            return await self._query(sli.sql, part, step)

        return await read_unless_silent(read, span, step, "the query returned no row for the last hour")

    async def _query(self, sql: str, span: Span, step: timedelta) -> Reading:
        parameters = {
            "start": str(second(span.start)),
            "end": str(second(span.end)),
            "width_s": str(int(step.total_seconds())),
        }
        record_sent("sql", {"sql": sql, **parameters})
        answer = await self._select(
            sql,
            {
                **{f"param_{name}": value for name, value in parameters.items()},
                "max_result_rows": str(most_rows(span, step)),
                "result_overflow_mode": "throw",
            },
        )
        try:
            columns, rows = [str(each["name"]) for each in answer["meta"]], answer["data"]
            if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
                raise InvalidAnswerError(_MALFORMED)
        except (KeyError, TypeError) as error:
            raise InvalidAnswerError(_MALFORMED) from error
        return events_of(columns, rows, span, step)

    async def _select(self, sql: str, parameters: dict[str, str]) -> Any:
        """Return what a query answers; raises `SourceError`."""
        settings = {
            "database": self._settings.database,
            "default_format": "JSONCompact",
            "date_time_output_format": "iso",
            "max_execution_time": str(math.ceil(self._settings.timeout.total_seconds())),
            # An error that comes late is the answer's status then, and not in the midst of its rows.
            "wait_end_of_query": "1",
            # Nothing may be written, while these settings may be given.
            "readonly": "2",
        }
        return await self._api.json("POST", "/", params={**settings, **parameters}, data=sql.encode())


def _refusal(answer: HttpAnswer) -> SourceError | None:
    """Return the error of ClickHouse that a response has; None for one without its code."""
    try:
        code = int(answer.headers.get("X-ClickHouse-Exception-Code", ""))
    except ValueError:
        return None
    said = error_text(answer.body)
    if code in _TRANSIENT:
        return SourceUnavailableError(f"ClickHouse cannot answer now: {said}")
    if code in _LOGIN:
        return SourceRefusedError(f"ClickHouse refuses the credentials: {said}")
    if code in _TOO_LARGE:
        return AnswerTooLargeError(f"the answer has too many rows, group them by time: {said}")
    return SourceRefusedError(f"ClickHouse refuses the query: {said}")
