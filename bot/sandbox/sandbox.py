"""What `governor sandbox` serves: the page, the fake Slack and the shop, in one application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
import structlog
from aiohttp import web

from bot.sandbox.allowed_hosts import host_check
from bot.sandbox.demo.earlier_messages import add_earlier_messages
from bot.sandbox.demo.shop import Shop, ShopClock
from bot.sandbox.demo.walkthrough import Walkthrough
from bot.sandbox.fake_slack.model import Json
from bot.sandbox.fake_slack.server import FakeSlack
from bot.sandbox.page_api import PageApi

log = structlog.get_logger(__name__)

POLICIES: Final = Path(__file__).parent / "shop"
"""The folder of the shop's policy documents."""

_SCHEDULED_EVERY_S: Final = 1.0


class Sandbox:
    """A workspace in the browser. `base_url` is the address of the page, the fake Slack and the bot.

    `start_over` restarts the program; without it the page has no such button. `hosts` are names besides
    localhost under which it answers.
    """

    def __init__(
        self,
        *,
        manifest: Mapping[str, Any],
        clock: ShopClock,
        base_url: str,
        bot_token: str,
        signing_secret: str,
        api_token: str,
        shop: bool = True,
        start_over: Callable[[], None] | None = None,
        hosts: Collection[str] = (),
    ) -> None:
        self._check_host = host_check(base_url, hosts)
        self.slack = FakeSlack(
            manifest=manifest,
            bot_token=bot_token,
            signing_secret=signing_secret,
            now=clock.now,
        )
        self.slack.base_url = base_url.rstrip("/")
        self.slack.bot_url = base_url
        self._page = PageApi(self.slack, self._story_json)
        self._shop: Shop | None = None
        self._walkthrough: Walkthrough | None = None
        if shop:
            self._open_shop(clock, base_url.rstrip("/"), api_token)
        self._start_over = start_over
        if start_over is not None:
            self._page.add_action("over", self._restart)

    def _open_shop(self, clock: ShopClock, bot_url: str, api_token: str) -> None:
        self._shop = Shop(clock=clock, bot_url=bot_url, api_token=api_token, on_change=self._broadcast_story)
        self._walkthrough = Walkthrough(bot_url, api_token, self._page.acknowledged, self._on_progress)
        self._page.add_action("story", self._play)
        add_earlier_messages(self.slack.workspace)

    def add_routes(self, app: web.Application) -> None:
        """Serve the page at `/`, the Web API under `/slack-api/`, the page's API under `/sandbox/`.

        Everything in the application, the bot's own routes too, answers only to the sandbox's hosts.
        """
        app.middlewares.append(self._check_host)
        self.slack.add_routes(app)
        self._page.add_routes(app)

    async def run(self) -> None:
        """Run the shop and send scheduled messages, until cancelled."""
        async with aiohttp.ClientSession() as session:
            self.slack.sender.session = session
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._send_scheduled())
                    if self._shop is not None and self._walkthrough is not None:
                        self._shop.session = self._walkthrough.session = session
                        tasks.create_task(self._shop.run())
                        tasks.create_task(self._walkthrough.run())
            finally:
                await self.slack.sender.close()

    async def _send_scheduled(self) -> None:
        while True:
            await asyncio.sleep(_SCHEDULED_EVERY_S)
            self.slack.send_scheduled()

    # -- the story -----------------------------------------------------------

    def _story_json(self) -> Json:
        if self._shop is None or self._walkthrough is None:
            return {}
        story = {**self._shop.as_json(), "can_start_over": self._start_over is not None}
        return {"story": {**story, "steps": self._walkthrough.as_json()}}

    def _on_progress(self) -> None:
        if self._shop is not None and self._walkthrough is not None:
            self._shop.notice_frozen(self._walkthrough.facts.frozen)
        self._broadcast_story()

    def _broadcast_story(self) -> None:
        now = self.slack.workspace.now().timestamp()
        self._page.broadcast("story", now=now, **self._story_json())

    async def _play(self, body: Json) -> Json:
        if self._shop is None:
            return {"ok": False, "error": "the shop is closed"}
        if "speed" in body:
            self._shop.run_at(body["speed"])
        if "scene" in body:
            self._shop.play(str(body["scene"]), until=body.get("until"))
        return {"ok": True, **self._story_json()}

    async def _restart(self, _body: Json) -> Json:
        if self._start_over is not None:
            self._start_over()
        return {"ok": True}
