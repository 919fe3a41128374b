"""The shop that lives: tells the bot how its services do, and lets the visitor break them.

It pushes counts to the bot's `POST /api/v1/events` as any service would: first 30 days
of history, then what happens now, on the clock that it shares with the bot. What it
counts is `traffic`'s matter. A deploy it tells to `POST /api/v1/deployments`, as its
pipeline would.
"""

from __future__ import annotations

import asyncio
import io
import json
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import aiohttp
import structlog

from bot.sandbox.demo import traffic
from bot.sandbox.demo.exposure import Exposure
from bot.sandbox.demo.traffic import SCENES, Count, TrafficScenario
from bot.sandbox.fake_slack.model import Json

log = structlog.get_logger(__name__)

SPEEDS: Final = (1, 60, 600)
_LEAST: Final = timedelta(seconds=15)
_TICK_S: Final = 0.5
_AGAIN_S: Final = 1.0
_MOST_AT_ONCE: Final = 10_000
"""What the bot takes in one call."""
_PATIENCE: Final = aiohttp.ClientTimeout(total=30)


class ShopClock(Protocol):
    """The time that the shop and the bot live in."""

    speed: float
    """Simulated seconds a real second."""

    def now(self) -> datetime:
        """Return the simulated time, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Sleep for simulated seconds."""
        ...


class BotError(Exception):
    """The bot did not take the counts."""


class Shop:
    """Three services and what goes wrong with them. `changed` is told of every change."""

    def __init__(
        self, *, clock: ShopClock, bot_url: str, api_token: str, changed: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._bot_url = bot_url
        self._headers = {"Authorization": f"Bearer {api_token}"}
        self._changed = changed
        self.session: aiohttp.ClientSession | None = None
        self.scene: TrafficScenario = SCENES["normal"]
        self._scene_since = clock.now()
        self._start = clock.now()
        self._told_until = clock.now()
        self._loading = True
        self._trouble: str | None = None
        self._was_told = False
        self._unsent: list[Count] = []
        self._deployed: list[Json] = []
        self._exposure = Exposure(bot_url, "new-checkout")

    # -- what the strip shows and does ---------------------------------------

    def as_json(self) -> Json:
        """Return what happens, for the page."""
        scenes = [{"name": s.name, "label": s.label} for s in SCENES.values()]
        return {
            "scene": self.scene.name,
            "what": self._what(),
            "scenes": scenes,
            "speeds": list(SPEEDS),
            "speed": self._clock.speed,
        }

    def _what(self) -> str:
        if self._trouble is not None:
            return f"The bot does not take the shop's counts: {self._trouble}"
        if self._loading:
            return "Writing 30 days of history."
        if self.scene.bad and self._clock.speed == 1:
            return f"{self.scene.what} Choose 60× to watch the budget."
        if self._is_told and not self.scene.bad:
            return "The old errors have left the window. Start over to play it again."
        return self.scene.what

    @property
    def _is_told(self) -> bool:
        return self._clock.now() - self._start > traffic.STORY_LASTS

    def play(self, name: str) -> None:
        """Begin a scene; raise `LookupError` for one that there is not."""
        if name not in SCENES:
            raise LookupError(f"there is no scene {name}")
        self._count_until(self._clock.now())
        self.scene = SCENES[name]
        self._scene_since = self._clock.now()
        if self.scene.deploys is not None:
            self._deploy(self.scene.deploys)
        log.info("scene", name=name)
        self._changed()

    def run_at(self, speed: float) -> None:
        """Let time run faster or slower; raise `ValueError` for a speed that is not offered."""
        if speed not in SPEEDS:
            raise ValueError(f"speed must be one of {', '.join(map(str, SPEEDS))}")
        self._count_until(self._clock.now())
        self._clock.speed = speed
        self._changed()

    # -- counting and telling ------------------------------------------------

    async def run(self) -> None:
        """Push the history, then what happens, until cancelled."""
        await self._until_bot_answers()
        self._start = self._told_until = self._clock.now()
        await self._patiently(self._tell_history)
        self._loading = False
        self._changed()
        while True:
            await asyncio.sleep(_TICK_S)
            await self._tick()

    async def _tick(self) -> None:
        now = self._clock.now()
        if self._is_told and not self._was_told:
            self._was_told = True
            self._changed()
        lasts = self.scene.lasts
        if lasts is not None and now - self._scene_since >= lasts:
            self.play("recover")
        if self.scene.flag is not None:
            await self._exposure.ask(self._http)
        if now - self._told_until >= _LEAST:
            self._count_until(now)
        if self._unsent:
            await self._patiently(self._tell_unsent)
        if self._deployed:
            await self._patiently(self._tell_deployed)

    def _deploy(self, service: str) -> None:
        """Deploy what is new: another commit each time."""
        commit = secrets.token_hex(20)
        deployment = {
            "service": service,
            "key": commit,
            "state": "succeeded",
            "commit": commit,
            "ref": "main",
            "by": "the pipeline",
            "finished_at": self._scene_since.isoformat(),
        }
        self._deployed.append(deployment)

    async def _tell_deployed(self) -> None:
        while self._deployed:
            await self._post("deployments", self._deployed[0], taken=(200, 201))
            del self._deployed[0]
        self._is_well()

    async def _tell_unsent(self) -> None:
        rows = list(self._unsent)
        await self._tell(rows)
        del self._unsent[: len(rows)]
        self._is_well()

    def _is_well(self) -> None:
        if self._trouble is not None:
            self._trouble = None
            self._changed()

    def _count_until(self, now: datetime) -> None:
        if not self._loading and now > self._told_until:
            shown = self._exposure.share
            self._unsent += traffic.live(self._told_until, now, self._start, self.scene, shown)
            self._told_until = now

    async def _patiently(self, tell: Callable[[], Awaitable[None]]) -> None:
        """Try until the bot takes it; what it took before is known to it by id."""
        while True:
            try:
                return await tell()
            except (BotError, aiohttp.ClientError, TimeoutError) as fault:
                log.warning("counts_not_taken", error=str(fault))
                self._trouble = str(fault) or type(fault).__name__
                self._changed()
            await asyncio.sleep(_AGAIN_S)

    async def _tell_history(self) -> None:
        if await self._is_known():
            return
        rows = list(traffic.history(self._start))
        # All or nothing, in one call: a month half told would look like a budget overspent.
        assert len(rows) <= _MOST_AT_ONCE  # noqa: S101 - the history is made above, of known length
        await self._tell(rows)
        self._trouble = None
        log.info("history_told", counts=len(rows))

    async def _tell(self, rows: Sequence[Count]) -> None:
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
        await self._post("events", body, taken=(202,))

    async def _post(self, path: str, body: object, *, taken: Sequence[int]) -> None:
        url = f"{self._bot_url}/api/v1/{path}"
        data = io.BytesIO(json.dumps(body).encode())
        async with self._http.post(url, data=data, headers=self._headers, timeout=_PATIENCE) as response:
            if response.status not in taken:
                raise BotError(f"{response.status}: {(await response.text())[:300]}")

    async def _is_known(self) -> bool:
        """Ask whether the bot has history from an earlier run."""
        url = f"{self._bot_url}/api/v1/services/checkout"
        async with self._http.get(url, headers=self._headers, timeout=_PATIENCE) as response:
            if response.status != 200:
                return False
            slos = (await response.json()).get("slos", [])
        return any(slo.get("total") for slo in slos)

    async def _until_bot_answers(self) -> None:
        while True:
            try:
                async with self._http.get(f"{self._bot_url}/healthz", timeout=_PATIENCE) as reply:
                    if reply.status < 500:
                        return
            except (aiohttp.ClientError, TimeoutError):
                log.debug("bot_not_up_yet")
            await asyncio.sleep(_TICK_S)

    @property
    def _http(self) -> aiohttp.ClientSession:
        if self.session is None:
            raise BotError("the shop has no HTTP session")
        return self.session
