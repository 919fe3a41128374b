"""Seeded faults for replicas, their database, their Slack and their source, played while people work.

The order of faults and deeds is the seed's; their moments are the machine's, so a seed brings the same
play, and nearly the same story.
"""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import asyncpg  # type: ignore[import-untyped] # it ships none

from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.sandbox.fake_slack.server import FakeSlackServer
from tests.stories.balancer import Balancer
from tests.support.running import API_TOKEN, Bot
from tests.support.servers import Exporter, PostgreSQL, Prometheus

PUSHED = ("checkout", "payments")
MEASURED = "search"
SERVICES = (*PUSHED, MEASURED)
FLAGS = ("new-checkout", "new-search")
"""Flags that people change meanwhile, one of a service that counts events and one of the measured one."""
_TOKEN = {"Authorization": f"Bearer {API_TOKEN}"}
_AILING = {
    InjectedFault.RATE_LIMITED: 0.1,
    InjectedFault.SERVER_ERROR: 0.25,
    InjectedFault.CUT: 0.25,
    InjectedFault.SLOW: 0.1,
}


@dataclass
class Cluster:
    """Everything that faults and requests act on."""

    replicas: Sequence[Bot]
    postgresql: PostgreSQL
    database: str
    slack: FakeSlackServer
    prometheus: Prometheus
    exporter: Exporter
    balancer: Balancer
    clocks: Sequence[Path]
    """Files that say how many seconds each replica's clock is off."""
    faults: Counter[str] = field(default_factory=Counter)
    deeds: Counter[str] = field(default_factory=Counter)
    unanswered: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    pushed: Counter[str] = field(default_factory=Counter)
    healing: set[asyncio.Task[None]] = field(default_factory=set)

    def later(self, seconds: float, heal: Callable[[], Awaitable[None]]) -> None:
        """Undo a fault after a while."""

        async def wait() -> None:
            await asyncio.sleep(seconds)
            await heal()

        task = asyncio.create_task(wait())
        self.healing.add(task)
        task.add_done_callback(self.healing.discard)


class Chaos:
    """Injects faults; each is undone after a while."""

    def __init__(self, cluster: Cluster, chance: random.Random) -> None:
        self._stage = cluster
        self._chance = chance
        self._ailing = 0
        self._starting = asyncio.Lock()
        self._play: Sequence[tuple[float, str, Callable[[], Awaitable[None]]]] = (
            (5, "replica killed", self._kill),
            (4, "replica halted", self._halt),
            (1, "database restarted", self._restart_database),
            (3, "connections cut", self._cut_connections),
            (4, "Slack ailing", self._ail),
            (2, "source gone", self._lose_source),
            (4, "clock set", self._set_clock),
            (2, "Slack slow", self._slow_down),
        )

    async def run(self, seconds: float) -> None:
        """Inject faults for that long, then undo those that are left."""
        weights, names, _ = zip(*self._play, strict=True)
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(self._chance.uniform(0.2, 1.2))
            (name,) = self._chance.choices(names, weights)
            self._stage.faults[name] += 1
            await next(fault for _, known, fault in self._play if known == name)()
        while self._stage.healing:
            await asyncio.gather(*self._stage.healing)
        for replica in self._stage.replicas:
            replica.wake()
        await self.keep_running()
        for replica in self._stage.replicas:
            await replica.ready()

    async def keep_running(self) -> None:
        """Restart replicas that have ended, as an orchestrator would."""
        # Two faults that heal at once must not start one replica twice: the second could not listen.
        async with self._starting:
            for replica in self._stage.replicas:
                if not replica.is_running:
                    await replica.start(wait=False)

    async def _kill(self) -> None:
        replica = self._chance.choice(self._stage.replicas)
        await replica.kill()
        self._stage.later(self._chance.uniform(0, 2), self.keep_running)

    async def _halt(self) -> None:
        replica = self._chance.choice(self._stage.replicas)
        replica.halt()
        long = self._chance.random() < 0.4

        async def wake() -> None:
            replica.wake()

        self._stage.later(self._chance.uniform(8, 12) if long else self._chance.uniform(0.3, 3), wake)

    async def _restart_database(self) -> None:
        await self._stage.postgresql.kill()
        await asyncio.sleep(self._chance.uniform(0, 1.5))
        await self._stage.postgresql.start()
        await self.keep_running()

    async def _cut_connections(self) -> None:
        with suppress(OSError, TimeoutError, asyncpg.PostgresError):
            connection = await self._stage.postgresql.connect()
            try:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'governor' AND hashint4(pid) % 2 = 0"
                )
            finally:
                await connection.close()

    async def _ail(self) -> None:
        self._ailing += 1
        self._stage.slack.faults.change({str(fault): share for fault, share in _AILING.items()})
        self._stage.later(self._chance.uniform(1, 4), self._recover)

    async def _set_clock(self) -> None:
        """Set one replica's clock forward or back by minutes or hours; it may stay so for a while."""
        file = self._chance.choice(self._stage.clocks)
        minutes = self._chance.choice([1, 4, 6, 30, 90, 600]) * self._chance.choice([-1, 1])
        file.write_text(str(60.0 * minutes))

        async def set_right() -> None:
            file.write_text("0")

        self._stage.later(self._chance.uniform(1, 15), set_right)

    async def _slow_down(self) -> None:
        self._ailing += 1
        self._stage.slack.faults.change({str(InjectedFault.SLOW): 0.8, "slow_s": self._chance.uniform(1, 4)})
        self._stage.later(self._chance.uniform(2, 5), self._recover)

    async def _recover(self) -> None:
        self._ailing -= 1
        if not self._ailing:
            self._stage.slack.faults.clear()

    async def _lose_source(self) -> None:
        self._stage.prometheus.pause()

        async def return_() -> None:
            self._stage.prometheus.resume()

        self._stage.later(self._chance.uniform(1, 4), return_)


class People:
    """The load meanwhile: people freeze, lift and ask; programs push events."""

    def __init__(self, cluster: Cluster, chance: random.Random) -> None:
        self._stage = cluster
        self._chance = chance
        self.is_over = asyncio.Event()

    async def run(self) -> None:
        """Send requests until the faults are over, and complete those that are open."""
        async with asyncio.TaskGroup() as tasks:
            while not self.is_over.is_set():
                await asyncio.sleep(self._chance.uniform(0.2, 1.2))
                deed = self._chance.choices(
                    (self._type, self._toggle, self._push, self._serve, self._ask), (5, 3, 3, 2, 2)
                )[0]
                tasks.create_task(deed())

    async def _type(self) -> None:
        service = self._chance.choice(SERVICES)
        words = self._chance.choice(
            [f"/freeze {service} to be sure", f"/freeze lift {service} all is well", f"/budget {service}"]
        )
        await self._say(words, f"#{service}")

    async def _toggle(self) -> None:
        """Change a flag, at once or in steps, or revert the last change."""
        flag = self._chance.choice(FLAGS)
        share = self._chance.choice([5, 25, 50, 100])
        words = self._chance.choice(
            [
                f"/flag rollout {flag} {share}% staging to be seen",
                f"/flag ramp {flag} 1% 5% 25% every 2s staging to be careful",
                f"/flag on {flag} staging for 3s a demo of it",
                f"/flag kill {flag} staging it smells",
                f"/flag undo {flag} staging",
            ]
        )
        await self._say(words, "#checkout")

    async def _say(self, words: str, channel: str) -> None:
        self._stage.deeds[words.split(maxsplit=1)[0]] += 1
        ack = await self._stage.slack.person("sam").says(words, channel)
        if ack is None or ack.error is not None:
            self._stage.unanswered.append(f"{words}: {ack}")

    async def _ask(self) -> None:
        """Ask the gate, as a pipeline does before it ships."""
        service = self._chance.choice(SERVICES)
        self._stage.deeds["gate"] += 1
        async with aiohttp.ClientSession(headers=_TOKEN) as session:
            await self._call(session, "GET", f"gate/{service}")

    async def _call(
        self, session: aiohttp.ClientSession, method: str, path: str, body: object = None
    ) -> bool:
        """Call the API; return whether it succeeded, and record where nobody answered."""
        began = asyncio.get_running_loop().time()
        url = f"{self._stage.balancer.url}/api/v1/{path}"
        async with session.request(method, url, json=body) as answer:
            text = await answer.text()
        took_s = asyncio.get_running_loop().time() - began
        self._stage.slowest_s = max(self._stage.slowest_s, took_s)
        # Out of reach of its database a replica says so at once, and the caller comes again.
        if answer.status not in {200, 202, 500, 503} or not text:
            self._stage.unanswered.append(f"{method} {path}: {answer.status} {text}")
        return answer.status in {200, 202}

    async def _push(self) -> None:
        """Push events, again with the same id until they are accepted."""
        service = self._chance.choice(PUSHED)
        good, bad = self._chance.choice([(0, 40), (2_000, 0), (300, 1)])
        event = {"service": service, "slo": "orders", "good": good, "bad": bad, "id": uuid.uuid4().hex}
        self._stage.pushed[f"{service} good"] += good
        self._stage.pushed[f"{service} bad"] += bad
        self._stage.deeds["push"] += 1
        async with aiohttp.ClientSession(headers=_TOKEN) as session:
            while not await self._call(session, "POST", "events", event):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.2)

    async def _serve(self) -> None:
        code, count = self._chance.choice([("500", 40), ("200", 2_000)])
        self._stage.deeds["request"] += 1
        self._stage.exporter.count("http_requests_total", count, service=MEASURED, code=code)
