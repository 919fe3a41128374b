"""Three replicas, each a process of its own, on one PostgreSQL: holds, and how busy their common turn is."""

import asyncio
import re
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.sandbox.fake_slack.request_sender import ACK_S
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.sandbox.fake_slack.workspace import BOT_USER_ID
from bot.slack.manifest import manifest
from tests.support.running import Bot, running_governor
from tests.support.servers import PostgreSQL, running_postgresql

REPLICAS = 3
HOLDS = 200
_HOLD_EVERY_S = 0.7
_PATIENCE_S = 120.0
_TICKS = 3
_EVERY_S = 60.0
_CROSSING_SHARE = 0.02
_AT_ONCE = 1_000
_TURN = re.compile(r'^governor_database_turn_seconds_total\{what="(\w+)"\} (\S+)$', re.MULTILINE)


@dataclass
class Replicas:
    """What runs."""

    bots: Sequence[Bot]
    slack: FakeSlackServer
    postgresql: PostgreSQL
    database: str


@dataclass(frozen=True, slots=True)
class Announced:
    """Seconds from before a command that holds a service was sent until its post arrived in Slack."""

    took_s: Sequence[float]
    lost: int

    @property
    def p50_s(self) -> float:
        """The median."""
        return statistics.median(self.took_s)

    @property
    def p99_s(self) -> float:
        """The slowest of a hundred."""
        return statistics.quantiles(self.took_s, n=100, method="inclusive")[98]


@dataclass(frozen=True, slots=True)
class Turns:
    """How long transactions of all replicas had their turn, and waited for it, in so many seconds.

    `frozen` is how many services the budgets froze meanwhile.
    """

    seconds: float
    held_s: float
    waited_s: float
    frozen: int

    @property
    def busy(self) -> float:
        """The share of the time in which some transaction had its turn."""
        return self.held_s / self.seconds


def shop(services: int, slos: int, *, every: str, objective: float = 99.0) -> str:
    """Write policies of so many services in channels of their own, each with so many SLOs."""
    head = f"""apiVersion: governor/v1
kind: Workspace
metadata: {{name: acme}}
spec:
  channels: {{announcements: "#releases"}}
  evaluateEvery: {every}
  permissions: {{freeze: everyone, incidents: everyone}}"""
    return "\n---\n".join([head, *(_service(number, slos, objective) for number in range(services))])


def _service(number: int, slos: int, objective: float) -> str:
    promised = ", ".join(
        f"{{name: slo-{each}, objective: {objective}, window: 7d, sli: {{events: {{}}}}}}"
        for each in range(slos)
    )
    return f"""apiVersion: governor/v1
kind: Service
metadata: {{name: service-{number}}}
spec:
  channel: "#service-{number}"
  slos: [{promised}]"""


@asynccontextmanager
async def running_replicas(
    folder: Path,
    policies: str,
    services: int,
    *,
    modules: Sequence[Sequence[str]] = (("bot",),) * REPLICAS,
    ack_s: float = ACK_S,
) -> AsyncIterator[Replicas]:
    """Start PostgreSQL, a Slack with a channel for each service, and a replica for each of the modules.

    Slack waits `ack_s` for the answer to a command.
    """
    (folder / "policies").mkdir(parents=True)
    (folder / "policies" / "all.yaml").write_text(policies)
    async with (
        running_postgresql() as postgresql,
        FakeSlackServer(manifest=manifest("https://bench.example"), ack_s=ack_s) as slack,
        AsyncExitStack() as stack,
    ):
        for number in range(services):
            slack.workspace.create_channel(f"service-{number}", BOT_USER_ID)
        database = await postgresql.new_database()
        starting = []
        for number, module in enumerate(modules):
            home = folder / f"replica-{number}"
            home.mkdir()
            running = running_governor(
                policies=folder / "policies",
                slack=slack,
                folder=home,
                module=module,
                DATABASE_URL=database,
                LOG_LEVEL="error",
            )
            starting.append(stack.enter_async_context(running))
        bots = await asyncio.gather(*starting)
        yield Replicas(bots, slack, postgresql, database)


async def announce(folder: Path, holds: int = HOLDS) -> Announced:
    """Hold services by commands to the first replica, and time the posts that any replica makes."""
    async with running_replicas(folder / "announce", shop(holds, 1, every="60s"), holds) as replicas:
        replicas.slack.bot_url = replicas.bots[0].url
        await asyncio.sleep(5)
        tasks = []
        for number in range(holds):
            tasks.append(asyncio.create_task(_hold(replicas, number)))
            await asyncio.sleep(_HOLD_EVERY_S)
        took = await asyncio.gather(*tasks)
    return Announced([each for each in took if each is not None], took.count(None))


async def _hold(replicas: Replicas, number: int) -> float | None:
    """Hold one service; return the seconds until its channel was told, None if it was not."""
    channel, sam = f"#service-{number}", replicas.slack.person("sam")
    began = time.perf_counter()
    told = asyncio.create_task(
        replicas.slack.until(lambda: replicas.slack.messages(channel), within_s=_PATIENCE_S)
    )
    try:
        await sam.says(f"/freeze service-{number} to be sure", channel)
        await told
    except TimeoutError:
        return None
    return time.perf_counter() - began


async def turns(folder: Path, services: int, slos: int) -> Turns:
    """Evaluate so many SLOs once a minute, some crossing their budgets' ends, and add up the turns."""
    each = max(1, slos // services)
    policies = shop(services, each, every=f"{_EVERY_S:g}s")
    async with running_replicas(folder / "turns", policies, services) as replicas:
        await _push(replicas, [(number, slo, 10_000, 1) for number in range(services) for slo in range(each)])
        # The first evaluation notes every service.
        await asyncio.sleep(_EVERY_S - time.time() % _EVERY_S + _EVERY_S / 2)
        before, began = await _seconds(replicas), time.perf_counter()
        crossing = max(1, round(services * _CROSSING_SHARE))
        for tick in range(_TICKS):
            first = tick * crossing
            await _push(replicas, [(number, 0, 0, 1_000) for number in range(first, first + crossing)])
            await asyncio.sleep(_EVERY_S * (tick + 1) - (time.perf_counter() - began))
        after, seconds = await _seconds(replicas), time.perf_counter() - began
        held_s, waited_s = (after[what] - before[what] for what in ("held", "waited"))
        return Turns(seconds, held_s, waited_s, crossing * _TICKS)


async def _push(replicas: Replicas, counts: Sequence[tuple[int, int, int, int]]) -> None:
    events = [
        {"service": f"service-{number}", "slo": f"slo-{slo}", "good": good, "bad": bad}
        for number, slo, good, bad in counts
    ]
    for at in range(0, len(events), _AT_ONCE):
        bot = replicas.bots[at // _AT_ONCE % len(replicas.bots)]
        status, answer = await bot.api("POST", "events", json=events[at : at + _AT_ONCE])
        assert status == 202, answer


async def _seconds(replicas: Replicas) -> dict[str, float]:
    """Return the seconds that all replicas have counted of their turns."""
    counted = defaultdict[str, float](float)
    for bot in replicas.bots:
        for what, value in _TURN.findall(await bot.text("/metrics")):
            counted[what] += float(value)
    return counted
