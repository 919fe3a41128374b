"""The home tab: open incidents, the viewer's actions, running ramps, and the services with their budgets.

It is published when it is opened. Whoever opened it lately sees it change: figures at most once a minute,
what people and the bot do after some seconds, and in all as often as Slack allows.
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
from bot.slack.home.view import home_view
from bot.slack.webapi.errors import RateLimitedError, SlackError, translate_slack_errors
from bot.store.outbox import Block

log = structlog.get_logger(__name__)

_MOST_VIEWERS = 200
_WATCHED_S = 1_800.0
_AGAIN_S = 60.0
_SOON_S = 10.0
# Slack takes a hundred `views.publish` a minute.
_PAUSE_S = 0.7
_TIMEOUT_S = 10.0


@dataclass(slots=True)
class _Viewer:
    """Somebody who opened the home tab, in seconds of the machine's own clock."""

    opened_at: float
    published_at: float = 0.0
    shown: str = ""


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
        self._quiet_until = 0.0
        self._requested_at = 0.0

    async def opened(self, user: str) -> None:
        """Show the tab to a person who just opened it; raises `SlackError`."""
        viewer = self._viewers.pop(user, None) or _Viewer(0.0)
        viewer.opened_at = self._now_s()
        self._viewers[user] = viewer
        while len(self._viewers) > _MOST_VIEWERS:
            self._viewers.pop(next(iter(self._viewers)))
        await self._publish(user, viewer, await self._view(user, await self._contents.standing()))

    async def pressed(self, user: str) -> None:
        """Show what became of a press to the person who pressed a button of the tab."""
        viewer = self._viewers.setdefault(user, _Viewer(self._now_s()))
        await self._follow(user, viewer, await self._contents.standing())

    def request_refresh(self) -> None:
        """Look soon: something was done that tabs show."""
        self._requested_at = self._now_s()

    async def refresh(self) -> None:
        """Show what has changed to those who opened the tab in the last half hour."""
        now_s = self._now_s()
        gone = [user for user, one in self._viewers.items() if now_s - one.opened_at > _WATCHED_S]
        for user in gone:
            self._viewers.pop(user)
        due = {user: viewer for user, viewer in self._viewers.items() if self._is_due(viewer, now_s)}
        standing = await self._contents.standing() if due else None
        for user, viewer in due.items():
            if standing is None or self._now_s() < self._quiet_until:
                break
            if await self._follow(user, viewer, standing):
                await asyncio.sleep(self._pause_s)

    def _is_due(self, viewer: _Viewer, now_s: float) -> bool:
        """Return whether a tab may be published again: sooner where something was done since it was."""
        wait_s = _SOON_S if self._requested_at >= viewer.published_at else _AGAIN_S
        return now_s - viewer.published_at >= wait_s

    async def _follow(self, user: str, viewer: _Viewer, standing: WorkspaceStatus) -> bool:
        """Publish a tab if it shows something else by now; return whether Slack was asked to."""
        view = await self._view(user, standing)
        if _digest(view) == viewer.shown:
            return False
        try:
            await self._publish(user, viewer, view)
        except RateLimitedError as fault:
            self._quiet_until = self._now_s() + fault.retry_after_s
        except SlackError as fault:
            log.info("home_not_published", user=user, error=fault.error)
            viewer.published_at = self._now_s()
        return True

    async def _publish(self, user: str, viewer: _Viewer, view: Block) -> None:
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            await self._client.views_publish(user_id=user, view=view)
        viewer.published_at, viewer.shown = self._now_s(), _digest(view)

    async def _view(self, user: str, standing: WorkspaceStatus) -> Block:
        return home_view(await self._contents.of(user, standing), self._clock.now())


def _digest(view: Block) -> str:
    return hashlib.sha256(json.dumps(view, sort_keys=True).encode()).hexdigest()
