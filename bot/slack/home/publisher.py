"""Publishing of home tabs: open incidents, the viewer's actions, running ramps and the services' budgets.

A tab is published when it is opened. For half an hour it is refreshed: changed numbers at most once a minute,
what people and the bot do after some seconds, within Slack's rate limit.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.clock import Clock
from bot.slack.home.contents import HomeContents, WorkspaceStatus
from bot.slack.home.view import home_view, plain_view
from bot.slack.webapi.errors import RateLimitedError, SlackError, SlackRefusedError, translate_slack_errors
from bot.slack.webapi.new_blocks import BLOCKS_ERRORS
from bot.store.item_failures import ItemFailures
from bot.store.outbox import Block

log = structlog.get_logger(__name__)

_MOST_VIEWERS = 200
_REFRESHED_FOR_S = 1_800.0
_REFRESH_INTERVAL_S = 60.0
_REQUESTED_INTERVAL_S = 10.0
# Slack takes a hundred `views.publish` a minute.
_PAUSE_S = 0.7
_TIMEOUT_S = 10.0
_VIEW_ERRORS = BLOCKS_ERRORS | {"invalid_arguments", "view_too_large"}


@dataclass(slots=True)
class _Viewer:
    """Somebody who opened the home tab; times are seconds of the monotonic clock."""

    opened_at: float
    published_at: float = 0.0
    digest: str = ""


class HomePublisher:
    """Publishes home tabs. `refresh` is called every few seconds; `now_s` is a monotonic clock."""

    def __init__(
        self,
        contents: HomeContents,
        client: AsyncWebClient,
        clock: Clock,
        now_s: Callable[[], float] = time.monotonic,
        pause_s: float = _PAUSE_S,
    ) -> None:
        self._contents = contents
        self._client = client
        self._clock = clock
        self._now_s = now_s
        self._pause_s = pause_s
        self._viewers: dict[str, _Viewer] = {}
        self._rate_limited_until = 0.0
        self._requested_at = 0.0
        self._failures = ItemFailures("home_not_drawn", now_s=now_s)

    async def publish(self, user: str) -> None:
        """Publish the tab for a person who has just opened it; raises `SlackError`."""
        viewer = self._viewers.pop(user, None) or _Viewer(0.0)
        viewer.opened_at = self._now_s()
        self._viewers[user] = viewer
        while len(self._viewers) > _MOST_VIEWERS:
            self._viewers.pop(next(iter(self._viewers)))
        await self._publish(user, viewer, await self._view(user, await self._contents.workspace_status()))

    async def republish(self, user: str) -> None:
        """Publish the tab again for a person who pressed one of its buttons."""
        viewer = self._viewers.setdefault(user, _Viewer(self._now_s()))
        await self._publish_change(user, viewer, await self._contents.workspace_status())

    def request_refresh(self) -> None:
        """Refresh the tabs soon: something that they show has changed."""
        self._requested_at = self._now_s()

    async def refresh(self) -> None:
        """Publish changes to those who opened the tab in the last half hour.

        An error with one person's tab delays no other's.
        """
        now_s = self._now_s()
        expired = [
            user for user, viewer in self._viewers.items() if now_s - viewer.opened_at > _REFRESHED_FOR_S
        ]
        for user in expired:
            self._viewers.pop(user)
        self._failures.keep_only(set(self._viewers))
        due = {user: viewer for user, viewer in self._viewers.items() if self._is_due(viewer, now_s)}
        status = await self._contents.workspace_status() if due else None
        for user, viewer in due.items():
            if status is None or self._now_s() < self._rate_limited_until:
                break
            with self._failures.isolate(user) as is_due:
                if is_due and await self._publish_change(user, viewer, status):
                    await asyncio.sleep(self._pause_s)

    def _is_due(self, viewer: _Viewer, now_s: float) -> bool:
        """Return whether a tab may be published again: sooner if a refresh was requested since."""
        wait_s = _REQUESTED_INTERVAL_S if self._requested_at >= viewer.published_at else _REFRESH_INTERVAL_S
        return now_s - viewer.published_at >= wait_s

    async def _publish_change(self, user: str, viewer: _Viewer, status: WorkspaceStatus) -> bool:
        """Publish a tab if it has changed; return whether Slack was called."""
        view = await self._view(user, status)
        if _digest(view) == viewer.digest:
            return False
        try:
            await self._publish(user, viewer, view)
        except RateLimitedError as error:
            self._rate_limited_until = self._now_s() + error.retry_after_s
        except SlackError as error:
            log.info("home_not_published", user=user, error=error.error)
            viewer.published_at = self._now_s()
        return True

    async def _publish(self, user: str, viewer: _Viewer, view: Block) -> None:
        try:
            await self._publish_view(user, view)
        except SlackRefusedError as refusal:
            if refusal.error not in _VIEW_ERRORS:
                raise
            log.warning("view_refused", error=refusal.error, details=refusal.details)
            await self._publish_view(user, plain_view(view))
        viewer.published_at, viewer.digest = self._now_s(), _digest(view)

    async def _publish_view(self, user: str, view: Block) -> None:
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            await self._client.views_publish(user_id=user, view=view)

    async def _view(self, user: str, status: WorkspaceStatus) -> Block:
        return home_view(await self._contents.for_person(user, status), self._clock.now())


def _digest(view: Block) -> str:
    return hashlib.sha256(json.dumps(view, sort_keys=True).encode()).hexdigest()
