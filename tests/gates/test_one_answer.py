"""Whoever asks whether a change may ship gets the same answer, whatever holds, exempts and harms it.

What the answer must be is computed here from what was written, without anything of the bot but its tables.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from bot.catalog.selection import ServiceSelection
from bot.freezes.calendar.planning import NewWindow
from bot.freezes.gate.begun import BegunChange
from bot.freezes.hold import GOVERNOR
from bot.freezes.verdict import Change, GuardFailure
from bot.store.tables import core, deployments
from bot.store.tables.freeze_schedules import freeze_schedules
from tests.gates.entry_points import SERVICE, EntryPoints
from tests.stories.conftest import POLICIES
from tests.support.running import eventually
from tests.support.running_bot import TOKEN, RunningBot, start_bot

POLICY = (
    POLICIES.replace("evaluateEvery: 1s", "evaluateEvery: 1h")
    .replace("dwell: 2s,", "dwell: 2s, holdWithDependencies: true,")
    .replace("  repository: acme/checkout\n", "  repository: acme/checkout\n  dependsOn: [ledger]\n")
    + """
---
apiVersion: governor/v1
kind: Service
metadata: {name: ledger}
spec: {channel: "#releases"}
---
apiVersion: governor/v1
kind: Service
metadata: {name: search}
spec: {channel: "#releases"}
"""
)
CHANGES = ("PR-1", "PR-2")
COMMIT = "3f1c2ab99"
ADVISORY = "CVE-2026-1234"
BY_POLICY = {"budget", "calendar", "dependency"}
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")

# Nothing begins or ends within five minutes of now: the examples take seconds.
HOURS = st.integers(-72, 72).map(lambda half: timedelta(minutes=30 * half + 10))
PAST = st.integers(1, 72).map(lambda half: timedelta(minutes=-30 * half))
NAMES = st.sampled_from(CHANGES)


@dataclass(frozen=True)
class DrawnHold:
    """A hold as a row: its kind, when it began and ends from now, whether it only observes."""

    kind: str
    since: timedelta
    until: timedelta | None
    observed: bool


@dataclass(frozen=True)
class DrawnExemption:
    """An exemption as a row."""

    change: str
    until: timedelta | None
    commit: str | None
    used: timedelta | None


@dataclass(frozen=True)
class DrawnWindow:
    """A freeze window that somebody plans."""

    start: timedelta
    hours: int
    zone: str
    is_for_it: bool
    rule: str | None


@dataclass(frozen=True)
class Scene:
    """All that there is when the gate is asked."""

    holds: tuple[DrawnHold, ...]
    exemptions: tuple[DrawnExemption, ...]
    windows: tuple[DrawnWindow, ...]
    is_dependency_held: bool
    harmful: str | None
    change: Change


HOLDS = st.builds(
    DrawnHold,
    st.sampled_from(["person", "incident", "budget", "calendar"]),
    PAST,
    st.none() | HOURS,
    st.booleans(),
)
EXEMPTIONS = st.builds(
    DrawnExemption, NAMES, st.none() | HOURS, st.sampled_from([None, COMMIT, "0000000aa"]), st.none() | PAST
)
WINDOWS = st.builds(
    DrawnWindow,
    HOURS,
    st.integers(1, 40),
    st.sampled_from(ZONES),
    st.booleans(),
    st.sampled_from([None, None, "FREQ=WEEKLY"]),
)
ASKED = st.builds(
    Change,
    NAMES,
    st.sampled_from([None, "security", "fix"]),
    st.sampled_from([None, None, "production", "staging"]),
    st.sampled_from([None, None, COMMIT]),
    st.sampled_from([None, ADVISORY, "INC-7"]),
)
SCENES = st.builds(
    Scene,
    st.lists(HOLDS, max_size=3, unique_by=lambda hold: hold.kind).map(tuple),
    st.lists(EXEMPTIONS, max_size=2).map(tuple),
    st.lists(WINDOWS, max_size=2).map(tuple),
    st.sampled_from([False, False, True]),
    st.none() | NAMES,
    ASKED,
)


def expected(scene: Scene, now: datetime) -> str:
    """Return what must be answered, from the scene alone."""
    change = scene.change
    if scene.harmful == change.id:
        return "back"
    if change.environment not in {None, "production"}:
        return "go"
    kinds = [
        hold.kind for hold in scene.holds
        if not hold.observed and (hold.until is None or hold.until > timedelta())
    ]  # fmt: skip
    kinds += ["calendar" for window in scene.windows if window.is_for_it and is_on(window, now)]
    kinds += ["dependency"] if scene.is_dependency_held else []
    if not kinds:
        return "go"
    for exemption in scene.exemptions:
        is_valid = (exemption.until is None or exemption.until > timedelta()) and exemption.used is None
        is_of_commit = exemption.commit is None or exemption.commit == change.commit
        if exemption.change == change.id and is_valid and is_of_commit:
            return "go"
    is_proven = (change.kind, change.proof) == ("security", ADVISORY)
    return "go" if is_proven and set(kinds) <= BY_POLICY else "wait"


def is_on(window: DrawnWindow, now: datetime) -> bool:
    """Return whether a window holds now: its first occurrence, or that of the same local time of a week."""
    first = local(window, now)
    starts = [first]
    if window.rule is not None:
        starts += [first + timedelta(weeks=1)]
    zone = ZoneInfo(window.zone)
    began = [start.replace(tzinfo=zone) for start in starts]
    return any(at <= now < at.astimezone(ZoneInfo("UTC")) + timedelta(hours=window.hours) for at in began)


def local(window: DrawnWindow, now: datetime) -> datetime:
    return (
        (now + window.start).astimezone(ZoneInfo(window.zone)).replace(tzinfo=None, second=0, microsecond=0)
    )


@dataclass
class Stage:
    """A running bot on which scenes are set one after another."""

    runner: asyncio.Runner
    bot: RunningBot
    points: EntryPoints
    numbers: Iterator[int]

    async def set(self, scene: Scene, now: datetime) -> None:
        """Remove what is left of the last scene, and write this one."""
        governor = self.bot.governor
        async with governor.database.transaction() as connection:
            for table in (core.holds, core.exemptions, freeze_schedules, deployments.begun_changes):
                await connection.execute(delete(table))
            for hold in scene.holds:
                await connection.execute(insert(core.holds).values(self._hold(hold, now)))
            for exemption in scene.exemptions:
                await connection.execute(insert(core.exemptions).values(self._exemption(exemption, now)))
            if scene.harmful is not None:
                began = {"service": SERVICE, "change": scene.harmful, "began_at": now, "told_by": "ci"}
                await connection.execute(insert(deployments.begun_changes).values(began))
        for window in scene.windows:
            await governor.parts.budgets.freezes.schedules.plan(
                NewWindow(
                    ServiceSelection((SERVICE if window.is_for_it else "search",)),
                    local(window, now),
                    window.zone,
                    timedelta(hours=window.hours),
                    window.rule,
                    "a window",
                ),
                team=None,
                by="U1",
                request=f"window {next(self.numbers)}",
                now=now,
            )

        if scene.is_dependency_held:
            await governor.parts.budgets.hold_registry.place(
                governor.watcher.current.catalog.services["ledger"],
                by="U1",
                reason="a repair",
                until=None,
                request=f"dependency {next(self.numbers)}",
                now=now,
            )

        async def find(_service: object, begun: BegunChange) -> GuardFailure | None:
            return GuardFailure("it burns") if begun.change == scene.harmful else None

        governor.parts.flags.change_guard.find_failure = find  # type: ignore[assignment] # what burns is drawn

    def _hold(self, hold: DrawnHold, now: datetime) -> dict[str, Any]:
        return {
            "service": SERVICE, "kind": hold.kind, "reason": "a hold", "observed": hold.observed,
            "by": GOVERNOR, "since": now + hold.since, "until": hold.until and now + hold.until,
            "request": f"hold {next(self.numbers)}",
        }  # fmt: skip

    def _exemption(self, exemption: DrawnExemption, now: datetime) -> dict[str, Any]:
        return {
            "service": SERVICE, "change": exemption.change, "reason": "urgent", "by": "U1",
            "since": now - timedelta(hours=40), "until": exemption.until and now + exemption.until,
            "commit": exemption.commit, "used_at": exemption.used and now + exemption.used,
            "request": f"exemption {next(self.numbers)}",
        }  # fmt: skip


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A bot on a loop that the examples share."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def start() -> Stage:
            folder: Path = tmp_path_factory.mktemp("bot")
            bot = await stack.enter_async_context(start_bot(folder, text=POLICY))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            points = EntryPoints(bot, session)

            async def judged() -> int:
                url = f"{bot.url}/gates/kargo/{SERVICE}"
                async with session.get(url, headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
                    return answer.status

            await eventually(judged, lambda status: status == 200)
            return Stage(runner, bot, points, count())

        yield runner.run(start())
        runner.run(stack.aclose())


# Shrinking would run a bot for minutes; the scene as it was drawn is small enough to read.
@settings(max_examples=50, phases=[Phase.generate])
@given(scene=SCENES)
def test_every_way_to_ask_gives_the_one_answer(stage: Stage, scene: Scene) -> None:
    async def ask() -> tuple[str, dict[str, str]]:
        now = stage.bot.governor.clock.now()
        await stage.set(scene, now)
        right = expected(scene, now)
        return right, {name: answer async for name, answer in stage.points.answers(scene.change)}

    right, answers = stage.runner.run(ask())
    assert answers == dict.fromkeys(answers, right)


def test_the_scenes_reach_all_three_answers() -> None:
    """Keep the examples above from proving nothing."""
    now = datetime.now(ZoneInfo("UTC"))
    held = DrawnHold("person", timedelta(hours=-1), None, observed=False)
    change = Change("PR-1")
    scene = Scene((held,), (), (), is_dependency_held=False, harmful=None, change=change)
    assert expected(scene, now) == "wait"
    assert expected(replace(scene, holds=()), now) == "go"
    assert expected(replace(scene, harmful="PR-1"), now) == "back"
