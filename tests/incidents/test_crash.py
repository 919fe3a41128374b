"""The bot is killed, again and again, while it opens incidents on a Slack that misbehaves."""

import asyncio
import os
import random
import secrets
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import func, select

from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.sandbox.fake_slack.web_api import RecordedCall
from bot.slack.incidents.messages import CARD, NOTICE
from bot.slack.manifest import manifest
from bot.store.database import Database
from bot.store.outbox import read_backlog
from bot.store.tables.core import holds
from bot.store.tables.incidents import incident_rooms, incident_steps
from tests.support.forked import ForkedServer
from tests.support.incidents import SPEED, TOKEN
from tests.support.servers import Server, free_port

KILLS = 50
_FAULTS = {InjectedFault.RATE_LIMITED: 0.03, InjectedFault.SERVER_ERROR: 0.1, InjectedFault.CUT: 0.15}


@dataclass
class Tale:
    """The harness: a bot that dies, its database, and a Slack that lives on."""

    bot: Server
    url: str
    database: Database
    slack: FakeSlackServer
    session: aiohttp.ClientSession
    chance: random.Random
    kills: int = 0
    keys: list[str] = field(default_factory=list)
    died_before: Counter[str] = field(default_factory=Counter)
    made: int = 0

    def __post_init__(self) -> None:
        self.slack.web_api.listeners.append(self._count)

    def _count(self, _made: RecordedCall) -> None:
        self.made += 1

    async def open(self) -> None:
        """Open an incident as a machine does: the same key until there is an answer."""
        self.keys.append(f"key-{len(self.keys)}")
        made = self.made
        asking = asyncio.create_task(self._post(self.keys[-1]))
        await self._calls_since(made)
        await self._kill()
        await asking
        while self.kills < KILLS and self.chance.random() < 0.6:
            made = self.made
            await self.bot.start()
            await self._calls_since(made)
            await self._kill()
        await self.bot.start()
        await self._post(self.keys[-1])

    async def _calls_since(self, made: int) -> None:
        """Wait until Slack was called some more times since there were `made` calls, or not at all."""
        wanted = made + self.chance.randint(0, 12)
        with suppress(TimeoutError):
            await self.slack.until(lambda: self.made >= wanted, within_s=0.5)

    async def _post(self, key: str) -> None:
        body = {"title": "Checkout 500s", "severity": "sev2", "services": ["checkout"], "key": key}
        try:
            async with self.session.post(f"{self.url}/api/v1/incidents", json=body) as answer:
                assert answer.status in {200, 201}
        except aiohttp.ClientError:
            return

    async def _kill(self) -> None:
        """Kill the bot, and count which step it would have taken next."""
        await self.bot.kill()
        self.kills += 1
        query = select(incident_steps.c.name).where(incident_steps.c.state == "pending")
        async with self.database.reading() as connection:
            pending = await connection.scalar(query.order_by(incident_steps.c.id).limit(1))
        self.died_before[pending or "nothing"] += 1

    async def complete(self) -> None:
        """Wait until nothing is left to be done, and hold Slack against what must be there."""
        async with asyncio.timeout(60):
            while await self._undone():  # noqa: ASYNC110 - another process works
                await asyncio.sleep(0.05)
        channels = [one for one in self.slack.workspace.channels.values() if one.name.startswith("inc-")]
        assert len(channels) == len(self.keys), f"after {self.kills} kills"
        for channel in channels:
            assert {"U0DANA", "U0SAM"} <= set(channel.members)
            (card,) = self._told(channel.id, CARD)
            assert [ts for ts, _ in channel.pins] == [card]
            assert channel.purpose.startswith("Incident ")
        assert len({channel.purpose for channel in channels}) == len(channels)
        assert len(self._told("#incidents", NOTICE)) == len(self.keys)
        async with self.database.reading() as connection:
            rooms = await connection.scalar(select(func.count()).select_from(incident_rooms))
            placed = await connection.scalar(select(func.count()).select_from(holds))
        assert (rooms, placed) == (len(self.keys), len(self.keys))

    async def _undone(self) -> bool:
        query = select(func.count()).where(incident_steps.c.state == "pending")
        async with self.database.reading() as connection:
            backlog = await read_backlog(connection)
            return bool(await connection.scalar(query)) or bool(backlog.channels)

    def _told(self, channel: str, kind: str) -> list[str]:
        messages = self.slack.messages(channel)
        return [one.ts for one in messages if (one.metadata or {}).get("event_type") == kind]


@pytest.mark.timeout(420)
async def test_fifty_kills_leave_one_complete_incident_each(tmp_path: Path) -> None:
    seed = int(os.environ.get("CRASH_SEED", secrets.randbits(32)))
    print(f"CRASH_SEED={seed}")  # noqa: T201 - pytest shows it when the test fails
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    database_url = f"sqlite+aiosqlite:///{tmp_path}/governor.db"
    async with (
        Database(database_url) as database,
        FakeSlackServer(
            manifest=manifest("https://governor.example"), wall=lambda: time.time() * SPEED
        ) as slack,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session,
    ):
        slack.faults.change({"seed": seed} | {str(fault): share for fault, share in _FAULTS.items()})

        async def is_up() -> bool:
            try:
                async with session.get(f"{url}/readyz") as answer:
                    return answer.status == 200
            except aiohttp.ClientError:
                return False

        arguments = [database_url, slack.api_url, slack.bot_token, str(port)]
        bot = ForkedServer("tests.incidents.child", arguments, tmp_path, is_up)
        chance = random.Random(seed)  # noqa: S311 - reproducible
        tale = Tale(bot, url, database, slack, session, chance)
        await bot.start()
        while tale.kills < KILLS:
            await tale.open()
            await tale.complete()
        await bot.kill()
        print(f"{len(tale.keys)} incidents; died before {dict(tale.died_before)}")  # noqa: T201 - shown by -s
        assert len(tale.died_before) > 2, "the kills came at too few moments to prove anything"
