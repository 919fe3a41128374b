"""The bot is killed, again and again, while Slack misbehaves: every transition is told once, in order."""

import asyncio
import os
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import func, select

from bot.sandbox.faults import Fault
from bot.sandbox.model import Message
from bot.sandbox.server import SandboxServer
from bot.store import audit
from bot.store.database import Database
from bot.store.tables import outbox
from tests.servers import Server, free_port
from tests.slack.delivering import manifest
from tests.stories.child import ANNOUNCEMENTS, SERVICES, SPEED

KILLS = 50
_ROOT = Path(__file__).parents[2]
_FAULTS = {Fault.RATE_LIMITED: 0.03, Fault.SERVER_ERROR: 0.1, Fault.CUT: 0.15}


@dataclass(frozen=True, slots=True)
class Program:
    """The bot to be killed: how it is started, asked whether it is up, and moved to change something.

    Any program will do that announces each deed of the audit log once in the service's channel and once
    in the announcements channel.
    """

    command: Sequence[str]
    is_up: Callable[[], Awaitable[bool]]
    stir: Callable[[int], Awaitable[None]]


@dataclass
class Tale:
    """The harness: a bot that dies, its database, and a Slack that lives on."""

    bot: Server
    program: Program
    database: Database
    slack: SandboxServer
    chance: random.Random
    kills: int = 0
    left_undone: Counter[str] = field(default_factory=Counter)

    async def kill(self) -> None:
        """Kill the bot and count what it left in the outbox, by state."""
        await self.bot.kill()
        self.kills += 1
        query = select(outbox.c.state, func.count()).where(outbox.c.state.in_(["waiting", "sending"]))
        async with self.database.reading() as connection:
            for state, count in await connection.execute(query.group_by(outbox.c.state)):
                self.left_undone[state] += count

    async def die_in_the_middle(self) -> None:
        """Stir the bot and kill it at a random moment; perhaps once more while it catches up."""
        await self.program.stir(self.chance.randint(1, 8))
        await asyncio.sleep(self.chance.uniform(0, 0.5))
        await self.kill()
        while self.kills < KILLS and self.chance.random() < 0.4:
            await self.bot.start()
            await asyncio.sleep(self.chance.uniform(0, 0.3))
            await self.kill()

    async def everything_told(self) -> None:
        """Wait until the outbox is empty, and hold what Slack shows against the audit log."""
        async with asyncio.timeout(60):
            while await self._undone():  # noqa: ASYNC110 - the other process's database tells nobody
                await asyncio.sleep(0.05)
        async with self.database.reading() as connection:
            deeds = await audit.read(connection, limit=100_000)
            rows = (await connection.execute(select(outbox).order_by(outbox.c.id))).all()
        for channel in (ANNOUNCEMENTS, *(f"#{service}" for service in SERVICES)):
            decided = [deed.at for deed in deeds if channel in {ANNOUNCEMENTS, f"#{deed.entry.service}"}]
            told = [row for row in rows if row.channel == channel]
            # A deed and its messages bear the same time, for they are written in one transaction.
            assert [row.created_at for row in told] == decided, f"{channel} after {self.kills} kills"
            shown = [key_of(message) for message in self.slack.messages(channel)]
            assert shown == [row.key for row in told], f"{channel} after {self.kills} kills"

    async def _undone(self) -> int:
        query = select(func.count()).where(outbox.c.state.in_(["waiting", "sending"]))
        async with self.database.reading() as connection:
            return int((await connection.execute(query)).scalar_one())


def key_of(message: Message) -> object:
    """Answer the outbox key that a message in Slack carries."""
    return (message.metadata or {}).get("event_payload", {}).get("key")


def courier_and_freezer(database_url: str, slack: SandboxServer, session: aiohttp.ClientSession) -> Program:
    """Answer the program of `child.py`: the store, the freezer and the courier without the faces."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    async def is_up() -> bool:
        try:
            async with session.get(f"{url}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def stir(count: int) -> None:
        async with session.post(f"{url}/stir", params={"count": count}) as response:
            assert response.status == 202

    child = [sys.executable, "-m", "tests.stories.child"]
    arguments = [database_url, slack.api_url, slack.bot_token, str(port)]
    return Program(["env", f"PYTHONPATH={_ROOT}", *child, *arguments], is_up, stir)


@pytest.mark.timeout(300)
async def test_fifty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get("CRASH_SEED", secrets.randbits(32)))
    print(f"CRASH_SEED={seed}")  # noqa: T201 - pytest shows it when the test fails
    url = f"sqlite+aiosqlite:///{tmp_path}/governor.db"
    async with (
        Database(url) as database,
        SandboxServer(manifest=manifest(), wall=lambda: time.time() * SPEED) as slack,
        aiohttp.ClientSession() as session,
    ):
        slack.rates.burst = 1
        slack.faults.change({"seed": seed} | {str(fault): share for fault, share in _FAULTS.items()})
        program = courier_and_freezer(url, slack, session)
        bot = Server(program.command, tmp_path, program.is_up)
        tale = Tale(bot, program, database, slack, random.Random(seed))  # noqa: S311 - reproducible
        while tale.kills < KILLS:
            await bot.start()
            await tale.everything_told()
            await tale.die_in_the_middle()
        await bot.start()
        await tale.everything_told()
        await bot.kill()
        told = len(slack.messages(ANNOUNCEMENTS))
        print(f"{told} told; left undone by the kills: {dict(tale.left_undone)}")  # noqa: T201 - shown by -s
        assert tale.left_undone["waiting"], "no kill came between a transition and its announcement"
        assert tale.left_undone["sending"], "no kill came between a post and its answer"
