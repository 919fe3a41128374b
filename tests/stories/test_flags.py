"""Flags with the real program: a ramp that burns, kills within a step, conflicts, and the audit log."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.flags.evaluation import bucket
from bot.sandbox.fake_slack.model import Message
from bot.sandbox.fake_slack.server import FakeSlackServer
from tests.support.paths import ROOT
from tests.support.running import Bot, eventually, running_governor

FLAG = "new-checkout"
USERS = 200
POLICIES = """
apiVersion: governor/v1
kind: Workspace
metadata: {name: acme}
spec:
  channels: {announcements: "#releases"}
  evaluateEvery: 1s
  flags:
    backend: BACKEND
    environments:
      - {name: production, protected: true, default: true}
ENVIRONMENTS
  permissions: {freeze: ["@sre"], exempt: ["@sre"], flags: {production: ["@checkout-devs", "@sre"]}}
---
apiVersion: governor/v1
kind: ErrorBudgetPolicy
metadata: {name: standard}
spec: {burnAlerts: [], guard: {burn: 10, over: 5s, watchFor: 1m}}
---
apiVersion: governor/v1
kind: Service
metadata: {name: checkout}
spec:
  channel: "#checkout"
  flags: [new-checkout]
  slos:
    - {name: orders, objective: 99, window: 7d, sli: {events: {}}}
"""


@asynccontextmanager
async def running(
    folder: Path, slack: FakeSlackServer, *, backend: str = "local", staging: bool = False
) -> AsyncIterator[Bot]:
    policies = folder / "policies"
    policies.mkdir()
    more = "      - {name: staging}" if staging else ""
    text = POLICIES.replace("BACKEND", backend).replace("ENVIRONMENTS", more)
    if staging:
        text = text.replace('["@checkout-devs", "@sre"]}', '["@checkout-devs", "@sre"], staging: everyone}')
    (policies / "all.yaml").write_text(text)
    async with running_governor(policies=policies, slack=slack, folder=folder) as bot:
        await push(bot, 1_000_000, 0, ago=timedelta(hours=1))
        yield bot


async def push(bot: Bot, good: int, bad: int, ago: timedelta = timedelta()) -> None:
    at = (datetime.now(UTC) - ago).isoformat()
    event = {"service": "checkout", "slo": "orders", "good": good, "bad": bad, "at": at}
    status, body = await bot.api("POST", "events", json=event)
    assert status == 202, body


async def exposure(bot: Bot, environment: str = "production") -> float:
    """Return what applications see: the share of users for whom OFREP evaluates the flag as on."""
    path = f"{bot.url}/environments/{environment}/ofrep/v1/evaluate/flags/{FLAG}"
    async with aiohttp.ClientSession() as session:

        async def is_on(user: int) -> bool:
            context = {"context": {"targetingKey": f"user-{user}"}}
            async with session.post(path, json=context) as answer:
                return bool((await answer.json())["value"])

        return sum(await asyncio.gather(*(is_on(user) for user in range(USERS)))) / USERS


async def application(bot: Bot, seen: list[float]) -> None:
    """Serve requests for ever; the new checkout breaks down once it is shown to more than 15% of users."""
    while True:
        share = await exposure(bot)
        seen.append(share)
        await push(bot, 50 if share > 0.15 else 100, 50 if share > 0.15 else 0)
        await asyncio.sleep(0.3)


async def good_traffic(bot: Bot) -> None:
    """Serve requests that succeed for ever, also while the bot is away."""
    while True:
        with suppress(aiohttp.ClientError, TimeoutError):
            await push(bot, 100, 0)
        await asyncio.sleep(0.3)


def occasions(slack: FakeSlackServer, kind: str, channel: str = "#checkout") -> list[Message]:
    return [one for one in slack.messages(channel) if (one.metadata or {}).get("event_type") == kind]


async def changes(bot: Bot) -> list[dict[str, Any]]:
    _, log = await bot.api("GET", "audit?service=checkout")
    return [row for row in log["rows"] if row["action"] == "flag.changed"]


async def until_changed(bot: Bot, enough: Callable[[Sequence[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    return await eventually(lambda: changes(bot), enough, within_s=60)


async def approved(slack: FakeSlackServer, typed: str) -> None:
    """Request a change as dana, and approve it as sam."""
    before = len(occasions(slack, "flag_approval"))
    await slack.person("dana").says(f"/flag {typed}", "#checkout")
    await slack.until(lambda: len(occasions(slack, "flag_approval")) > before)
    await slack.person("sam").acts(occasions(slack, "flag_approval")[-1], "#checkout", "flag.approve")


def shown(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(row["actor"], row["before"]["shown"], row["after"]["shown"]) for row in rows]


@pytest.mark.timeout(120)
async def test_a_ramp_that_burns_goes_back_to_the_state_before_it(
    tmp_path: Path, slack: FakeSlackServer
) -> None:
    async with running(tmp_path, slack) as bot:
        seen: list[float] = []
        users = asyncio.create_task(application(bot, seen))
        await approved(slack, f"ramp {FLAG} 1% 5% 25% 100% every 4s the new till")
        rows = await until_changed(bot, lambda found: len(found) >= 4)
        await asyncio.sleep(5)
        users.cancel()
        assert await exposure(bot) == 0
        rows = await changes(bot)
        assert shown(rows) == [
            ("governor", "off", "1% of users"),
            ("governor", "1% of users", "5% of users"),
            ("governor", "5% of users", "25% of users"),
            ("governor", "25% of users", "off"),
        ]
        assert all(row["after"]["approved_by"] == "U0SAM" for row in rows[:3])
        assert "step 3 of 4 of the ramp asked for by U0DANA: the new till" in rows[2]["reason"]
        evidence = rows[3]["reason"]
        assert evidence.startswith("orders burns at ")
        assert "the guard is 10" in evidence
        back = occasions(slack, "flag_changed")[-1]
        assert back.text.startswith(":rewind: *25% of users → off*")
        assert evidence.rstrip(".") in back.text
        assert max(seen) <= 0.35
        assert slack.refused == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_kill_in_the_middle_of_a_step_leaves_the_flag_at_a_step_once(
    tmp_path: Path, slack: FakeSlackServer, when: str
) -> None:
    async with running(tmp_path, slack) as bot:
        await bot.kill()
        marker = tmp_path / "marker"
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.stories.child_flags", "0.05", when, str(marker),
            env=bot._environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        bot._process = child
        await bot.ready()
        users = asyncio.create_task(good_traffic(bot))
        await approved(slack, f"ramp {FLAG} 1% 5% 25% every 2s")
        async with asyncio.timeout(30):
            while not marker.exists():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.05)
        await bot.kill()
        await bot.start()
        assert await exposure(bot) in steps()
        rows = await until_changed(bot, lambda found: len(found) >= 3)
        await asyncio.sleep(3)
        users.cancel()
        assert shown(await changes(bot)) == [
            ("governor", "off", "1% of users"),
            ("governor", "1% of users", "5% of users"),
            ("governor", "5% of users", "25% of users"),
        ]
        assert len(rows) == len(occasions(slack, "flag_changed")) == 3
        assert 0.15 < await exposure(bot) < 0.35


def steps() -> list[float]:
    """Return the share of the test's users who are among those of each step."""
    places = [bucket(FLAG, f"user-{user}") for user in range(USERS)]
    return [sum(one < share for one in places) / USERS for share in (0, 0.01, 0.05, 0.25)]


@pytest.mark.timeout(120)
async def test_a_change_in_the_flag_system_before_the_approval_is_not_overwritten(
    tmp_path: Path, slack: FakeSlackServer
) -> None:
    file = tmp_path / "flags.json"
    flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    file.write_text(json.dumps({"flags": {FLAG: flag}}))
    async with running(tmp_path, slack, backend=f"{{flagd: {{file: {file}}}}}") as bot:
        await slack.person("dana").says(f"/flag rollout {FLAG} 25%", "#checkout")
        await slack.until(lambda: occasions(slack, "flag_approval"))
        theirs = json.dumps({"flags": {FLAG: flag | {"defaultVariant": "on"}}})
        file.write_text(theirs)
        (asked,) = occasions(slack, "flag_approval")
        await slack.person("sam").acts(asked, "#checkout", "flag.approve")
        await slack.until(lambda: slack.messages("#checkout")[-1].text.startswith("No longer valid:"))
        assert file.read_text() == theirs
        assert await changes(bot) == []


@pytest.mark.timeout(120)
async def test_a_frozen_service_refuses_raising_and_allows_lowering(
    tmp_path: Path, slack: FakeSlackServer
) -> None:
    async with running(tmp_path, slack) as bot:
        await approved(slack, f"rollout {FLAG} 25%")
        await until_changed(bot, lambda found: len(found) == 1)
        await slack.person("sam").says("/freeze checkout peak sale", "#releases")
        await bot.until_state("checkout", "frozen")
        await slack.person("dana").says(f"/flag rollout {FLAG} 50%", "#checkout")
        await slack.until(
            lambda: any("may not be raised" in each.text for each in slack.ephemerals("#checkout", "dana"))
        )
        await slack.person("dana").says(f"/flag rollout {FLAG} 5%", "#checkout")
        rows = await until_changed(bot, lambda found: len(found) == 2)
        assert shown(rows)[1] == ("U0DANA", "25% of users", "5% of users")


@pytest.mark.timeout(120)
async def test_on_for_a_time_goes_back_after_a_restart(tmp_path: Path, slack: FakeSlackServer) -> None:
    async with running(tmp_path, slack, staging=True) as bot:
        await slack.person("riley").says(f"/flag on {FLAG} staging for 3s a demo", "#checkout")
        await until_changed(bot, lambda found: len(found) == 1)
        assert await exposure(bot, "staging") == 1
        await bot.kill()
        await asyncio.sleep(3)
        await bot.start()
        rows = await until_changed(bot, lambda found: len(found) == 2)
        assert await exposure(bot, "staging") == 0
        assert shown(rows) == [("U0RILEY", "off", "100% of users"), ("governor", "100% of users", "off")]
        assert rows[1]["reason"] == "its time is over, as asked for by U0RILEY"
