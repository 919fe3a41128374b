"""Tells silence from missing data, for sources that cannot: after an hour without any event it is missing."""

import math
from collections.abc import Awaitable, Callable
from datetime import timedelta

from bot.budgets.source import NoSeriesError, buckets_of
from bot.budgets.sources.one_by_one import Reading
from bot.catalog.window import Span

_QUIET = timedelta(hours=1)


async def read_unless_silent(
    read: Callable[[Span], Awaitable[Reading]], span: Span, step: timedelta, silent: str
) -> Reading:
    """Return the events of a span; raises `NoSeriesError` where its last hour has no bucket.

    Of a shorter span the hour before its end is read as well, if it has none itself.
    """
    reading = await read(span)
    since = span.end - math.ceil(_QUIET / step) * step
    if any(bucket.start >= since for bucket in buckets_of(reading)):
        return reading
    if since < span.start and buckets_of(await read(Span(since, span.end))):
        return reading
    raise NoSeriesError(silent, buckets_of(reading))
