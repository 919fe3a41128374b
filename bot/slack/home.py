"""The home tab: the viewer's services with their budgets and freezes, published when it is opened.

Whoever opened it lately sees it change, at most once a minute each and in all as often as Slack allows.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.freezes.overview import Overview, ServiceStatus
from bot.slack.asking import Question, Reply
from bot.slack.blocks import Markup, actions, bold, button, context, divider, header, join, markup, section
from bot.slack.faults import SlackFault, Throttled, telling_faults
from bot.slack.figures import lacking, left, told
from bot.slack.people import Allowed, People
from bot.store.addresses import local
from bot.store.outbox import Block

log = structlog.get_logger(__name__)

HOME_SHOW = "home.show"
"""A button of the home tab: its answer comes as a direct message, for a home tab has no channel."""

MOST_SERVICES = 20
"""Four blocks each, of the hundred that a home tab holds."""

_MOST_VIEWERS = 200
_WATCHED_S = 1_800.0
_AGAIN_S = 60.0
# Slack takes a hundred `views.publish` a minute.
_PAUSE_S = 0.7
_TIMEOUT_S = 10.0


@dataclass(slots=True)
class _Viewer:
    """Somebody who opened the home tab, in seconds of the machine's own clock."""

    opened_at: float
    published_at: float = 0.0
    shown: str = ""


class Home:
    """Publishes home tabs. `refresh` is called every few seconds; `now_s` is a monotonic clock."""

    def __init__(
        self,
        overview: Overview,
        people: People,
        client: AsyncWebClient,
        now_s: Callable[[], float] = time.monotonic,
        pause_s: float = _PAUSE_S,
    ) -> None:
        self._overview = overview
        self._people = people
        self._client = client
        self._now_s = now_s
        self._pause_s = pause_s
        self._viewers: dict[str, _Viewer] = {}
        self._quiet_until = 0.0

    async def opened(self, user: str) -> None:
        """Show the tab to a person who just opened it; raises `SlackFault`."""
        viewer = self._viewers.pop(user, None) or _Viewer(0.0)
        viewer.opened_at = self._now_s()
        self._viewers[user] = viewer
        while len(self._viewers) > _MOST_VIEWERS:
            self._viewers.pop(next(iter(self._viewers)))
        await self._publish(user, viewer, await self._view(user))

    async def refresh(self) -> None:
        """Show what has changed to those who opened the tab in the last half hour."""
        for user, viewer in list(self._viewers.items()):
            now_s = self._now_s()
            if now_s - viewer.opened_at > _WATCHED_S:
                self._viewers.pop(user, None)
            elif now_s - viewer.published_at >= _AGAIN_S and now_s >= self._quiet_until:
                await self._follow(user, viewer)

    async def answer(self, user: str, reply: Reply) -> None:
        """Bring the answer to a button of the tab as a direct message; raises `SlackFault`."""
        async with telling_faults(), asyncio.timeout(_TIMEOUT_S):
            opened = await self._client.conversations_open(users=user)
            await self._client.chat_postMessage(
                channel=str(opened["channel"]["id"]),
                text=reply.fallback,
                blocks=reply.unshareable().blocks,
                unfurl_links=False,
            )

    async def _follow(self, user: str, viewer: _Viewer) -> None:
        view = await self._view(user)
        if _digest(view) == viewer.shown:
            return
        try:
            await self._publish(user, viewer, view)
        except Throttled as fault:
            self._quiet_until = self._now_s() + fault.retry_after_s
        except SlackFault as fault:
            log.info("home_not_published", user=user, error=fault.error)
            viewer.published_at = self._now_s()
        await asyncio.sleep(self._pause_s)

    async def _publish(self, user: str, viewer: _Viewer, view: Block) -> None:
        async with telling_faults(), asyncio.timeout(_TIMEOUT_S):
            await self._client.views_publish(user_id=user, view=view)
        viewer.published_at, viewer.shown = self._now_s(), _digest(view)

    async def _view(self, user: str) -> Block:
        statuses = await self._overview.services()
        mine = [status for status in statuses if await self._is_mine(user, status)]
        return home_view(mine or statuses, is_all=not mine)

    async def _is_mine(self, user: str, status: ServiceStatus) -> bool:
        teams = status.service.teams
        entries = [local(team) for team in (teams.development, teams.reliability) if team]
        return isinstance(await self._people.right(user, entries), Allowed) if entries else False


def home_view(statuses: Sequence[ServiceStatus], *, is_all: bool) -> Block:
    """Draw the tab; `is_all` says that these are all services, as the viewer belongs to no team."""
    frozen = sum(status.is_frozen for status in statuses)
    shown = statuses[:MOST_SERVICES]
    whose = "All services: no policy names you in a team" if is_all else "The services of your teams"
    blocks = [header("Error budgets"), context(f"{whose} · {len(statuses)}, {frozen} frozen")]
    for status in shown:
        blocks += [divider(), section(_told(status)), *_buttons(status)]
    if len(statuses) > len(shown):
        blocks.append(context(f"and {len(statuses) - len(shown)} more: type /budget"))
    if not statuses:
        blocks.append(section("No policy names a service yet."))
    return {"type": "home", "blocks": blocks}


def _told(status: ServiceStatus) -> Markup:
    least = status.worst or next(iter(status.budgets), None)
    flake = Markup(":snowflake: " if status.is_frozen else "")
    first = markup("{}{} — {}", flake, bold(status.service.name), left(least) if least else "no SLO")
    held = [markup("Held by {}", told(hold)) for hold in status.holds[:2]]
    more = f"and {len(status.holds) - 2} more" if len(status.holds) > 2 else ""
    return join("\n", [first, *held, more, lacking(status.missing, status.service.name)])


def _buttons(status: ServiceStatus) -> list[Block]:
    name = status.service.name
    asked = {"Budget": Question("budget", name), "May I ship?": Question("ship", name)}
    return actions(
        *(
            button(label, f"{HOME_SHOW}.{question.command}", question.to_value())
            for label, question in asked.items()
        )
    )


def _digest(view: Block) -> str:
    return hashlib.sha256(json.dumps(view, sort_keys=True).encode()).hexdigest()
