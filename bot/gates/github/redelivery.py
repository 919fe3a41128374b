"""Asks GitHub to repeat deliveries that did not arrive, such as those of an outage.

GitHub repeats none by itself. A delivery that is repeated and had arrived after all changes nothing.

https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from bot.gates.github.client import GitHubApp
from bot.gates.github.webhook import EVENTS
from bot.gates.waits.answerer import PlatformLimitError, WaitError
from bot.store.database import Database
from bot.tasks import records
from bot.tasks.handler import EndsSilently, TaskAttempt
from bot.tasks.task import PlannedTask, RetryRule

log = structlog.get_logger(__name__)

KIND: Final = "github deliveries"
EVERY: Final = timedelta(minutes=5)
_FOR: Final = timedelta(hours=12)
_PER_PAGE: Final = 100
_MOST_PAGES: Final = 50
_MOST_AT_ONCE: Final = 40


class GitHubRedelivery(EndsSilently):
    """Asks for failed deliveries of the last hours again, every five minutes."""

    kind = KIND
    rule = RetryRule(first_wait=timedelta(minutes=1), longest_wait=EVERY)

    def __init__(self, database: Database, app: GitHubApp | None) -> None:
        self._database = database
        self._app = app

    async def plan(self, now: datetime) -> None:
        """Begin to ask, where there is an App; once begun it goes on."""
        if self._app is not None:
            async with self._database.transaction() as connection:
                await records.plan(self._database, connection, PlannedTask(KIND, "app", now), now)

    async def run(self, attempt: TaskAttempt) -> None:
        """Ask for what failed since the last time."""
        after = EVERY
        if self._app is not None:
            try:
                await self._ask_again(self._app, attempt.now)
            except PlatformLimitError as error:
                after = max(after, error.after)
            except WaitError as error:
                log.warning("github_deliveries_not_read", problem=str(error))
        async with attempt.completing():
            attempt.repeat(attempt.now + after)

    async def _ask_again(self, app: GitHubApp, now: datetime) -> None:
        deliveries = await _recent(app, now)
        # The newest stand first: the last attempt of each delivery is repeated, the first one has its age.
        newest: dict[str, Mapping[str, Any]] = {}
        for each in deliveries:
            newest.setdefault(str(each.get("guid")), each)
        first = {str(each.get("guid")): each for each in deliveries}
        arrived = {str(each.get("guid")) for each in deliveries if _arrived(each)}
        failed = [
            each
            for guid, each in reversed(newest.items())
            if guid not in arrived and each.get("event") in EVENTS and not first[guid].get("redelivery")
        ]
        for each in failed[:_MOST_AT_ONCE]:
            await app.call_as_app("POST", f"/app/hook/deliveries/{int(each['id'])}/attempts")
        if failed:
            log.info("github_deliveries_asked_again", deliveries=len(failed))


async def _recent(app: GitHubApp, now: datetime) -> Sequence[Mapping[str, Any]]:
    """Return the attempts of the last hours, the newest first."""
    found: list[dict[str, Any]] = []
    path: str | None = f"/app/hook/deliveries?per_page={_PER_PAGE}"
    for _ in range(_MOST_PAGES):
        if path is None:
            break
        listed, path = await app.page_as_app(path)
        page = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        found += [each for each in page if _is_recent(each, now)]
        if not page or not _is_recent(page[-1], now):
            break
    return found


def _arrived(delivery: Mapping[str, Any]) -> bool:
    status = delivery.get("status_code")
    # What was refused as it is would be refused again.
    return isinstance(status, int) and (200 <= status < 300 or status in (400, 413, 422))


def _is_recent(delivery: Mapping[str, Any], now: datetime) -> bool:
    try:
        at = datetime.fromisoformat(str(delivery["delivered_at"]))
        return isinstance(delivery["id"], int) and now - at < _FOR
    except (KeyError, ValueError, TypeError):
        return False
