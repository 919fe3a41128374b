"""Tells the paging systems what was planned: at least once, in order, and given up after an hour."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.current import CurrentCatalog
from bot.catalog.paging import PagingDestination, PagingVendor
from bot.freezes.hold import GOVERNOR
from bot.store import audit
from bot.store.outbox import OutboxMessage, enqueue
from bot.tasks.handler import GiveUpError, TaskAttempt
from bot.tasks.task import DueTask, RetryRule
from bot.teams.paging.client import PagingClient, PagingError
from bot.teams.paging.follower import kind_of
from bot.teams.paging.page import BurnPage, PageEvent
from bot.teams.paging.vendors import REPEAT_EVERY, request_for

log = structlog.get_logger(__name__)

GIVE_UP_AFTER: Final = timedelta(hours=1)
"""How long a vendor may take nothing before the service's channel is told that it was not paged."""

AnnounceUndelivered = Callable[[BurnPage, PageEvent, PagingVendor, str, datetime], Sequence[OutboxMessage]]
"""Returns the messages that a vendor was not told of a page, with the error; pure."""
LinkOf = Callable[[str], str | None]
"""Returns the public address of a service, if there is one."""


class PagingHandler:
    """Does the tasks of one vendor."""

    rule = RetryRule(first_wait=timedelta(seconds=2), longest_wait=timedelta(minutes=1))

    def __init__(
        self,
        vendor: PagingVendor,
        client: PagingClient,
        current: CurrentCatalog,
        announce: AnnounceUndelivered,
        link_of: LinkOf,
    ) -> None:
        self.kind = kind_of(vendor)
        self._vendor = vendor
        self._client = client
        self._current = current
        self._announce = announce
        self._link_of = link_of

    async def run(self, attempt: TaskAttempt) -> None:
        """Tell the vendor; an Alertmanager is told again each minute for as long as the page lasts."""
        page, event = BurnPage.from_json(attempt.payload), PageEvent(attempt.payload["event"])
        destination = self._destination(page.service)
        if destination is None:
            # The service or its key has left the policies: there is nobody to tell any more.
            return
        request = request_for(destination, page, event, attempt.now, self._link_of(page.service))
        try:
            await self._client.send(destination, request)
        except PagingError as error:
            await self._put_off(attempt, error)
            return
        is_first = "told_at" not in attempt.payload
        action = "page.trigger" if event is PageEvent.TRIGGER else "page.resolve"
        subject = f"{page.service}/{page.slo}"
        entry = audit.AuditEntry(GOVERNOR, action, subject, str(self._vendor), page.service)
        if self._vendor is PagingVendor.ALERTMANAGER and event is PageEvent.TRIGGER:
            payload = dict(attempt.payload) | {"told_at": attempt.now.isoformat(), "failures": 0}
            async with attempt.continuing(payload, after=REPEAT_EVERY) as connection:
                if is_first:
                    await audit.record(connection, entry, attempt.now)
            return
        async with attempt.completing() as connection:
            await audit.record(connection, entry, attempt.now)

    async def given_up(self, connection: AsyncConnection, task: DueTask, error: str, now: datetime) -> None:
        """Tell the service's channel that the vendor was not told."""
        page, event = BurnPage.from_json(task.payload), PageEvent(task.payload["event"])
        subject = f"{page.service}/{page.slo}"
        entry = audit.AuditEntry(GOVERNOR, "page.given_up", subject, error, page.service)
        await audit.record(connection, entry, now)
        await enqueue(connection, self._announce(page, event, self._vendor, error, now), now)

    def _destination(self, service: str) -> PagingDestination | None:
        found = self._current.catalog.services.get(service)
        destinations = found.paging if found is not None else ()
        return next((each for each in destinations if each.vendor is self._vendor), None)

    async def _put_off(self, attempt: TaskAttempt, error: PagingError) -> None:
        """Try again, ever later or when the vendor says; raises `GiveUpError` where that is of no use."""
        told_at = attempt.payload.get("told_at")
        since = datetime.fromisoformat(told_at) if told_at is not None else attempt.task.due_at
        if not error.retryable or attempt.now - since >= GIVE_UP_AFTER:
            raise GiveUpError(str(error)) from error
        failures = int(attempt.payload.get("failures", 0)) + 1
        log.warning("page_not_taken", vendor=str(self._vendor), key=attempt.task.key, error=str(error))
        payload = dict(attempt.payload) | {"failures": failures}
        wait = max(error.after or timedelta(), self.rule.wait(failures))
        async with attempt.continuing(payload, after=wait):
            pass
