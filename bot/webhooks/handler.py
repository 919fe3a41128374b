"""Delivers the events of one endpoint: at least once, ever less often where they are not taken.

What is not taken for three days is given up. An endpoint that has taken nothing in that time, or that answers
410, gets no more events until its address or secret is changed, or an event is delivered to it again.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.current import CurrentCatalog
from bot.catalog.webhooks import WebhookEndpoint
from bot.freezes.hold import GOVERNOR
from bot.store import audit
from bot.store.audit import AuditEntry
from bot.store.database import Database
from bot.store.outbox import OutboxMessage, enqueue
from bot.tasks.handler import EndsSilently, TaskAttempt, TryLaterError
from bot.tasks.task import RetryRule
from bot.webhooks import records
from bot.webhooks.client import WebhookClient
from bot.webhooks.delivery import AttemptOutcome, WebhookDelivery, WebhookState
from bot.webhooks.events import read_event
from bot.webhooks.message import body_of

log = structlog.get_logger(__name__)

GIVE_UP_AFTER: Final = timedelta(days=3)
"""How long an event is tried to be delivered."""

AnnounceDisabled = Callable[[str, str], Sequence[OutboxMessage]]
"""Returns the messages that an endpoint, named first, gets no more events, with the reason; pure."""


class WebhookHandler(EndsSilently):
    """Does the tasks of one endpoint, in the order of events as long as they are taken."""

    rule = RetryRule(first_wait=timedelta(seconds=5), longest_wait=timedelta(hours=1))

    def __init__(
        self,
        endpoint: str,
        client: WebhookClient,
        database: Database,
        current: CurrentCatalog,
        announce: AnnounceDisabled,
    ) -> None:
        self.kind = records.kind_of(endpoint)
        self._endpoint = endpoint
        self._client = client
        self._database = database
        self._current = current
        self._announce = announce
        self._failures = 0
        self._pause: tuple[WebhookEndpoint, datetime] | None = None

    async def run(self, attempt: TaskAttempt) -> None:
        """Deliver one event. While a receiver takes nothing, all its events wait for the next attempt."""
        async with self._database.reading() as connection:
            delivery = await records.read_delivery(connection, int(attempt.task.key))
            row = None if delivery is None else await read_event(connection, delivery.audit_id)
            states = await records.read_endpoints(connection)
        if delivery is None or row is None or delivery.state is not WebhookState.PENDING:
            return
        endpoint, state = self._current.workspace.webhooks.get(self._endpoint), states.get(self._endpoint)
        if endpoint is None or state is None:
            await self._fail(attempt, delivery, records.LEFT)
            return
        if state.disabled_at is not None and delivery.redelivered_by is None:
            await self._fail(attempt, delivery, records.DISABLED)
            return
        if delivery.redelivered_by is None and (wait := self._wait(endpoint, attempt.now)) > timedelta():
            raise TryLaterError(wait)
        outcome = await self._client.send(endpoint, delivery.event_id, body_of(row), attempt.now)
        if outcome.error is None:
            self._failures, self._pause = 0, None
            async with attempt.completing() as connection:
                await records.note_attempt(connection, delivery, outcome, WebhookState.DELIVERED, attempt.now)
            return
        await self._not_taken(attempt, endpoint, delivery, outcome)

    def _wait(self, endpoint: WebhookEndpoint, now: datetime) -> timedelta:
        """Return how long the receiver is left alone, since it took nothing as it is set up."""
        failed, until = self._pause or (None, now)
        return until - now if failed == endpoint else timedelta()

    async def _not_taken(
        self,
        attempt: TaskAttempt,
        endpoint: WebhookEndpoint,
        delivery: WebhookDelivery,
        outcome: AttemptOutcome,
    ) -> None:
        log.warning("webhook_not_taken", endpoint=self._endpoint, delivery=delivery.id, error=outcome.error)
        since = attempt.task.due_at
        if outcome.is_gone or attempt.now - since >= GIVE_UP_AFTER:
            async with attempt.completing() as connection:
                await records.note_attempt(connection, delivery, outcome, WebhookState.FAILED, attempt.now)
                state = await records.read_endpoint(connection, self._endpoint)
                has_taken = state.delivered_at is not None and state.delivered_at >= since
                if outcome.is_gone or not has_taken:
                    await self._disable(connection, outcome.error or "", attempt.now)
            return
        self._failures += 1
        # A receiver may ask for more time, not for more attempts.
        wait = max(outcome.after or timedelta(), self.rule.wait(self._failures))
        self._pause = endpoint, attempt.now + wait
        async with attempt.continuing(attempt.payload, after=wait) as connection:
            await records.note_attempt(connection, delivery, outcome, WebhookState.PENDING, attempt.now)

    async def _fail(self, attempt: TaskAttempt, delivery: WebhookDelivery, error: str) -> None:
        async with attempt.completing() as connection:
            await records.fail(connection, delivery, error)

    async def _disable(self, connection: AsyncConnection, problem: str, now: datetime) -> None:
        if not await records.disable(connection, self._endpoint, problem, now):
            return
        await audit.record(
            connection, AuditEntry(GOVERNOR, "webhook.disabled", f"webhook {self._endpoint}", problem), now
        )
        await enqueue(connection, self._announce(self._endpoint, problem), now)
