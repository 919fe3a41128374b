"""The demo shop: reports the requests of its services to the bot, and lets the visitor break them.

It pushes counts to the bot's `POST /api/v1/events` as a service does: first 30 days of
history, then live traffic, on the clock that it shares with the bot; `traffic` has the
numbers. Deployments go to `POST /api/v1/deployments`, as from a pipeline.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import aiohttp
import structlog

from bot.sandbox.demo import traffic
from bot.sandbox.demo.exposure import Exposure
from bot.sandbox.demo.releases import ShopReleases
from bot.sandbox.demo.steps import SERVICE
from bot.sandbox.demo.traffic import SCENES, Count, TrafficScenario
from bot.sandbox.fake_slack.model import Json

log = structlog.get_logger(__name__)

SPEEDS: Final = (1, 60, 600)
_MIN_SPAN: Final = timedelta(seconds=15)
_TICK_S: Final = 0.5
_RETRY_S: Final = 1.0
_MAX_EVENTS: Final = 10_000
"""The most events that the bot accepts in one call."""
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)


class ShopClock(Protocol):
    """The clock that the shop and the bot share."""

    speed: float
    """Simulated seconds a real second."""

    def now(self) -> datetime:
        """Return the simulated time, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for simulated seconds."""
        ...


class BotError(Exception):
    """The bot did not accept a request."""


class Shop:
    """Three services and their scenes. `on_change` is called after every change."""

    def __init__(
        self, *, clock: ShopClock, bot_url: str, api_token: str, on_change: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._bot_url = bot_url
        self._headers = {"Authorization": f"Bearer {api_token}"}
        self._on_change = on_change
        self.session: aiohttp.ClientSession | None = None
        self.scene: TrafficScenario = SCENES["normal"]
        self._scene_since = clock.now()
        self._start = clock.now()
        self._counted_until = clock.now()
        self._loading = True
        self._problem: str | None = None
        self._was_over = False
        self._last_bad: TrafficScenario | None = None
        self._ended_by_itself = False
        self._frozen: frozenset[str] = frozenset()
        self._fast_until: str | None = None
        self._slowed_down = False
        self._unsent: list[Count] = []
        self._releases = ShopReleases(clock.now())
        self._exposure = Exposure(bot_url, "new-checkout")

    # -- the page's controls -----------------------------------------------

    def as_json(self) -> Json:
        """Return the shop's state, for the page's controls."""
        scenes = [{"name": s.name, "label": s.label} for s in SCENES.values()]
        return {
            "scene": self.scene.name,
            "what": self._description(),
            "scenes": scenes,
            "speeds": list(SPEEDS),
            "speed": self._clock.speed,
        }

    def _description(self) -> str:
        if self._problem is not None:
            return f"The bot does not accept the shop's counts: {self._problem}"
        if self._loading:
            return "Writing 30 days of history."
        told = self._errors() if self.scene.bad else self._no_errors()
        return f"{told} Time runs at 1× again." if self._slowed_down else told

    def _errors(self) -> str:
        told, duration = self.scene.description, self.scene.duration
        if duration is not None:
            told += f" This ends by itself after {_in_words(duration)}."
        if self._clock.speed == 1 and not self._slowed_down:
            told += " Choose 60× to watch the budget."
        return told

    def _no_errors(self) -> str:
        if self._is_over and not self._frozen:
            return "The old errors have left the window. Start over to play it again."
        frozen = f" Frozen: {', '.join(sorted(self._frozen))}." if self._frozen else ""
        if self._last_bad is None:
            return f"{self.scene.description}{frozen}"
        ended = f"{self._last_bad.label} has ended by itself. " if self._ended_by_itself else ""
        return f"{ended}{self._last_bad.mended} {SCENES['recover'].description}{frozen}"

    @property
    def _is_over(self) -> bool:
        return self._clock.now() - self._start > traffic.STORY_DURATION

    def play(self, name: str, *, until: str | None = None) -> None:
        """Start a scene; raise `LookupError` for an unknown one.

        With `until` (`frozen` or `open`) time runs at 1× again once checkout is that.
        """
        if name not in SCENES:
            raise LookupError(f"there is no scene {name}")
        self._count_until(self._clock.now())
        self._fast_until, self._slowed_down, self._ended_by_itself = until, False, False
        if self.scene.bad:
            self._last_bad = self.scene
        self.scene = SCENES[name]
        self._scene_since = self._clock.now()
        if self.scene.deploys is not None:
            self._releases.deploy(self.scene.deploys, self._scene_since)
        elif name == "recover":
            self._roll_back()
        log.info("scene_started", name=name)
        self._on_change()

    def run_at(self, speed: float) -> None:
        """Change the speed of time; raise `ValueError` for a speed not in `SPEEDS`."""
        if speed not in SPEEDS:
            raise ValueError(f"speed must be one of {', '.join(map(str, SPEEDS))}")
        self._count_until(self._clock.now())
        self._clock.speed = speed
        self._slowed_down = False
        self._on_change()

    def notice_frozen(self, services: frozenset[str]) -> None:
        """Take note of which services are frozen now, and slow time down if that was waited for."""
        self._frozen = services
        reached = "frozen" if SERVICE in services else "open"
        if reached == self._fast_until:
            self._fast_until = None
            self.run_at(1)
            self._slowed_down = True

    # -- counting and sending ------------------------------------------------

    async def run(self) -> None:
        """Send the history, then live traffic, until cancelled."""
        await self._until_bot_answers()
        self._start = self._counted_until = self._clock.now()
        self._releases.begin(self._start)
        await self._retry(self._send_history)
        self._loading = False
        self._on_change()
        while True:
            await asyncio.sleep(_TICK_S)
            await self._tick()

    async def _tick(self) -> None:
        now = self._clock.now()
        if self._is_over and not self._was_over:
            self._was_over = True
            self._on_change()
        duration = self.scene.duration
        if duration is not None and now - self._scene_since >= duration:
            self.play("recover")
            self._ended_by_itself = True
            self._on_change()
        if self.scene.flag is not None:
            await self._exposure.refresh(self._http)
        if now - self._counted_until >= _MIN_SPAN:
            self._count_until(now)
        if self._unsent:
            await self._retry(self._send_unsent)
        self._releases.tick(now, self.scene, self._frozen)
        if self._releases.unsent:
            await self._retry(self._send_deployments)

    def _roll_back(self) -> None:
        """Report that the deploy of the last bad scene is rolled back, unless a freeze stops that too."""
        service = self._last_bad.deploys if self._last_bad is not None else None
        if service is not None and service not in self._frozen:
            self._releases.roll_back(service, self._scene_since)

    async def _send_deployments(self) -> None:
        while self._releases.unsent:
            await self._post("deployments", self._releases.unsent[0], accepted=(200, 201))
            del self._releases.unsent[0]
        self._clear_problem()

    async def _send_unsent(self) -> None:
        rows = list(self._unsent)
        await self._send(rows)
        del self._unsent[: len(rows)]
        self._clear_problem()

    def _clear_problem(self) -> None:
        if self._problem is not None:
            self._problem = None
            self._on_change()

    def _count_until(self, now: datetime) -> None:
        if not self._loading and now > self._counted_until:
            exposure = self._exposure.share
            self._unsent += traffic.live(self._counted_until, now, self._start, self.scene, exposure)
            self._counted_until = now

    async def _retry(self, send: Callable[[], Awaitable[None]]) -> None:
        """Retry until the bot accepts; it recognizes by id what it has accepted before."""
        while True:
            try:
                return await send()
            except (BotError, aiohttp.ClientError, TimeoutError) as error:
                log.warning("counts_rejected", error=str(error))
                self._problem = str(error) or type(error).__name__
                self._on_change()
            await asyncio.sleep(_RETRY_S)

    async def _send_history(self) -> None:
        if await self._has_history():
            return
        rows = [*traffic.earlier_history(self._start), *traffic.history(self._start)]
        # In one call, which is all or nothing: half of it would look like an overspent budget.
        assert len(rows) <= _MAX_EVENTS  # noqa: S101 - the history has a known length
        await self._send(rows)
        self._problem = None
        self._releases.add_past()
        log.info("history_sent", counts=len(rows))

    async def _send(self, rows: Sequence[Count]) -> None:
        body = [
            {
                "service": row.service,
                "slo": row.slo,
                "good": row.good,
                "bad": row.bad,
                "at": row.at.isoformat(),
                "id": f"{row.service}/{row.slo}/{row.at.timestamp():.6f}",
            }
            for row in rows
        ]
        await self._post("events", body, accepted=(202,))

    async def _post(self, path: str, body: object, *, accepted: Sequence[int]) -> None:
        url = f"{self._bot_url}/api/v1/{path}"
        data = io.BytesIO(json.dumps(body).encode())
        async with self._http.post(url, data=data, headers=self._headers, timeout=_TIMEOUT) as response:
            if response.status not in accepted:
                raise BotError(f"{response.status}: {(await response.text())[:300]}")

    async def _has_history(self) -> bool:
        """Return whether the bot has history from an earlier run."""
        url = f"{self._bot_url}/api/v1/services/checkout"
        async with self._http.get(url, headers=self._headers, timeout=_TIMEOUT) as response:
            if response.status != 200:
                return False
            slos = (await response.json()).get("slos", [])
        return any(slo.get("total") for slo in slos)

    async def _until_bot_answers(self) -> None:
        while True:
            try:
                async with self._http.get(f"{self._bot_url}/healthz", timeout=_TIMEOUT) as reply:
                    if reply.status < 500:
                        return
            except (aiohttp.ClientError, TimeoutError):
                log.debug("bot_unreachable")
            await asyncio.sleep(_TICK_S)

    @property
    def _http(self) -> aiohttp.ClientSession:
        if self.session is None:
            raise BotError("the shop has no HTTP session")
        return self.session


def _in_words(duration: timedelta) -> str:
    minutes = duration // timedelta(minutes=1)
    return f"{minutes // 60} hours" if minutes >= 120 else f"{minutes} minutes"
