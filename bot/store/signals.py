"""Signals: subscribers are notified of changes by the commit that made them, on every replica.

A table's `info` names the topic of its rows. A write to such rows marks the transaction with the topic;
`Database.transaction` fires the marked topics once it is committed, never after a rollback. Subscribers of
the same process are called at once. On PostgreSQL the topics are sent with NOTIFY as part of the transaction,
so that the other replicas, which LISTEN, receive them as soon as it is committed.

A signal says only that something changed: the subscriber reads what. Signals may be lost while the database
is away (all topics are fired after that) and where a connection pooler does not pass LISTEN on, so every
subscriber also polls now and then.
"""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from enum import StrEnum
from typing import Any, Final

import structlog
from sqlalchemy import Connection, CursorResult, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.dml import Insert, UpdateBase

log = structlog.get_logger(__name__)

_CHANNEL: Final = "governor"
_NOTIFY = text("SELECT pg_notify(:channel, :payload)")
_MARKS = "governor.signals"
_ON_WRITE = "signal on write"
_ON_INSERT = "signal on insert"
_RECONNECT_S = 1.0


class Topic(StrEnum):
    """What a commit may have changed."""

    MESSAGES = "messages"
    HOLDS = "holds"
    EVENTS = "events"
    FLAGS = "flags"
    INCIDENTS = "incidents"
    DEPLOYMENTS = "deployments"
    TASKS = "tasks"
    GATE_WAITS = "gate_waits"


Notify = Callable[[], None]
"""Called after a commit, in the event loop's thread; returns at once."""


def on_write(topic: Topic) -> dict[str, Topic]:
    """Return the `info` of a table whose every change fires the topic."""
    return {_ON_WRITE: topic}


def on_insert(topic: Topic) -> dict[str, Topic]:
    """Return the `info` of a table whose new rows fire the topic, and no changes of old ones."""
    return {_ON_INSERT: topic}


def begin(connection: AsyncConnection) -> None:
    """Clear the marks of an earlier transaction of this connection."""
    connection.info[_MARKS] = set()


def note_write(
    connection: Connection,
    statement: object,
    _multiparams: object,
    _params: object,
    _options: object,
    result: CursorResult[Any],
) -> None:
    """Mark the topic of the table that a statement wrote to; SQLAlchemy's event `after_execute`."""
    if not isinstance(statement, UpdateBase) or result.rowcount == 0:
        return
    info = getattr(statement.table, "info", {})
    topic = info.get(_ON_WRITE) or (info.get(_ON_INSERT) if isinstance(statement, Insert) else None)
    if topic is not None:
        connection.info.setdefault(_MARKS, set()).add(topic)


def mark(connection: AsyncConnection, topic: Topic) -> None:
    """Fire the topic once the connection's transaction is committed, whatever it writes."""
    connection.info.setdefault(_MARKS, set()).add(topic)


def marked(connection: AsyncConnection) -> frozenset[Topic]:
    """Return the topics that the connection's transaction has marked so far."""
    return frozenset(connection.info.get(_MARKS, ()))


class Signals:
    """The subscriptions of this process, and on PostgreSQL the connection to the other replicas."""

    def __init__(self, engine: AsyncEngine, *, is_shared: bool) -> None:
        self._engine = engine
        self._is_shared = is_shared
        self._origin = uuid.uuid4().hex
        self._subscribers: defaultdict[Topic, list[Notify]] = defaultdict(list)

    def subscribe(self, topics: Iterable[Topic], notify: Notify) -> None:
        """Call `notify` after each commit that marked one of the topics, once a commit."""
        for topic in topics:
            self._subscribers[topic].append(notify)

    def fire(self, topics: Collection[Topic]) -> None:
        """Call the subscribers of the topics in this process."""
        called = dict.fromkeys(
            notify for topic in Topic if topic in topics for notify in self._subscribers[topic]
        )
        for notify in called:
            notify()

    async def send(self, connection: AsyncConnection, topics: Collection[Topic]) -> None:
        """Notify the other replicas once the connection's transaction is committed; nothing on SQLite."""
        if self._is_shared and topics:
            payload = " ".join([self._origin, *sorted(topics)])
            await connection.execute(_NOTIFY, {"channel": _CHANNEL, "payload": payload})

    async def listen(self) -> None:
        """Fire the topics of other replicas' commits, until cancelled; reconnects after a lost connection."""
        if not self._is_shared:
            await asyncio.Event().wait()
        while True:
            try:
                await self._listen_once()
            except Exception as error:  # noqa: BLE001 - the driver's own errors have no base class in common
                log.warning("signals_interrupted", error=type(error).__name__)
            await asyncio.sleep(_RECONNECT_S)

    async def _listen_once(self) -> None:
        """Fire the topics that one connection receives until it ends."""
        async with self._engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            ended = asyncio.Event()
            driver.add_termination_listener(lambda _driver: ended.set())
            try:
                await driver.add_listener(_CHANNEL, self._receive)
                # Commits before this were not received: every subscriber reads again.
                self.fire(frozenset(Topic))
                await ended.wait()
            finally:
                # The connection has our listeners: it must not go back to the pool.
                await connection.invalidate()

    def _receive(self, _driver: object, _pid: int, _channel: str, payload: str) -> None:
        origin, *names = payload.split()
        if origin != self._origin:
            self.fire({topic for topic in Topic if topic.value in names})
