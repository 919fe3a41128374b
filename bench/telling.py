"""How quickly things are told: a policy change that freezes hundreds, what else is told, one crossing.

The stand-in holds to Slack's limits: a message a second and channel, and 300 a minute in all.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.sandbox.fake_slack.model import Message
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.sandbox.fake_slack.slack_facts import CALLS_A_MINUTE
from bot.sandbox.fake_slack.workspace import BOT_USER_ID
from bot.slack.manifest import manifest
from tests.support.running import Bot, running_governor

EVERY_S = 5.0
CROSSINGS = 8
_A_MINUTE = CALLS_A_MINUTE[0]
_ASK_EVERY_S = 15.0
_PATIENCE_S = 120.0
_FREEZE, _INCIDENT, _ANSWER = "a freeze in another channel", "an incident's notice", "a command's answer"


@dataclass(frozen=True, slots=True)
class FanOut:
    """Seconds from the first freeze told to the last, and those that Slack's rates ask for at least.

    `announced` is in how many messages the announcements channel was told, `slowest_s` how long the slowest
    of `others` other messages and answers took meanwhile; `throttled` how often Slack said 429.
    """

    told_s: float
    permitted_s: float
    announced: int
    announced_s: float
    slowest_s: dict[str, float]
    throttled: int


def shop(services: int, objective: float) -> str:
    """Write policies of so many services in channels of their own, and of #checkout."""
    documents = [
        f"""apiVersion: governor/v1
kind: Workspace
metadata: {{name: acme}}
spec:
  channels: {{announcements: "#releases", incidents: "#incidents"}}
  evaluateEvery: {EVERY_S:g}s
  permissions: {{freeze: everyone, incidents: everyone}}""",
        _service("checkout", 90),
        *(_service(f"service-{number}", objective) for number in range(services)),
    ]
    return "\n---\n".join(documents)


def _service(name: str, objective: float) -> str:
    return f"""apiVersion: governor/v1
kind: Service
metadata: {{name: {name}}}
spec:
  channel: "#{name}"
  slos: [{{name: orders, objective: {objective}, window: 30d, sli: {{events: {{}}}}}}]"""


@dataclass
class Stage:
    """A bot, its Slack, and when each message was seen there first."""

    bot: Bot
    slack: FakeSlackServer
    policies: Path
    seen_at: dict[str, float] = field(default_factory=dict)

    async def push(self, service: str, good: int, bad: int) -> None:
        """Count events of a service."""
        event = {"service": service, "slo": "orders", "good": good, "bad": bad}
        status, answer = await self.bot.api("POST", "events", json=[event])
        assert status == 202, answer

    def frozen(self, channel: str) -> list[Message]:
        """Return the messages of a channel that tell of freezes by the budget."""
        return [
            one for one in self.slack.messages(channel) if _kind(one) in {"service_frozen", "several_changes"}
        ]

    async def slowly(self, condition: Callable[[], Any], within_s: float) -> float:
        """Wait for what the stand-in shows, and return how many seconds it took."""
        began = time.perf_counter()
        await self.slack.until(condition, within_s=within_s)
        return time.perf_counter() - began


def _kind(message: Message) -> object:
    return (message.metadata or {}).get("event_type")


async def fan_out(folder: Path, services: int) -> FanOut:
    """Freeze so many services by one change of a policy, and talk to the bot meanwhile."""
    policies = folder / "fan-out"
    policies.mkdir()
    (policies / "all.yaml").write_text(shop(services, 90))
    names = [f"service-{number}" for number in range(services)]
    async with FakeSlackServer(manifest=manifest("https://bench.example")) as slack:
        rooms = [slack.workspace.create_channel(name, BOT_USER_ID) for name in names]
        running = running_governor(policies=policies, slack=slack, folder=folder, LOG_LEVEL="error")
        async with running as bot:
            stage = Stage(bot, slack, policies)
            events = [
                {"service": name, "slo": "orders", "good": 980, "bad": 20} for name in [*names, "checkout"]
            ]
            status, answer = await bot.api("POST", "events", json=events)
            assert status == 202, answer
            await asyncio.sleep(2 * EVERY_S)
            (policies / "all.yaml").write_text(shop(services, 99.9))
            # Nothing but its freeze is said in a service's channel.
            await slack.until(lambda: any(room.messages for room in rooms), within_s=120)
            began = time.perf_counter()
            talking = asyncio.create_task(_talk(stage))
            announced = asyncio.create_task(stage.slowly(lambda: _lines(stage) >= services, within_s=900))
            await slack.until(lambda: all(room.messages for room in rooms), within_s=900)
            told_s = time.perf_counter() - began
            announced_s = await announced
            talking.cancel()
            (slowest,) = await asyncio.gather(talking, return_exceptions=True)
            assert isinstance(slowest, dict), slowest
            throttled = sum(made.answer.get("error") == "ratelimited" for made in slack.calls)
            # A burst of a minute's messages, then the next minute's.
            permitted_s = (services - 1) // _A_MINUTE * 60.0
            return FanOut(
                told_s, permitted_s, len(stage.frozen("#releases")), announced_s, slowest, throttled
            )


def _lines(stage: Stage) -> int:
    """Return how many freezes the announcements channel has been told."""
    payloads = [(one.metadata or {}).get("event_payload", {}) for one in stage.frozen("#releases")]
    return sum(len(payload.get("keys", (payload,))) for payload in payloads)


async def _talk(stage: Stage) -> dict[str, float]:
    """Freeze, lift, ask and open incidents until cancelled; return how long the slowest of each took."""
    slowest = dict.fromkeys((_FREEZE, _INCIDENT, _ANSWER), 0.0)
    slack, sam, number = stage.slack, stage.slack.person("sam"), 0

    async def shown(what: str, count: Callable[[], int], deed: Awaitable[object]) -> None:
        """Do it, and note how long it took until one message more was there."""
        before, began = count(), time.perf_counter()
        await deed
        await stage.slack.until(lambda: count() > before, within_s=_PATIENCE_S)
        slowest[what] = max(slowest[what], time.perf_counter() - began)

    try:
        while True:
            number += 1
            words = "/freeze checkout to be sure" if number % 2 else "/freeze lift checkout"
            body = {
                "title": f"Outage {number}",
                "severity": "sev4",
                "services": ["checkout"],
                "key": f"{number}",
            }
            await shown(_FREEZE, lambda: len(slack.messages("#checkout")), sam.says(words, "#checkout"))
            await shown(
                _INCIDENT,
                lambda: len(slack.messages("#incidents")),
                stage.bot.api("POST", "incidents", json=body),
            )
            await shown(
                _ANSWER,
                lambda: len(slack.ephemerals("#checkout", "sam")),
                sam.says("/budget checkout", "#checkout"),
            )
            await asyncio.sleep(_ASK_EVERY_S)
    except asyncio.CancelledError:
        return slowest


async def crossing(folder: Path) -> float:
    """Return the seconds from the events that overspend a budget to the message, the worst of several."""
    policies = folder / "crossing"
    policies.mkdir()
    (policies / "all.yaml").write_text(shop(CROSSINGS, 99))
    home = folder / "crossing-home"
    home.mkdir()
    async with FakeSlackServer(manifest=manifest("https://bench.example")) as slack:
        for number in range(CROSSINGS):
            slack.workspace.create_channel(f"service-{number}", BOT_USER_ID)
        running = running_governor(policies=policies, slack=slack, folder=home, LOG_LEVEL="error")
        async with running as bot:
            stage, took = Stage(bot, slack, policies), []
            for number in range(CROSSINGS):
                await stage.push(f"service-{number}", 1_000, 0)
                # Anywhere between two ticks.
                await asyncio.sleep(EVERY_S + EVERY_S * number / CROSSINGS)
                channel, began = f"#service-{number}", time.perf_counter()
                await stage.push(f"service-{number}", 0, 100)
                await slack.until(lambda told=channel: stage.frozen(told), within_s=60)  # type: ignore[misc]
                took.append(time.perf_counter() - began)
            return max(took)
