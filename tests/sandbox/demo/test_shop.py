"""The demo shop: its scenes take about a minute and a half at 60×."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from bot.sandbox import POLICIES, Sandbox
from bot.sandbox.demo.deployments import FAILED, last_commit, past_deployments
from bot.sandbox.demo.shop import Shop
from bot.sandbox.demo.traffic import (
    SCENES,
    STREAMS,
    WINDOW,
    Count,
    Stream,
    earlier_history,
    full_hour,
    history,
    live,
    rate,
    remaining,
)
from tests.sandbox.bolt_app import MANIFEST
from tests.support.running import eventually
from tests.support.servers import free_port

START = datetime(2026, 3, 3, 10, 17, tzinfo=UTC)
CHECKOUT = STREAMS[0]
FREEZE_AT, UNFREEZE_AT, DWELL = 0.0, 0.10, 15


def play(*script: tuple[str, int]) -> list[float]:
    """Play scenes for minutes each; return checkout's remaining budget after every minute."""
    counts: list[Count] = [c for c in history(START) if _is(c, CHECKOUT)]
    levels = [remaining(counts, CHECKOUT, START)]
    at = START
    for name, minutes in script:
        for _ in range(minutes):
            since, at = at, at + timedelta(minutes=1)
            counts += [c for c in live(since, at, START, SCENES[name]) if _is(c, CHECKOUT)]
            levels.append(remaining(counts, CHECKOUT, at))
    return levels


def _is(count: Count, stream: Stream) -> bool:
    return (count.service, count.slo) == stream.key


def freezes_after(levels: list[float]) -> int:
    return next(minute for minute, level in enumerate(levels) if level <= FREEZE_AT)


def unfreezes_after(levels: list[float]) -> int:
    """Return the minute by which the budget has stayed high enough for the dwell."""
    low = max(minute for minute, level in enumerate(levels) if level < UNFREEZE_AT)
    assert low + DWELL < len(levels), "never unfrozen"
    return low + 1 + DWELL


def whole_history() -> list[Count]:
    """Return all that the bot is told of the time before the demo."""
    return [*earlier_history(START), *history(START)]


def test_the_days_before_reach_as_far_back_again_and_fit_into_one_call() -> None:
    for stream in STREAMS:
        times = [count.at for count in earlier_history(START) if _is(count, stream)]
        first = min(count.at for count in history(START) if _is(count, stream))
        assert full_hour(START - WINDOW) == times[-1] < first
        assert times[0] - timedelta(hours=6) == full_hour(START - WINDOW) - WINDOW
    assert len(whole_history()) <= 10_000


def test_history_is_thirty_days_without_gap_or_overlap() -> None:
    for stream in STREAMS:
        times = [count.at for count in history(START) if _is(count, stream)]
        assert times == sorted(set(times))
        assert times[-1] == START
        assert full_hour(START - WINDOW) < times[0] <= START - WINDOW + timedelta(minutes=1)


def test_traffic_has_a_daily_rhythm() -> None:
    day = [rate(CHECKOUT, START + timedelta(hours=hour), START) for hour in range(24)]
    assert max(day) == pytest.approx(1.9 * CHECKOUT.per_minute, rel=0.01)
    assert min(day) == pytest.approx(0.1 * CHECKOUT.per_minute, rel=0.1)


def test_the_story_begins_with_every_service_open() -> None:
    counts = list(history(START))
    levels = {stream.key: remaining(counts, stream, START) for stream in STREAMS}
    assert all(0.1 < level < 0.9 for level in levels.values())
    assert levels[CHECKOUT.key] == pytest.approx(0.12, abs=0.02)


@pytest.mark.parametrize("hour", range(0, 24, 5))
def test_the_story_begins_alike_at_every_hour(hour: int) -> None:
    start = START + timedelta(hours=hour)
    counts = [count for count in history(start) if _is(count, CHECKOUT)]
    assert remaining(counts, CHECKOUT, start) == pytest.approx(0.12, abs=0.02)


def test_a_bad_deploy_freezes_checkout_within_twenty_seconds_at_60x() -> None:
    assert 10 <= freezes_after(play(("bad_deploy", 30))) <= 20


@pytest.mark.parametrize(("bad_for", "within"), [(15, 75), (20, 80), (30, 100), (40, 130)])
def test_a_bad_deploy_that_is_rolled_back_unfreezes_soon(bad_for: int, within: int) -> None:
    levels = play(("bad_deploy", bad_for), ("recover", 120))
    assert unfreezes_after(levels) <= within


@pytest.mark.parametrize("scene", ["bad_deploy", "outage"])
def test_a_scene_that_nobody_ends_still_recovers(scene: str) -> None:
    duration = SCENES[scene].duration
    assert duration is not None
    minutes = int(duration / timedelta(minutes=1))
    assert unfreezes_after(play((scene, minutes), ("recover", 150))) <= minutes + 110


def test_nothing_freezes_while_all_is_well() -> None:
    assert min(play(("normal", 180))) > 0.1


# -- the shop itself, with a bot that only records --------------------------------


class Clock:
    """Simulated time, which advances by `step` at each reading."""

    def __init__(self, step: timedelta = timedelta()) -> None:
        self.base = START
        self.step = step
        self.speed = 1.0

    def now(self) -> datetime:
        self.base += self.step
        return self.base

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)


class Bot:
    """A bot that records the shop's requests."""

    def __init__(self, *, has_history: bool = False, refused_events: int = 0) -> None:
        self.refused_events = refused_events
        self.refused_deployments = 0
        self.rows: list[dict[str, Any]] = []
        self.deployed: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.total = 1 if has_history else None
        self._received = asyncio.Condition()

    async def has_deployed(self, count: int) -> None:
        """Wait until so many deployments were received."""
        async with asyncio.timeout(20), self._received:
            await self._received.wait_for(lambda: len(self.deployed) >= count)

    async def has(self, count: int) -> None:
        """Wait until so many counts were received."""
        async with asyncio.timeout(20), self._received:
            await self._received.wait_for(lambda: len(self.rows) >= count)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/healthz", self._healthy),
            web.get("/api/v1/services/checkout", self._service),
            web.post("/api/v1/events", self._events),
            web.post("/api/v1/deployments", self._deployments),
        ]

    async def _healthy(self, _request: web.Request) -> web.Response:
        return web.json_response({})

    async def _service(self, _request: web.Request) -> web.Response:
        return web.json_response({"slos": [{"total": self.total}]})

    async def _events(self, request: web.Request) -> web.Response:
        rows = await request.json()
        known = {row["id"] for row in self.rows}
        self.rows += [row for row in rows if row["id"] not in known]
        if self.refused_events:
            # Recorded, but the response says otherwise: the shop sends it again.
            self.refused_events -= 1
            return web.Response(status=503)
        self.tokens.add(request.headers["Authorization"])
        async with self._received:
            self._received.notify_all()
        return web.json_response({"accepted": len(rows), "duplicates": 0}, status=202)

    async def _deployments(self, request: web.Request) -> web.Response:
        self.deployed.append(await request.json())
        if self.refused_deployments:
            self.refused_deployments -= 1
            return web.Response(status=503)
        async with self._received:
            self._received.notify_all()
        return web.json_response({"recorded": ["checkout"], "ignored": None}, status=201)


@asynccontextmanager
async def open_shop(bot: Bot, clock: Clock) -> AsyncIterator[str]:
    app = web.Application(client_max_size=4 * 1024 * 1024)
    app.add_routes(bot.routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    sandbox = Sandbox(
        manifest=MANIFEST,
        clock=clock,
        base_url=base_url,
        bot_token="xoxb-1",
        signing_secret="secret",
        api_token="api",
    )
    sandbox.add_routes(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    task = asyncio.create_task(sandbox.run())
    try:
        yield base_url
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await runner.cleanup()


async def story(session: aiohttp.ClientSession, base_url: str, **body: Any) -> dict[str, Any]:
    async with session.post(f"{base_url}/sandbox/story", json=body) as response:
        result: dict[str, Any] = await response.json()
        return result


async def test_the_shop_tells_its_history_then_what_happens() -> None:
    bot, clock = Bot(), Clock()
    expected = len(whole_history())
    async with open_shop(bot, clock) as base_url, aiohttp.ClientSession() as session:
        await bot.has(expected)
        assert len({row["id"] for row in bot.rows}) == expected
        assert bot.tokens == {"Bearer api"}
        state = await story(session, base_url)
        assert state["story"]["scene"] == "normal"
        await story(session, base_url, scene="bad_deploy", speed=60)
        assert clock.speed == 60
        clock.base += timedelta(minutes=2)
        await bot.has(expected + len(STREAMS))
        row = next(row for row in bot.rows[expected:] if row["slo"] == "availability")
        assert row["bad"] / (row["good"] + row["bad"]) == pytest.approx(0.3, rel=0.15)


async def test_a_bad_deploy_is_told_to_the_bot_until_it_takes_it_each_by_a_commit_of_its_own() -> None:
    bot, clock = Bot(has_history=True), Clock()
    bot.refused_deployments = 1
    async with open_shop(bot, clock) as base_url, aiohttp.ClientSession() as session:
        for name in ("bad_deploy", "recover", "bad_deploy"):
            await story(session, base_url, scene=name)
        await bot.has_deployed(4)
    refused, first, rolled_back, second = bot.deployed
    assert refused == first
    assert (first["service"], first["state"], first["finished_at"]) == (
        "checkout", "succeeded", START.isoformat()
    )  # fmt: skip
    assert first["changes"]
    assert first["commit"] not in {second["commit"], rolled_back["commit"]}
    # What was in production before is there again: the bot sees by that what failed.
    assert rolled_back["commit"] == last_commit("checkout", START)
    assert len({each["key"] for each in (first, rolled_back, second)}) == 3


def test_the_past_ships_failures_that_are_rolled_back_and_fixed() -> None:
    past = past_deployments(START)
    assert [each["finished_at"] for each in past] == sorted(each["finished_at"] for each in past)
    assert len({(each["service"], each["key"]) for each in past}) == len(past)
    assert all(
        START - timedelta(days=90) <= datetime.fromisoformat(each["finished_at"]) < START for each in past
    )
    commits: dict[str, list[str]] = {}
    again = 0
    for each in past:
        known = commits.setdefault(each["service"], [])
        again += each["commit"] in known
        known.append(each["commit"])
    assert again == len(FAILED)
    assert {each["actor"] for each in past} == {"person", "pipeline", "agent"}


async def test_a_bot_that_has_history_is_not_told_again() -> None:
    bot, clock = Bot(has_history=True), Clock(step=timedelta(seconds=16))
    async with open_shop(bot, clock):
        await bot.has(1)
        assert len(bot.rows) == len(STREAMS)


async def test_a_refused_history_is_told_again_without_counting_twice() -> None:
    bot, clock = Bot(refused_events=1), Clock()
    expected = {f"{c.service}/{c.slo}/{c.at.timestamp():.6f}" for c in whole_history()}
    async with open_shop(bot, clock):
        await bot.has(len(expected))
        assert {row["id"] for row in bot.rows} == expected


async def test_a_scene_says_how_long_it_lasts_and_that_it_has_ended_by_itself() -> None:
    bot, clock = Bot(has_history=True), Clock()
    async with open_shop(bot, clock) as base_url, aiohttp.ClientSession() as session:

        async def says(text: str) -> bool:
            return text in (await story(session, base_url))["story"]["what"]

        await eventually(lambda: says("All services are healthy."), bool)
        await story(session, base_url, scene="outage")
        assert await says("This ends by itself after 15 minutes. Choose 60× to watch the budget.")
        clock.base += timedelta(minutes=16)
        await eventually(lambda: says("Outage has ended by itself. Payments and checkout are back."), bool)


@pytest.mark.parametrize(("until", "frozen"), [("frozen", {"checkout"}), ("open", {"search"})])
async def test_time_slows_down_once_checkout_is_as_was_waited_for(until: str, frozen: set[str]) -> None:
    clock = Clock()
    shop = Shop(clock=clock, bot_url="http://bot.example", api_token="api", on_change=lambda: None)
    shop.play("bad_deploy", until=until)
    shop.run_at(60)
    shop.notice_frozen({"frozen": frozenset[str](), "open": frozenset({"checkout"})}[until])
    assert clock.speed == 60
    shop.notice_frozen(frozenset(frozen))
    assert clock.speed == 1


def test_no_budget_begins_below_a_level_of_warning() -> None:
    policy = yaml.safe_load((Path(POLICIES) / "standard.yaml").read_text(encoding="utf-8"))
    highest = max(float(level.rstrip("%")) / 100 for level in policy["spec"]["warnAt"])
    counts = list(history(START))
    assert min(remaining(counts, stream, START) for stream in STREAMS) > highest


async def test_only_offered_scenes_and_speeds_are_played() -> None:
    async with open_shop(Bot(), Clock()) as base_url, aiohttp.ClientSession() as session:
        assert "no scene" in (await story(session, base_url, scene="fire"))["error"]
        assert "speed must be" in (await story(session, base_url, speed=7))["error"]


def test_the_policies_count_exactly_the_streams_of_the_shop() -> None:
    documents = [
        document
        for path in sorted(Path(POLICIES).glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]
    declared = {
        (document["metadata"]["name"], slo["name"], slo["objective"])
        for document in documents
        if document["kind"] == "Service"
        for slo in document["spec"]["slos"]
    }
    assert declared == {(s.service, s.slo, round(100 * s.objective, 3)) for s in STREAMS}
