"""Turns the rows of a query into good and bad events, whatever the database. Pure; no clock, no I/O.

A row has the time of its events as `bucket`, how many there are as `total`, and `bad` or `good`. Without a
number for `total` the database does not know yet: a row at the end that says so makes a late reading.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bot.budgets.source import (
    AnswerTooLargeError,
    BucketColumns,
    InvalidAnswerError,
    LateReading,
    SourceRefusedError,
)
from bot.budgets.sources.counts import events, instant, until_known
from bot.catalog.window import Span

_MINUTE = timedelta(minutes=1)
_FORM = "`bucket`, `total` and one of `bad` and `good`"


def most_rows(span: Span, step: timedelta) -> int:
    """Return how many rows an answer may have: one a bucket, or one a minute where buckets are wider."""
    return max(1, math.ceil(span.length / min(step, _MINUTE)))


def events_of(
    columns: Sequence[str], rows: Iterable[Sequence[object]], span: Span, step: timedelta
) -> BucketColumns | LateReading:
    """Return the events of all rows.

    Raises `SourceRefusedError` for other columns, `AnswerTooLargeError` for too many rows and
    `InvalidAnswerError` for what cannot be true.
    """
    names = [name.casefold() for name in columns]
    part = next((name for name in ("bad", "good") if name in names), None)
    if "bucket" not in names or "total" not in names or part is None or {"bad", "good"} <= set(names):
        raise SourceRefusedError(f"the query returns {', '.join(columns) or 'nothing'} and not {_FORM}")
    at, whole, of_it = names.index("bucket"), names.index("total"), names.index(part)
    width, most = int(step.total_seconds()), most_rows(span, step)
    total: dict[int, float] = {}
    other: dict[int, float] = {}
    unknown: set[int] = set()
    for index, row in enumerate(rows):
        if index >= most:
            raise AnswerTooLargeError(f"the answer has more than {most:,} rows: group them by time")
        time_s = _seconds(row[at])
        if not span.start.timestamp() <= time_s < span.end.timestamp():
            message = f"a row is of {instant(time_s).isoformat()}, outside of the time that was asked for"
            raise InvalidAnswerError(f"{message}: times may be rounded down to the bucket's width at most")
        start = int(time_s // width) * width
        if row[whole] is None:
            unknown.add(start)
            continue
        total[start] = total.get(start, 0.0) + _number(row[whole], "total")
        other[start] = other.get(start, 0.0) + (0.0 if row[of_it] is None else _number(row[of_it], part))
    counted = events(total, good=other, step=step) if part == "good" else events(total, bad=other, step=step)
    last = max(total, default=-1)
    return until_known(counted, min((start for start in unknown if start > last), default=None), span)


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise InvalidAnswerError(f"a row has no number as `{name}`")
    try:
        return float(value)
    except (ValueError, OverflowError) as error:
        raise InvalidAnswerError(f"a row has no number as `{name}`") from error


def _seconds(value: object) -> float:
    """Return a time in seconds since the epoch; one without a zone is in UTC."""
    try:
        if isinstance(value, str):
            value = (
                datetime.fromisoformat(value) if not value.replace(".", "", 1).isdecimal() else float(value)
            )
        if isinstance(value, datetime):
            return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            seconds = float(value)
            instant(seconds)
            return seconds
    except (ValueError, OverflowError) as error:
        raise InvalidAnswerError("a row has no time as `bucket`") from error
    raise InvalidAnswerError("a row has no time as `bucket`")
