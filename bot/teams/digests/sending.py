"""What people do with digests: look at one, send one now, pause and resume them.

Each change has an audit row.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from bot.catalog.catalog import Catalog
from bot.catalog.digests import DigestKind
from bot.clock import Clock
from bot.store import audit, idempotency
from bot.store.database import Database
from bot.store.outbox import OutboxMessage
from bot.tasks import records
from bot.teams.digests import pauses
from bot.teams.digests.contents import DigestContents
from bot.teams.digests.pauses import DigestPause
from bot.teams.digests.planning import PlanningSheet
from bot.teams.digests.reader import DigestReader
from bot.teams.digests.schedule import DigestSchedule, schedules
from bot.teams.digests.tasks import DIGEST, comes_at, send

_WEEK: Final = timedelta(days=7)
_MOST_SUBJECT: Final = 120


class WriteDigest(Protocol):
    """Writes a digest."""

    def __call__(
        self, contents: DigestContents, subject: str, *, asked_by: str | None = None
    ) -> Sequence[OutboxMessage]:
        """Return the messages of a digest; `subject` tells its thread from all others."""
        ...


class DigestSending:
    """Reads and sends digests of a channel, and keeps whether they are paused."""

    def __init__(self, database: Database, reader: DigestReader, write: WriteDigest, clock: Clock) -> None:
        self._database = database
        self._write = write
        self._reader = reader
        self._clock = clock

    async def contents(self, channel: str, services: Collection[str]) -> DigestContents:
        """Return what a weekly digest of a channel would tell now."""
        now = self._clock.now()
        return await self._reader.read(DigestKind.WEEKLY, channel, services, now - _WEEK, now)

    async def planning(self, services: Sequence[str]) -> PlanningSheet:
        """Return what to plan by: where the budgets of services went, and what that points to."""
        return await self._reader.planning(services)

    async def find_pause(self, channel: str) -> DigestPause | None:
        """Return the pause of a channel that lasts."""
        async with self._database.reading() as connection:
            return await pauses.find(connection, channel, self._clock.now())

    async def upcoming(self, catalog: Catalog, channel: str) -> Sequence[tuple[DigestSchedule, datetime]]:
        """Return which digests come to a channel, and when next."""
        now = self._clock.now()
        async with self._database.reading() as connection:
            pending = await records.read_pending(connection, DIGEST)
        planned = {task.payload["kind"]: task for task in pending if task.payload["channel"] == channel}
        return [
            (each, comes_at(each, planned.get(each.kind), now))
            for each in sorted(schedules(catalog), key=lambda each: each.kind)
            if each.channel == channel
        ]

    async def send_now(self, contents: DigestContents, *, by: str, request: str) -> bool:
        """Send a digest to its channel; return whether this request did so for the first time."""
        now = self._clock.now()
        messages = self._write(contents, f"digest now {request}"[:_MOST_SUBJECT], asked_by=by)
        async with self._database.transaction() as connection:
            if not await idempotency.is_first(self._database, connection, request, now):
                return False
            await send(connection, messages, now)
            await audit.record(connection, audit.AuditEntry(by, "digest.sent", contents.channel, ""), now)
        return True

    async def pause(
        self, channel: str, until: datetime | None, *, by: str, reason: str, request: str
    ) -> bool:
        """Pause a channel's digests; return whether this request did so for the first time."""
        now = self._clock.now()
        after = {"until": until.isoformat() if until else None}
        entry = audit.AuditEntry(by, "digest.paused", channel, reason, after=after)
        async with self._database.transaction() as connection:
            if not await idempotency.is_first(self._database, connection, request, now):
                return False
            await pauses.pause(self._database, connection, channel, DigestPause(by, now, until))
            await audit.record(connection, entry, now)
        return True

    async def resume(self, channel: str, *, by: str, request: str) -> bool:
        """Let a channel's digests come again; return whether they were paused."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if not await idempotency.is_first(self._database, connection, request, now):
                return True
            if not await pauses.is_paused(connection, channel, now):
                return False
            await pauses.resume(connection, channel)
            await audit.record(connection, audit.AuditEntry(by, "digest.resumed", channel, ""), now)
        return True
