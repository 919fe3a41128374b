"""Plans reviews: a freeze that begins has one due after `reviewAfter`, one that ends has none any more.

Both are written in the transaction of the hold that begins or ends the freeze.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Catalog, Service
from bot.freezes.hold import GOVERNOR, Hold, HoldKind, holds_in_force
from bot.freezes.records import read_holds
from bot.store import audit
from bot.store.database import Database
from bot.store.outbox import enqueue
from bot.store.threads import end_threads
from bot.tasks import records as tasks
from bot.tasks.task import PlannedTask
from bot.teams.reviews import records
from bot.teams.reviews.messages import ReviewMessageWriter
from bot.teams.reviews.review import FreezeReview

REVIEW: Final = "freeze review"
ESCALATION: Final = "freeze review escalation"
"""The kinds of tasks; the key is the number of the freeze."""

_NOT_REVIEWED = frozenset({HoldKind.CALENDAR, HoldKind.DEPENDENCY})


class ReviewPlanner:
    """Plans and cancels reviews as freezes begin and end."""

    def __init__(self, database: Database, messages: ReviewMessageWriter) -> None:
        self._database = database
        self._messages = messages

    async def follow(
        self, connection: AsyncConnection, service: Service, in_force: Sequence[Hold], now: datetime
    ) -> None:
        """Begin or end the freeze of a service, whose holds in force are these.

        A freeze of the calendar is planned by everybody, one for a dependency's sake ends with that one's:
        neither needs a review.
        """
        reviewed = [hold for hold in in_force if hold.kind not in _NOT_REVIEWED]
        lasting = await records.read_lasting(connection, service.name)
        if reviewed and lasting is None:
            first = min(reviewed, key=lambda hold: (hold.since, hold.id))
            if await records.begin(self._database, connection, first):
                lasting = await records.read_lasting(connection, service.name)
                if lasting is not None:
                    await self._schedule(connection, service, lasting, now)
        elif not reviewed and lasting is not None:
            await self._end(connection, service, lasting, now)

    async def reconcile(self, catalog: Catalog, now: datetime) -> None:
        """Bring what is planned to what the policies say now, also for freezes that began before."""
        async with self._database.transaction() as connection:
            in_force = holds_in_force(await read_holds(connection), now)
            held = {hold.service for hold in in_force}
            freezes = {each.service: each for each in await records.read_all_lasting(connection)}
            for name in sorted(held | freezes.keys()):
                service = catalog.service_or_stand_in(name)
                own = [hold for hold in in_force if hold.service == name and hold.kind not in _NOT_REVIEWED]
                await self.follow(connection, service, own, now)
                if name in freezes and own:
                    await self._schedule(connection, service, freezes[name], now)

    async def schedule_escalation(
        self, connection: AsyncConnection, service: Service, review: FreezeReview, now: datetime
    ) -> None:
        """Plan when others are told that the sides have not agreed, if the policy names any."""
        policy, key = service.error_budget_policy, str(review.id)
        if (
            review.asked_at is None
            or review.is_agreed
            or review.escalated_at
            or not policy.review_escalate_to
        ):
            await tasks.cancel(connection, ESCALATION, key, now)
            return
        due_at = review.asked_at + policy.review_escalate_after
        await tasks.schedule(self._database, connection, PlannedTask(ESCALATION, key, due_at), now)

    async def _schedule(
        self, connection: AsyncConnection, service: Service, review: FreezeReview, now: datetime
    ) -> None:
        after, key = service.error_budget_policy.review_after, str(review.id)
        if review.asked_at is not None:
            await self.schedule_escalation(connection, service, review, now)
        elif after is None:
            await tasks.cancel(connection, REVIEW, key, now)
        else:
            task = PlannedTask(REVIEW, key, review.began_at + after)
            await tasks.schedule(self._database, connection, task, now)

    async def _end(
        self, connection: AsyncConnection, service: Service, review: FreezeReview, now: datetime
    ) -> None:
        if not await records.end(connection, review, now):
            return
        for kind in (REVIEW, ESCALATION):
            await tasks.cancel(connection, kind, str(review.id), now)
        if review.asked_at is not None:
            await enqueue(connection, self._messages.ended(service, replace(review, ended_at=now)), now)
            await end_threads(connection, self._messages.thread_of(review), now)
            reason = "both sides agreed" if review.is_agreed else "the freeze ended before both sides agreed"
            await record_event(connection, review, GOVERNOR, "review.closed", reason, now=now)


async def record_event(
    connection: AsyncConnection, review: FreezeReview, by: str, action: str, reason: str, *, now: datetime
) -> None:
    """Write an audit row about a review."""
    entry = audit.AuditEntry(by, action, f"review {review.id}", reason, review.service)
    await audit.record(connection, entry, now)
