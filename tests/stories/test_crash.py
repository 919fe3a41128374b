"""The bot is killed, again and again, while Slack misbehaves: every transition is told once, in order."""

import asyncio
import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import func, select

from bot.sandbox.fake_slack.fault_injection import FaultInjector, InjectedFault
from bot.sandbox.fake_slack.model import Message
from bot.sandbox.fake_slack.rate_limits import RateLimits
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.manifest import manifest
from bot.store import audit
from bot.store.database import Database
from bot.store.tables.core import outbox
from tests.stories.child import ANNOUNCEMENTS, SERVICES, SPEED
from tests.stories.conftest import POLICIES
from tests.support.forked import ForkedServer
from tests.support.servers import Server, free_port

_SERVICE = """
apiVersion: governor/v1
kind: Service
metadata: {{name: {name}}}
spec:
  description: Sells something.
  channel: "#{name}"
  teams: {{development: "@{name}-devs", reliability: "@sre"}}
  errorBudgetPolicy: standard
  slos:
    - {{name: orders, objective: 99, window: 7d, sli: {{events: {{}}}}}}
"""
_FAULTS = {InjectedFault.RATE_LIMITED: 0.03, InjectedFault.SERVER_ERROR: 0.1, InjectedFault.CUT: 0.15}


class DeliveryFaults(FaultInjector):
    """Faults of the calls that deliver; what commands ask of Slack is another story."""

    def decide(self, method: str) -> InjectedFault | None:
        """Return what goes wrong with this call, if anything."""
        return super().decide(method) if method.startswith(("chat.", "conversations.")) else None


@dataclass(frozen=True, slots=True)
class Program:
    """The bot to be killed, and how it is moved to change something.

    Any program will do that announces each deed of the audit log once in the service's channel and once
    in the announcements channel.
    """

    bot: Server
    start_changes: Callable[[int], Awaitable[None]]


MakeProgram = Callable[[Path, FakeSlackServer, aiohttp.ClientSession, random.Random], Program]


@dataclass
class Tale:
    """The harness: a bot that dies, its database, and a Slack that lives on."""

    bot: Server
    program: Program
    database: Database
    slack: FakeSlackServer
    chance: random.Random
    wanted_kills: int
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
        """Start changes and kill the bot at a random moment; perhaps once more while it catches up."""
        await self.program.start_changes(self.chance.randint(1, 8))
        await asyncio.sleep(self.chance.uniform(0, 0.5))
        await self.kill()
        while self.kills < self.wanted_kills and self.chance.random() < 0.4:
            await self.bot.start()
            await asyncio.sleep(self.chance.uniform(0, 0.3))
            await self.kill()

    async def everything_told(self) -> None:
        """Wait until the outbox is empty, and compare what Slack shows with the audit log."""
        async with asyncio.timeout(60):
            while await undone(self.database):  # noqa: ASYNC110 - the other process's database tells nobody
                await asyncio.sleep(0.05)
        async with self.database.reading() as connection:
            deeds = await audit.read(connection, limit=100_000)
            posts = select(outbox).where(outbox.c.is_edit.is_(False))
            rows = (await connection.execute(posts.order_by(outbox.c.id))).all()
        for channel in (ANNOUNCEMENTS, *(f"#{service}" for service in SERVICES)):
            decided = [deed.at for deed in deeds if channel in {ANNOUNCEMENTS, f"#{deed.entry.service}"}]
            told = [row for row in rows if row.channel == channel]
            # A deed and its messages bear the same time, for they are written in one transaction.
            assert [row.created_at for row in told] == decided, f"{channel} after {self.kills} kills"
            shown = [key for message in self.slack.messages(channel) for key in keys_of(message)]
            assert shown == [row.key for row in told], f"{channel} after {self.kills} kills"


async def undone(database: Database, besides: Sequence[str] = ()) -> int:
    """Return how many messages are not sent yet, besides those of some kinds.

    Edits do not count: Slack allows so few in a minute that those of a short play take longer than it.
    """
    is_undone = outbox.c.state.in_(["waiting", "sending"]) & outbox.c.event_type.not_in(besides)
    is_undone &= outbox.c.is_edit.is_(False)
    async with database.reading() as connection:
        return int((await connection.execute(select(func.count()).where(is_undone))).scalar_one())


def keys_of(message: Message) -> Sequence[str]:
    """Return the outbox keys that a message in Slack carries: of several, if they were folded into one."""
    payload = (message.metadata or {}).get("event_payload", {})
    keys: Sequence[str] = payload.get("keys") or [payload["key"]] if payload else []
    return keys


def dispatcher_and_hold_registry(
    folder: Path, slack: FakeSlackServer, session: aiohttp.ClientSession, _chance: random.Random
) -> Program:
    """Return the program of `child.py`: only the store, the hold registry and the dispatcher."""
    port = free_port()

    async def start_changes(count: int) -> None:
        async with session.post(f"http://127.0.0.1:{port}/changes", params={"count": count}) as response:
            assert response.status == 202

    arguments = [database_in(folder), slack.api_url, slack.bot_token, str(port)]
    is_up = answers(session, port, "readyz")
    return Program(ForkedServer("tests.stories.child", arguments, folder, is_up), start_changes)


def governor(
    folder: Path, slack: FakeSlackServer, session: aiohttp.ClientSession, chance: random.Random
) -> Program:
    """Return the program of `child_governor.py`, which a person moves by typing `/freeze`."""
    port = free_port()
    policies = folder / "policies"
    policies.mkdir()
    documents = [POLICIES.replace('["@sre"]', "everyone")]
    documents += [_SERVICE.format(name=name) for name in SERVICES if name != "checkout"]
    (policies / "all.yaml").write_text("---\n".join(documents))
    slack.bot_url = f"http://127.0.0.1:{port}"
    sam = slack.person("sam")

    async def start_changes(count: int) -> None:
        for _ in range(count):
            service = chance.choice(SERVICES)
            words = chance.choice([f"{service} to be sure", f"lift {service} all is well"])
            await sam.says(f"/freeze {words}", f"#{service}")

    environ = {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "SLACK_API_URL": slack.api_url,
        "DATABASE_URL": database_in(folder),
        "POLICIES_DIR": str(policies),
        "PORT": str(port),
    }
    is_up = answers(session, port, "healthz")
    return Program(ForkedServer("tests.stories.child_governor", [], folder, is_up, environ), start_changes)


def database_in(folder: Path) -> str:
    """Return the address of the story's database."""
    return f"sqlite+aiosqlite:///{folder}/governor.db"


def answers(session: aiohttp.ClientSession, port: int, path: str) -> Callable[[], Awaitable[bool]]:
    """Return how to ask whether the program answers on that path."""

    async def ask() -> bool:
        try:
            async with session.get(f"http://127.0.0.1:{port}/{path}") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    return ask


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("program_of", "kills"), [(dispatcher_and_hold_registry, 15), (governor, 50)])
async def test_kills_lose_and_double_nothing(tmp_path: Path, program_of: MakeProgram, kills: int) -> None:
    seed = int(os.environ.get("CRASH_SEED", secrets.randbits(32)))
    print(f"CRASH_SEED={seed}")  # noqa: T201 - pytest shows it when the test fails
    scopes = manifest("https://governor.example")
    async with (
        Database(database_in(tmp_path)) as database,
        FakeSlackServer(manifest=scopes) as slack,
        aiohttp.ClientSession() as session,
    ):
        slack.rates = slack.platform.rates = RateLimits(lambda: time.monotonic() * SPEED, burst=1)
        slack.faults = slack.web_api.faults = DeliveryFaults()
        slack.faults.change({"seed": seed} | {str(fault): share for fault, share in _FAULTS.items()})
        chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
        program = program_of(tmp_path, slack, session, chance)
        bot = program.bot
        tale = Tale(bot, program, database, slack, chance, kills)
        while tale.kills < kills:
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
