"""The fake Slack, and a server of it for tests.

In a test:

    async with FakeSlackServer(manifest=manifest, bot_url="http://127.0.0.1:3001") as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        await client.chat_postMessage(channel="#releases", text="Frozen")
        assert slack.messages("#releases")[-1].text == "Frozen"

        dana = slack.person("dana")
        await dana.says("/budget checkout", "#checkout")
        answer = (await slack.until(lambda: slack.seen_by("dana", "#checkout")))[-1]
        await dana.acts(answer, "#checkout", "share")
        await dana.submits({"reason": {"text": {"type": "plain_text_input", "value": "…"}}})

- A bot acts after it has acknowledged a request: `await slack.until(condition)` waits for
  the effect, `await slack.wait_until_delivered()` only until its events are acknowledged.
- `bot_url` may be set later (`slack.bot_url = …`); without it nothing is sent to a bot.
- The bot is in #releases, #incidents, #checkout, #search and #payments, and in neither
  #general nor #random (`seed.py` says who else is there).
- Scopes, commands and event subscriptions are those of `manifest`.
- `slack.calls` are the calls so far; `slack.refused` those that Slack refuses,
  `response_url`s included. A test of the bot may end with
  `assert not slack.refused`.
- `slack.faults.once(InjectedFault.CUT, "chat.postMessage")` and `slack.faults.change({…})`
  inject faults; `slack.rates.enabled = False` switches the rate limits off.
- `wall` (real seconds, for limits and expiries) and `now` (message times) can be given.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from bot.sandbox.fake_slack.api_call import Platform
from bot.sandbox.fake_slack.event_subscriptions import EventSubscriptions
from bot.sandbox.fake_slack.fault_injection import FaultInjector
from bot.sandbox.fake_slack.model import Json, Message
from bot.sandbox.fake_slack.person import Person, PersonContext
from bot.sandbox.fake_slack.rate_limits import RateLimits
from bot.sandbox.fake_slack.request_sender import ACK_S, RETRY_DELAYS_S, RequestSender
from bot.sandbox.fake_slack.response_urls import ResponseUrls
from bot.sandbox.fake_slack.seed import acme
from bot.sandbox.fake_slack.views import OpenViews
from bot.sandbox.fake_slack.web_api import RecordedCall, WebApi
from bot.sandbox.fake_slack.workspace import FakeWorkspace

Result = TypeVar("Result")

EVENTS_PATH = "/slack/events"


def utc_now() -> datetime:
    """Return the real time."""
    return datetime.now(UTC)


class FakeSlack:
    """All parts of the fake Slack, wired together; opens no socket of its own."""

    def __init__(
        self,
        *,
        manifest: Mapping[str, Any],
        bot_token: str,
        signing_secret: str,
        now: Callable[[], datetime] = utc_now,
        wall: Callable[[], float] = time.time,
        ack_s: float = ACK_S,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
        make_workspace: Callable[..., FakeWorkspace] = acme,
    ) -> None:
        self.manifest = manifest
        self.bot_token = bot_token
        self.signing_secret = signing_secret
        name = str(manifest.get("features", {}).get("bot_user", {}).get("display_name", "governor"))
        self.workspace = make_workspace(now, bot_name=name)
        self.views = OpenViews(self.workspace, wall)
        self.rates = RateLimits(wall)
        self.faults = FaultInjector()
        self.platform = Platform(self.workspace, self.views, self.rates, manifest)
        self.web_api = WebApi(self.platform, self.faults, token=bot_token)
        self.responses = ResponseUrls(self.workspace, wall)
        self.sender = RequestSender(
            secret=signing_secret, wall=wall, ack_s=ack_s, retry_delays_s=retry_delays_s
        )
        self.events = EventSubscriptions(self.workspace, self.sender, manifest)
        self._person_context = PersonContext(
            self.workspace, self.views, self.responses, self.sender, self.events, manifest
        )

    def add_routes(self, app: web.Application) -> None:
        """Serve the Web API, uploads and `response_url`s."""
        self.web_api.add_routes(app)
        self.responses.add_routes(app)

    @property
    def base_url(self) -> str:
        """The base URL of the fake Slack."""
        return self.platform.base_url

    @base_url.setter
    def base_url(self, url: str) -> None:
        self.platform.base_url = url
        self.responses.base_url = url

    @property
    def api_url(self) -> str:
        """The base URL for Web API clients, ending in a slash."""
        return f"{self.base_url}/slack-api/"

    @property
    def bot_url(self) -> str | None:
        """Where the bot listens: its origin, or the full URL of its events endpoint."""
        return self.sender.url

    @bot_url.setter
    def bot_url(self, url: str | None) -> None:
        is_origin = url is not None and urlsplit(url).path in {"", "/"}
        self.sender.url = url.rstrip("/") + EVENTS_PATH if url and is_origin else url

    # -- for tests ----------------------------------------------------------

    @property
    def calls(self) -> list[RecordedCall]:
        """All calls so far, oldest first."""
        return list(self.web_api.calls)

    @property
    def refused(self) -> list[RecordedCall]:
        """Calls that Slack refuses, without those with an injected fault."""
        refused = [call for call in self.calls if call.error and call.fault is None]
        return refused + [RecordedCall("response_url", {}, body) for body in self.responses.refusals]

    def person(self, name: str) -> Person:
        """Return a person by name or id."""
        users = self.workspace.users
        user_id = next((u.id for u in users.values() if name in {u.name, u.id}), None)
        if user_id is None:
            raise LookupError(f"nobody is called {name}")
        return Person(self._person_context, user_id)

    def messages(self, channel: str) -> list[Message]:
        """Return the messages of a channel (`#name` or id) that all members see, oldest first."""
        messages = self.workspace.channel(channel).messages
        return [m for m in messages if m.subtype not in {"channel_join", "channel_topic"}]

    def ephemerals(self, channel: str, name: str) -> list[Message]:
        """Return the messages of a channel that only this person sees, oldest first."""
        user = self.person(name).id
        return [m for m in self.workspace.channel(channel).ephemerals if m.ephemeral_to == user]

    def seen_by(self, name: str, channel: str) -> list[Message]:
        """Return all messages that a person sees in a channel, oldest first."""
        visible = [*self.messages(channel), *self.ephemerals(channel, name)]
        return sorted(visible, key=lambda message: message.ts)

    def find_channel(self, name: str) -> str:
        """Return the id of a channel."""
        return self.workspace.channel(name).id

    def send_scheduled(self) -> None:
        """Post the messages whose scheduled time has come."""
        now = self.workspace.now().timestamp()
        for key, (at, channel_id, message) in list(self.platform.scheduled.items()):
            channel = self.workspace.channels[channel_id]
            if at <= now:
                del self.platform.scheduled[key]
                message.ts = self.workspace.new_ts()
                if not channel.is_archived:
                    self.workspace.post(channel, message)

    async def wait_until_delivered(self) -> None:
        """Wait until every event is delivered to the bot or given up."""
        await self.sender.wait_until_delivered()

    async def until(self, condition: Callable[[], Result], *, within_s: float = 10.0) -> Result:
        """Wait until `condition` holds, checked at each change and call; return its value."""
        changed = asyncio.Event()

        def on_change(_change: object) -> None:
            changed.set()

        self.workspace.listeners.append(on_change)
        self.web_api.listeners.append(on_change)
        try:
            async with asyncio.timeout(within_s):
                while not (result := condition()):
                    await changed.wait()
                    changed.clear()
                return result
        finally:
            self.workspace.listeners.remove(on_change)
            self.web_api.listeners.remove(on_change)

    async def verify_url(self) -> bool:
        """Verify the bot's URL with a challenge, as Slack does when it is configured."""
        challenge = self.workspace.new_id("challenge")
        body: Json = {"token": "sandbox", "challenge": challenge, "type": "url_verification"}
        ack = await self.sender.send_once(body)
        return ack.error is None and challenge in ack.body


class FakeSlackServer(FakeSlack):
    """A fake Slack on a free port of 127.0.0.1, for the time of an `async with`."""

    def __init__(
        self,
        *,
        manifest: Mapping[str, Any],
        bot_url: str | None = None,
        bot_token: str = "xoxb-sandbox",  # noqa: S107 - opens nothing but the fake Slack
        signing_secret: str = "sandbox-signing-secret",  # noqa: S107 - likewise
        now: Callable[[], datetime] = utc_now,
        wall: Callable[[], float] = time.time,
        ack_s: float = ACK_S,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
    ) -> None:
        super().__init__(
            manifest=manifest,
            bot_token=bot_token,
            signing_secret=signing_secret,
            now=now,
            wall=wall,
            ack_s=ack_s,
            retry_delays_s=retry_delays_s,
        )
        self.bot_url = bot_url
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        self.add_routes(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}"
        self.sender.session = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.sender.close()
        if self.sender.session is not None:
            await self.sender.session.close()
        if self._runner is not None:
            await self._runner.cleanup()
