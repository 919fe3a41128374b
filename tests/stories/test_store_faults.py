"""One bot on SQLite, whose disk fills, whose file goes away, is locked, and which is killed meanwhile.

What was accepted is kept and announced once; what cannot be kept is refused; `/readyz` says so.
`STORE_FAULTS_SEED` plays a run again; `CHAOS_SECONDS` makes it longer.
"""

import asyncio
import os
import random
import secrets
import sqlite3
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import select

from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.manifest import manifest
from bot.store import audit
from bot.store.audit_chain import ChainVerified, verify_chain
from bot.store.database import Database
from bot.store.tables.core import outbox
from tests.stories.conftest import POLICIES
from tests.stories.test_crash import database_in, keys_of, undone
from tests.support.running import API_TOKEN, Bot, eventually, running_governor, write_policies
from tests.support.small_disk import SmallDisk, small_disk

CHANNELS = {"#releases": ("hold.", "service."), "#checkout": ("hold.", "service.", "budget.")}
"""Which actions are announced in which channel."""
_DISK_MB = 16
_NOTICED_WITHIN_S = 60.0
_PATIENCE_S = 120.0


@dataclass
class Stage:
    """The bot, its disk and its Slack, and what happened."""

    bot: Bot
    disk: SmallDisk
    slack: FakeSlackServer
    chance: random.Random
    pushed: Counter[str] = field(default_factory=Counter)
    episodes: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def database(self) -> Path:
        """The database's file."""
        return self.disk.folder / "governor.db"


async def readiness(bot: Bot) -> int:
    """Return the status of `/readyz`; 0 while nobody answers."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        try:
            async with session.get(f"{bot.url}/readyz") as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0


class Faults:
    """Faults of the store, one after the other; each lasts until `/readyz` has said so."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def run(self, seconds: float) -> None:
        """Inject faults for that long, and each at least once."""
        until = asyncio.get_running_loop().time() + seconds
        faults: Sequence[tuple[str, Callable[[], Awaitable[None]]]] = (
            ("disk full", self._fill_disk),
            ("file away", self._move_file),
            ("file replaced", self._replace_file),
            ("locked", self._lock),
            ("killed", self._kill),
            ("killed on a full disk", self._kill_on_full_disk),
        )
        waiting = list(faults)
        while waiting or asyncio.get_running_loop().time() < until:
            name, fault = waiting.pop() if waiting else self._stage.chance.choice(faults)
            self._stage.episodes[name] += 1
            await fault()
            await self._until(200)
            await asyncio.sleep(self._stage.chance.uniform(0.2, 1.5))

    async def _until(self, status: int) -> None:
        await eventually(lambda: readiness(self._stage.bot), lambda seen: seen == status, _NOTICED_WITHIN_S)

    async def _fill_disk(self) -> None:
        self._stage.disk.fill()
        await self._until(503)
        await asyncio.sleep(self._stage.chance.uniform(0, 2))
        self._stage.disk.free()

    async def _move_file(self) -> None:
        away = self._stage.database.with_suffix(".away")
        self._stage.database.rename(away)
        await self._until(503)
        await asyncio.sleep(self._stage.chance.uniform(0, 2))
        away.rename(self._stage.database)

    async def _replace_file(self) -> None:
        away = self._stage.database.with_suffix(".away")
        self._stage.database.rename(away)
        self._stage.database.touch()
        await self._until(503)
        away.replace(self._stage.database)

    async def _lock(self) -> None:
        """Hold the write lock from another process's connection, as a backup or a shell does."""
        held_s = self._stage.chance.uniform(1, 4)

        def hold() -> sqlite3.Connection:
            connection = sqlite3.connect(
                self._stage.database, timeout=30, isolation_level=None, check_same_thread=False
            )
            connection.execute("BEGIN IMMEDIATE")
            return connection

        connection = await asyncio.to_thread(hold)
        await asyncio.sleep(held_s)
        connection.execute("ROLLBACK")
        connection.close()

    async def _kill(self) -> None:
        await self._stage.bot.kill()
        await self._stage.bot.start()

    async def _kill_on_full_disk(self) -> None:
        self._stage.disk.fill()
        await self._until(503)
        await self._stage.bot.kill()
        self._stage.disk.free()
        await self._stage.bot.start()


class People:
    """The load: people freeze, lift and ask; a program pushes events."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.is_over = asyncio.Event()

    async def run(self) -> None:
        """Send requests until the faults are over, and complete those that are open."""
        async with asyncio.TaskGroup() as tasks:
            while not self.is_over.is_set():
                await asyncio.sleep(self._stage.chance.uniform(0.1, 0.5))
                tasks.create_task(self._stage.chance.choice([self._type, self._push, self._ask])())

    async def _type(self) -> None:
        words = self._stage.chance.choice(
            ["/freeze checkout to be sure", "/freeze lift checkout all is well", "/budget checkout"]
        )
        # Without an answer of a bot that is down Slack tells the person so: nothing to check here.
        ack = await self._stage.slack.person("sam").says(words, "#checkout")
        self._stage.answers["nobody answered" if ack is None or ack.error else "commands"] += 1

    async def _push(self) -> None:
        """Push events, again with the same id until they are accepted."""
        good, bad = self._stage.chance.choice([(0, 40), (2_000, 0), (300, 1)])
        event = {"service": "checkout", "slo": "orders", "good": good, "bad": bad, "id": uuid.uuid4().hex}
        self._stage.pushed.update(good=good, bad=bad)
        while await self._call("POST", "events", event) != 202:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.3)

    async def _ask(self) -> None:
        await self._call("GET", "gate/checkout")

    async def _call(self, method: str, path: str, body: object = None) -> int:
        """Return the answer's status, 0 if nobody answered; record what is no answer to be given."""
        headers = {"Authorization": f"Bearer {API_TOKEN}"}
        async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=30)) as session:
            try:
                async with session.request(
                    method, f"{self._stage.bot.url}/api/v1/{path}", json=body
                ) as answer:
                    text = await answer.text()
            except (aiohttp.ClientError, TimeoutError):
                self._stage.answers["nobody answered"] += 1
                return 0
        self._stage.answers[str(answer.status)] += 1
        if answer.status not in {200, 202, 503}:
            self._stage.wrong.append(f"{method} {path}: {answer.status} {text}")
        if answer.status == 503 and "Retry-After" not in answer.headers:
            self._stage.wrong.append(f"{method} {path}: 503 without Retry-After")
        return answer.status


async def check_announced(database: Database, slack: FakeSlackServer) -> None:
    """Assert that the log is whole, and that Slack shows what it holds: each transition once, in order."""
    async with database.reading() as connection:
        assert isinstance(await verify_chain(connection), ChainVerified)
        entries = await audit.read(connection, limit=100_000)
        # What the first message of a thread says now is no transition.
        query = select(outbox).where(outbox.c.is_edit.is_(False)).order_by(outbox.c.id)
        rows = (await connection.execute(query)).all()
    for channel, actions in CHANNELS.items():
        transitions = [
            row.at
            for row in entries
            if row.entry.service == "checkout" and row.entry.action.startswith(actions)
        ]
        own = [row for row in rows if row.channel == channel]
        assert [row.created_at for row in own] == transitions, channel
        shown = [key for message in slack.messages(channel) for key in keys_of(message)]
        assert shown == [row.key for row in own], channel


@pytest.mark.timeout(1_200)
async def test_what_is_accepted_is_kept_whatever_happens_to_the_database(tmp_path: Path) -> None:
    seed = int(os.environ.get("STORE_FAULTS_SEED", secrets.randbits(32)))
    seconds = float(os.environ.get("CHAOS_SECONDS", "15"))
    print(f"STORE_FAULTS_SEED={seed}")  # noqa: T201 - pytest shows it when the test fails
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    policies = write_policies(tmp_path, POLICIES.replace('["@sre"]', "everyone"))
    mount = tmp_path / "disk"
    mount.mkdir()
    async with (
        small_disk(mount, _DISK_MB) as disk,
        FakeSlackServer(manifest=manifest("https://governor.example"), ack_s=30) as slack,
        running_governor(
            policies=policies, slack=slack, folder=tmp_path, DATABASE_URL=database_in(disk.folder)
        ) as bot,
    ):
        stage = Stage(bot, disk, slack, chance)
        people = People(stage)
        working = asyncio.create_task(people.run())
        await Faults(stage).run(seconds)
        people.is_over.set()
        await working
        print(dict(stage.episodes), dict(stage.answers))  # noqa: T201 - shown by -s
        assert not stage.wrong
        assert stage.answers["503"], "nothing was refused: the faults did not reach the bot"
        (slo,) = (await bot.state("checkout"))["slos"]
        assert (slo["good"], slo["bad"]) == (stage.pushed["good"], stage.pushed["bad"])
        async with Database(database_in(disk.folder)) as database:
            await eventually(lambda: undone(database), lambda count: not count, _PATIENCE_S)
            await check_announced(database, slack)
