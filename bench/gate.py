"""How many questions the gate answers a second on one core, while all budgets are evaluated."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.ack import shop
from bench.load import Timing, timing_of
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.manifest import manifest
from tests.support.running import running_governor

TOKEN = "tok-of-the-bench"
RATE, SECONDS = 1_000.0, 20.0
CONNECTIONS = 32
_EVALUATE_EVERY = "5s"
_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class GateTimings:
    """One caller, a steady thousand a second, and as fast as answers come back."""

    alone: Timing
    steady: Timing
    saturated: Timing


class Caller:
    """One kept connection that asks about one service after another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, services: int) -> None:
        self._reader = reader
        self._writer = writer
        self._services = services
        self._asked = 0
        self._turn = asyncio.Lock()

    async def ask(self) -> float | None:
        """Ask once the connection is free; return the seconds from before that, None for a failure."""
        began = time.perf_counter()
        async with self._turn:
            self._asked += 1
            name = f"service-{(self._asked * 7919) % self._services}"
            self._writer.write(
                f"GET /api/v1/gate/{name}?change=PR-{self._asked} HTTP/1.1\r\nHost: bench\r\n"
                f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
            )
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await self._reader.readexactly(int(length))
        return time.perf_counter() - began if head.startswith(b"HTTP/1.1 200") else None


@asynccontextmanager
async def callers(port: int, number: int, services: int) -> AsyncIterator[list[Caller]]:
    """Open so many connections that ask about so many services."""
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(number)]
    try:
        yield [Caller(reader, writer, services) for reader, writer in opened]
    finally:
        for _, writer in opened:
            writer.close()


async def measure(folder: Path, slos: int, *, seconds: float = SECONDS) -> GateTimings:
    """Start the bot on one core with so many services, one SLO each, and ask its gate about all of them."""
    policies = folder / "gate-policies"
    policies.mkdir()
    text = shop(slos).replace(
        'announcements: "#releases"}', f'announcements: "#releases"}}, evaluateEvery: {_EVALUATE_EVERY}'
    )
    (policies / "all.yaml").write_text(text)
    home = folder / "gate"
    home.mkdir()
    cores = sorted(os.sched_getaffinity(0))
    async with FakeSlackServer(manifest=manifest("https://bench.example")) as slack:
        running = running_governor(
            policies=policies, slack=slack, folder=home, LOG_LEVEL="error", GOVERNOR_API_TOKEN=TOKEN
        )
        async with running as bot:
            _pin(bot.pid, cores[0])
            port = int(bot.url.rpartition(":")[2])
            async with callers(port, CONNECTIONS, slos) as opened:
                await _until_measured(opened[0], slos)
                return GateTimings(
                    await _loops(opened[:1], seconds / 4),
                    await steady(opened, seconds, RATE),
                    await _loops(opened, seconds / 4),
                )


def _pin(process: int, core: int) -> None:
    """Have all threads of a process run on one core."""
    for thread in Path(f"/proc/{process}/task").iterdir():
        # A connection to the database that is no longer needed ends with its thread.
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), {core})


async def _until_measured(caller: Caller, slos: int) -> None:
    """Ask about all services until each has been evaluated."""
    while None in [await caller.ask() for _ in range(slos)]:  # noqa: ASYNC110 - it is another process
        await asyncio.sleep(_RETRY_S)


async def steady(opened: Sequence[Caller], seconds: float, rate: float) -> Timing:
    """Ask at a steady rate, whether or not answers come back in time."""
    began, tasks = time.perf_counter(), []
    for number in range(round(rate * seconds)):
        due = began + number / rate
        if due > time.perf_counter():
            await asyncio.sleep(due - time.perf_counter())
        tasks.append(asyncio.create_task(opened[number % len(opened)].ask()))
    return timing_of(await asyncio.gather(*tasks), time.perf_counter() - began)


async def _loops(opened: Sequence[Caller], seconds: float) -> Timing:
    began = time.perf_counter()
    took: list[float | None] = []

    async def loop(caller: Caller) -> None:
        while time.perf_counter() - began < seconds:
            took.append(await caller.ask())

    await asyncio.gather(*map(loop, opened))
    return timing_of(took, time.perf_counter() - began)
