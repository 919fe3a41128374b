"""The whole loop without a monitoring system: pushed events, a freeze, a verdict, a recovery."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.sandbox.server import SandboxServer
from bot.slack.manifest import manifest
from tests.running import Bot, running_governor

POLICIES = """
apiVersion: governor/v1
kind: Workspace
metadata: {name: acme}
spec:
  channels: {announcements: "#releases"}
  evaluateEvery: 1s
  permissions: {freeze: ["@sre"]}
---
apiVersion: governor/v1
kind: ErrorBudgetPolicy
metadata: {name: standard}
spec: {freezeAt: 0%, unfreezeAt: 10%, dwell: 2s, burnAlerts: [], exemptions: [P0, security]}
---
apiVersion: governor/v1
kind: Service
metadata: {name: checkout}
spec:
  description: Takes the customer's money.
  channel: "#checkout"
  teams: {development: "@checkout-devs", reliability: "@sre"}
  errorBudgetPolicy: standard
  slos:
    - {name: orders, objective: 99, window: 7d, sli: {events: {}}}
"""


@pytest.fixture
async def slack() -> AsyncIterator[SandboxServer]:
    async with SandboxServer(manifest=manifest("https://governor.example")) as slack:
        yield slack


@pytest.fixture
async def bot(tmp_path: Path, slack: SandboxServer) -> AsyncIterator[Bot]:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "all.yaml").write_text(POLICIES)
    async with running_governor(policies=policies, slack=slack, folder=tmp_path) as bot:
        yield bot


async def push(bot: Bot, good: int, bad: int, ago: timedelta = timedelta()) -> None:
    at = (datetime.now(UTC) - ago).isoformat()
    event = {"service": "checkout", "slo": "orders", "good": good, "bad": bad, "at": at}
    assert await bot.api("POST", "events", json=event) == (202, {"accepted": 1, "duplicates": 0})


def told(slack: SandboxServer, channel: str, kind: str) -> int:
    return sum((m.metadata or {}).get("event_type") == kind for m in slack.messages(channel))


async def test_a_spent_budget_freezes_and_a_recovered_one_opens(bot: Bot, slack: SandboxServer) -> None:
    await push(bot, 990, 0)
    assert (await bot.state("checkout"))["state"] == "open"
    await push(bot, 0, 20)
    await bot.until_state("checkout", "frozen")
    await slack.until(lambda: told(slack, "#releases", "service_frozen"))
    assert (await bot.api("GET", "gate/checkout"))[1]["allow"] is False
    await push(bot, 10_000, 0)
    await bot.until_state("checkout", "open")
    await slack.until(lambda: told(slack, "#releases", "service_open"))
    for channel in ("#checkout", "#releases"):
        assert [told(slack, channel, kind) for kind in ("service_frozen", "service_open")] == [1, 1]
    assert slack.refused == []
    assert await bot.terminate() == 0


async def test_people_freeze_ask_and_lift_in_slack(bot: Bot, slack: SandboxServer) -> None:
    sre = slack.person("sam")
    await sre.says("/freeze checkout for 2h database migration", "#releases")
    await bot.until_state("checkout", "frozen")
    await sre.says("/ship checkout", "#checkout")
    answer = (await slack.until(lambda: slack.ephemerals("#checkout", "sam")))[-1]
    assert "database migration" in answer.text
    await sre.says("/freeze lift checkout all is well", "#checkout")
    await bot.until_state("checkout", "open")
    _, log = await bot.api("GET", "audit?service=checkout")
    assert [(row["actor"], row["action"]) for row in log["rows"]] == [
        (sre.id, "hold.placed"),
        (sre.id, "hold.lifted"),
    ]
    await slack.until(lambda: told(slack, "#releases", "hold_lifted"))
    assert slack.refused == []
