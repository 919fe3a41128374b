"""Collects what is sent to a source, for those who ask how a figure came about."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from bot.budgets.source import SentQuery

_sent: ContextVar[list[SentQuery] | None] = ContextVar("sent_queries", default=None)


@contextmanager
def sent_queries() -> Iterator[list[SentQuery]]:
    """Collect the queries that are sent within the block, also by tasks that it starts."""
    queries: list[SentQuery] = []
    token = _sent.set(queries)
    try:
        yield queries
    finally:
        _sent.reset(token)


def record_sent(endpoint: str, parameters: Mapping[str, str]) -> None:
    """Add a query to those that are collected, if they are."""
    sent = _sent.get()
    if sent is not None:
        sent.append(SentQuery(endpoint, parameters))
