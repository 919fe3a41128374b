"""What is due of reviews: to ask both sides, and to tell others when they have not agreed."""

from collections.abc import Awaitable, Callable, Sequence

from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.formatting import duration_text
from bot.freezes.hold import GOVERNOR
from bot.store.database import Database
from bot.store.outbox import enqueue
from bot.tasks.handler import EndsSilently, TaskAttempt
from bot.tasks.task import RetryRule
from bot.teams.reviews import records
from bot.teams.reviews.messages import ReviewMessageWriter
from bot.teams.reviews.planning import ESCALATION, REVIEW, ReviewPlanner, record_event
from bot.teams.reviews.review import FreezeReview, ReviewedWork

Suggest = Callable[[Service], Awaitable[Sequence[ReviewedWork]]]
"""Returns the work that a frozen service's spending points to."""


class ReviewHandler(EndsSilently):
    """Asks both sides of a service that has been frozen for long to agree on the reliability work."""

    kind = REVIEW
    rule = RetryRule()

    def __init__(
        self,
        database: Database,
        current: CurrentCatalog,
        planner: ReviewPlanner,
        messages: ReviewMessageWriter,
        suggest: Suggest,
    ) -> None:
        self._database = database
        self._current = current
        self._planner = planner
        self._messages = messages
        self._suggest = suggest

    async def run(self, attempt: TaskAttempt) -> None:
        """Ask, unless the freeze has ended or the policies ask for no review any more."""
        id_ = int(attempt.task.key)
        async with self._database.reading() as connection:
            review = await records.read(connection, id_)
        service = self._current.catalog.services.get(review.service) if review else None
        if review is None or service is None or not _is_due(review, service):
            return
        work = await self._suggest(service)
        async with attempt.completing() as connection:
            review = await records.read(connection, id_, lock=True)
            if review is None or not _is_due(review, service):
                return
            now = attempt.now
            await records.set_asked(connection, review, work, now)
            thread = self._messages.thread_of(review)
            await records.place_thread(connection, review, thread, service.channel, now)
            asked = await records.read(connection, id_)
            if asked is None:
                return
            await enqueue(connection, self._messages.asked(service, asked), now)
            await self._planner.schedule_escalation(connection, service, asked, now)
            reason = f"frozen for {duration_text(now - review.began_at)}"
            await record_event(connection, review, GOVERNOR, "review.asked", reason, now=now)


class EscalationHandler(EndsSilently):
    """Tells those whom the policy names that the sides of a frozen service have not agreed."""

    kind = ESCALATION
    rule = RetryRule()

    def __init__(self, database: Database, current: CurrentCatalog, messages: ReviewMessageWriter) -> None:
        self._database = database
        self._current = current
        self._messages = messages

    async def run(self, attempt: TaskAttempt) -> None:
        """Tell them, unless both sides have agreed or the freeze has ended."""
        async with attempt.completing() as connection:
            review = await records.read(connection, int(attempt.task.key), lock=True)
            service = self._current.catalog.services.get(review.service) if review else None
            if review is None or service is None or not review.is_open or review.is_agreed:
                return
            told = service.error_budget_policy.review_escalate_to
            if review.escalated_at is not None or not told:
                return
            await records.set_escalated(connection, review, attempt.now)
            entries = records.in_workspace_of(service.channel, told)
            await enqueue(connection, self._messages.escalated(service, review, entries), attempt.now)
            await record_event(
                connection, review, GOVERNOR, "review.escalated", "the sides have not agreed", now=attempt.now
            )


def _is_due(review: FreezeReview, service: Service) -> bool:
    lasts = review.ended_at is None and review.asked_at is None
    return lasts and service.error_budget_policy.review_after is not None
