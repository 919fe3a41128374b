"""Seeded faults for replicas, their database, their Slack, their source and their policies.

The order of faults is the seed's; their moments are the machine's, so a seed brings the same play, and
nearly the same story.
"""

import asyncio
import random
import resource
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from bot.sandbox.fake_slack.fault_injection import InjectedFault
from tests.stories.cluster import SERVICES, Cluster
from tests.stories.hostile_requests import hold_half_open, peak_memory_mb, send_bombs
from tests.support.running import API_TOKEN

HALF_OPEN = 1_100
"""How many half-open requests a flood has: more than a process may have files in these runs."""
OPEN_FILES = 1_024
MOST_MEMORY_MB = 600
_AILING = {
    InjectedFault.RATE_LIMITED: 0.1,
    InjectedFault.SERVER_ERROR: 0.25,
    InjectedFault.CUT: 0.25,
    InjectedFault.SLOW: 0.1,
}


class Chaos:
    """Injects faults; each is undone after a while."""

    def __init__(self, cluster: Cluster, chance: random.Random) -> None:
        self._cluster = cluster
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
            (3, "Slack answering nonsense", self._answer_nonsense),
            (3, "source answering nonsense", self._falsify_source),
            (3, "service gone from the policies", self._remove_service),
            (1, "half-open flood", self._flood),
            (1, "gzip bombs", self._bomb),
        )

    async def run(self, seconds: float) -> None:
        """Inject faults for that long, then undo those that are left."""
        weights, names, _ = zip(*self._play, strict=True)
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(self._chance.uniform(0.2, 1.2))
            (name,) = self._chance.choices(names, weights)
            self._cluster.faults[name] += 1
            await next(fault for _, known, fault in self._play if known == name)()
        while self._cluster.healing:
            await asyncio.gather(*self._cluster.healing)
        for replica in self._cluster.replicas:
            replica.wake()
        await self.keep_running()
        for replica in self._cluster.replicas:
            await replica.ready()

    async def keep_running(self) -> None:
        """Restart replicas that have ended, as an orchestrator would."""
        # Two faults that heal at once must not start one replica twice: the second could not listen.
        async with self._starting:
            for replica in self._cluster.replicas:
                if not replica.is_running:
                    await replica.start(wait=False)

    async def _kill(self) -> None:
        replica = self._chance.choice(self._cluster.replicas)
        await replica.kill()
        self._cluster.healing.later(self._chance.uniform(0, 2), self.keep_running)

    async def _halt(self) -> None:
        replica = self._chance.choice(self._cluster.replicas)
        replica.halt()
        long = self._chance.random() < 0.4

        async def wake() -> None:
            replica.wake()

        self._cluster.healing.later(
            self._chance.uniform(8, 12) if long else self._chance.uniform(0.3, 3), wake
        )

    async def _restart_database(self) -> None:
        await self._cluster.postgresql.kill()
        await asyncio.sleep(self._chance.uniform(0, 1.5))
        await self._cluster.postgresql.start()
        await self.keep_running()

    async def _cut_connections(self) -> None:
        await self._cluster.postgresql.cut_connections()

    async def _ail(self) -> None:
        self._ailing += 1
        self._cluster.slack.faults.change({str(fault): share for fault, share in _AILING.items()})
        self._cluster.healing.later(self._chance.uniform(1, 4), self._recover)

    async def _set_clock(self) -> None:
        """Set one replica's clock forward or back by minutes or hours; it may stay so for a while."""
        file = self._chance.choice(self._cluster.clocks)
        minutes = self._chance.choice([1, 4, 6, 30, 90, 600]) * self._chance.choice([-1, 1])
        file.write_text(str(60.0 * minutes))

        async def set_right() -> None:
            file.write_text("0")

        self._cluster.healing.later(self._chance.uniform(1, 15), set_right)

    async def _slow_down(self) -> None:
        self._ailing += 1
        self._cluster.slack.faults.change(
            {str(InjectedFault.SLOW): 0.8, "slow_s": self._chance.uniform(1, 4)}
        )
        self._cluster.healing.later(self._chance.uniform(2, 5), self._recover)

    async def _answer_nonsense(self) -> None:
        self._ailing += 1
        self._cluster.slack.faults.change({str(InjectedFault.NONSENSE): self._chance.choice([0.3, 1.0])})
        self._cluster.healing.later(self._chance.uniform(1, 4), self._recover)

    async def _recover(self) -> None:
        self._ailing -= 1
        if not self._ailing:
            self._cluster.slack.faults.clear()

    async def _lose_source(self) -> None:
        self._cluster.prometheus.pause()

        async def return_() -> None:
            self._cluster.prometheus.resume()

        self._cluster.healing.later(self._chance.uniform(1, 4), return_)

    async def _falsify_source(self) -> None:
        self._cluster.nonsense[self._cluster.source.answer_nonsense()] += 1

        async def answer_truly() -> None:
            self._cluster.source.answer_truly()

        self._cluster.healing.later(self._chance.uniform(1, 4), answer_truly)

    async def _remove_service(self) -> None:
        self._cluster.policies.remove(self._chance.choice(SERVICES))

        async def put_back() -> None:
            self._cluster.policies.put_back()

        self._cluster.healing.later(self._chance.uniform(2, 8), put_back)

    async def _flood(self) -> None:
        replica = self._chance.choice(self._cluster.replicas)

        async def flood() -> None:
            if replica.is_running:
                with suppress(ProcessLookupError):
                    resource.prlimit(replica.pid, resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
            await hold_half_open(replica.url, HALF_OPEN, self._chance.uniform(2, 8))

        self._cluster.healing.later(0, flood)

    async def _bomb(self) -> None:
        replica = self._chance.choice(self._cluster.replicas)

        async def bomb() -> None:
            self._cluster.unanswered += await send_bombs(
                replica.url, {"Authorization": f"Bearer {API_TOKEN}"}
            )
            if replica.is_running:
                peak = peak_memory_mb(replica.pid)
                if peak > MOST_MEMORY_MB:
                    self._cluster.unanswered.append(f"a replica took {peak:.0f} MB")

        self._cluster.healing.later(0, bomb)
