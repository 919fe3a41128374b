"""Minutes of faults: three replicas with thousands of services, and in the end an account of what was done.

    python -m bench.faults --seconds 600 --services 2000

Replicas are killed and halted, their clocks are off by seconds, PostgreSQL is restarted and its connections
are cut, Slack answers 429 and 500, late, or not at all. Meanwhile people type commands, pipelines ask the
gate and services push events. What the services show and what Slack was told must agree in the end with
what was asked for; whatever does not is printed, and the program ends with 1.
"""

import argparse
import asyncio
import logging
import random
import secrets
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from sqlalchemy import Row, func, select

from bench.cluster import Replicas, running_replicas, shop
from bot.freezes.hold import HoldKind
from bot.sandbox.fake_slack.fault_injection import FaultInjector, InjectedFault
from bot.sandbox.fake_slack.model import Message
from bot.store import audit
from bot.store.audit import AuditRow
from bot.store.audit_chain import ChainVerified, verify_chain
from bot.store.database import Database
from bot.store.tables.core import holds, outbox
from bot.store.tables.tasks import due_tasks
from tests.stories.balancer import Balancer, balancing
from tests.stories.cluster import Healing
from tests.support.running import API_TOKEN, Bot

ANNOUNCEMENTS = "#releases"
_OF_HOLDS = ("hold_", "service_", "budget_recovered")
_SLO = "slo-0"
_OBJECTIVE = 99.0
_UNFREEZE_AT = 0.1
_EVERY_S = 30
_REPLICA_S = 5.0
_BETWEEN_S = (3.0, 12.0)
_GATES_AT_ONCE = 20
_MOMENT_S = 3.0
_PUSHED_TOGETHER = 500
_SLACK_S = 90.0
_DRAIN_S = 600.0
_LONG_HALT_S = (8.0, 12.0)
_AILING = {
    InjectedFault.RATE_LIMITED: 0.1,
    InjectedFault.SERVER_ERROR: 0.25,
    InjectedFault.CUT: 0.25,
    InjectedFault.SLOW: 0.1,
}
_POLICY = f"""
---
apiVersion: governor/v1
kind: ErrorBudgetPolicy
metadata: {{name: standard}}
spec: {{warnAt: [], freezeAt: 0%, unfreezeAt: {_UNFREEZE_AT:.0%}, dwell: 1s, burnAlerts: [], exemptions: []}}
"""


class DeliveryFaults(FaultInjector):
    """Faults of the calls that deliver."""

    def decide(self, method: str) -> InjectedFault | None:
        """Return what goes wrong with this call, if anything."""
        return super().decide(method) if method.startswith(("chat.", "conversations.")) else None


@dataclass
class Run:
    """What acts, and what was done and seen."""

    replicas: Replicas
    balancer: Balancer
    clocks: Sequence[Path]
    services: int
    chance: random.Random
    faults: Counter[str] = field(default_factory=Counter)
    deeds: Counter[str] = field(default_factory=Counter)
    unanswered: list[str] = field(default_factory=list)
    good: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    long_halts: int = 0
    healing: Healing = field(default_factory=Healing)


class Faults:
    """Injects one fault after the other; each is undone after a while."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._chance = run.chance
        self._starting = asyncio.Lock()
        self._ailing = 0
        self._play = (
            (4, self._kill),
            (4, self._halt),
            (1, self._restart_database),
            (2, self._cut_connections),
            (4, self._ail),
            (2, self._time_out),
            (3, self._set_clock),
        )

    async def inject(self, seconds: float) -> None:
        """Inject faults for that long, then undo those that are left."""
        weights, faults = zip(*self._play, strict=True)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(self._chance.uniform(*_BETWEEN_S))
            (inject,) = self._chance.choices(faults, weights)
            await inject()
        while self._run.healing:
            await asyncio.gather(*self._run.healing)
        await self._keep_running()
        for bot in self._run.replicas.bots:
            bot.wake()
            await bot.ready()

    async def _spare(self) -> Bot | None:
        """Return a replica beside which another one answers; None where nobody would be left to answer."""
        bots = list(self._run.replicas.bots)
        self._chance.shuffle(bots)
        answer = await asyncio.gather(*(_answers(bot) for bot in bots[1:]))
        return bots[0] if any(answer) else None

    async def _keep_running(self) -> None:
        async with self._starting:
            for bot in self._run.replicas.bots:
                if not bot.is_running:
                    await bot.start(wait=False)

    async def _kill(self) -> None:
        bot = await self._spare()
        if bot is None:
            return
        self._run.faults["replica killed"] += 1
        await bot.kill()
        self._run.healing.later(self._chance.uniform(0, 2), self._keep_running)

    async def _halt(self) -> None:
        bot = await self._spare()
        if bot is None:
            return
        self._run.faults["replica halted"] += 1
        bot.halt()
        is_long = self._chance.random() < 0.4
        self._run.long_halts += is_long

        async def wake() -> None:
            bot.wake()

        self._run.healing.later(self._chance.uniform(*(_LONG_HALT_S if is_long else (0.3, 3))), wake)

    async def _restart_database(self) -> None:
        self._run.faults["database restarted"] += 1
        await self._run.replicas.postgresql.kill()
        await asyncio.sleep(self._chance.uniform(0, 1.5))
        await self._run.replicas.postgresql.start()
        await self._keep_running()

    async def _cut_connections(self) -> None:
        self._run.faults["connections cut"] += 1
        await self._run.replicas.postgresql.cut_connections()

    async def _ail(self) -> None:
        self._run.faults["Slack ailing"] += 1
        await self._change({str(fault): share for fault, share in _AILING.items()}, (2, 8))

    async def _time_out(self) -> None:
        self._run.faults["Slack not answering"] += 1
        await self._change({str(InjectedFault.SLOW): 0.5, "slow_s": 12.0}, (2, 5))

    async def _change(self, settings: dict[str, float], seconds: tuple[float, float]) -> None:
        self._ailing += 1
        self._run.replicas.slack.faults.change(settings)

        async def recover() -> None:
            self._ailing -= 1
            if not self._ailing:
                self._run.replicas.slack.faults.clear()

        self._run.healing.later(self._chance.uniform(*seconds), recover)

    async def _set_clock(self) -> None:
        self._run.faults["clock off by seconds"] += 1
        file = self._chance.choice(self._run.clocks)
        file.write_text(str(self._chance.choice([-30, -10, -3, 3, 10, 30])))

        async def set_right() -> None:
            file.write_text("0")

        self._run.healing.later(self._chance.uniform(5, 30), set_right)


async def _answers(bot: Bot) -> bool:
    """Return whether a replica answers within a moment."""
    try:
        async with (
            asyncio.timeout(_MOMENT_S),
            aiohttp.ClientSession() as session,
            session.get(f"{bot.url}/healthz") as answer,
        ):
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


class Load:
    """People who hold and open services and ask, pipelines that ask, and services that push events."""

    def __init__(self, run: Run, session: aiohttp.ClientSession) -> None:
        self._run = run
        self._session = session
        self._asking = 0
        self.is_over = asyncio.Event()

    async def send(self) -> None:
        """Send until it is over, and complete what is open."""
        async with asyncio.TaskGroup() as tasks:
            for every_s, deed in (
                (3.0, self._hold),
                (1.5, self._ask_budget),
                (0.2, self._gate),
                (2.0, self._push),
            ):
                tasks.create_task(self._every(every_s, deed))

    async def fill(self) -> None:
        """Push some good events of each service, so that each has a budget."""
        names = [f"service-{number}" for number in range(self._run.services)]
        for at in range(0, len(names), _PUSHED_TOGETHER):
            await self._count([(name, 1_000, 0) for name in names[at : at + _PUSHED_TOGETHER]])

    async def _every(self, seconds: float, deed: Callable[[], Coroutine[None, None, None]]) -> None:
        async with asyncio.TaskGroup() as tasks:
            while not self.is_over.is_set():
                tasks.create_task(deed())
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._run.chance.uniform(0.5, 1.5) * seconds):
                        await self.is_over.wait()

    def _service(self) -> str:
        # A few are acted on again and again, most of them once or never.
        most = self._run.services if self._run.chance.random() < 0.6 else 20
        return f"service-{self._run.chance.randrange(most)}"

    async def _hold(self) -> None:
        name = self._service()
        words = self._run.chance.choice(
            [
                f"/freeze {name} to be sure",
                f"/freeze {name} for 20s a moment",
                f"/freeze lift {name} all is well",
            ]
        )
        await self._say(words, f"#{name}")

    async def _ask_budget(self) -> None:
        name = self._service()
        await self._say(f"/budget {name}", f"#{name}")

    async def _say(self, words: str, channel: str) -> None:
        self._run.deeds[words.split(maxsplit=1)[0]] += 1
        ack = await self._run.replicas.slack.person("sam").says(words, channel)
        if ack is None or ack.error is not None:
            self._run.unanswered.append(f"{words}: {ack}")

    async def _gate(self) -> None:
        if self._asking >= _GATES_AT_ONCE:
            return
        self._asking += 1
        self._run.deeds["gate"] += 1
        try:
            await self._until_answered("GET", f"gate/{self._service()}", None)
        finally:
            self._asking -= 1

    async def _push(self) -> None:
        """Push a bit that spends a budget, or much that restores it."""
        counts = []
        for _ in range(10):
            name = self._service()
            draw = self._run.chance.random()
            counts.append(
                (name, 0, 15) if draw < 0.06 else (name, 5_000, 0) if draw < 0.3 else (name, 100, 0)
            )
        await self._count(counts)

    async def _count(self, counts: Sequence[tuple[str, int, int]]) -> None:
        """Push events, again with the same ids until they are accepted."""
        events = []
        for name, good, bad in counts:
            self._run.good[name] += good
            self._run.bad[name] += bad
            events.append({"service": name, "slo": _SLO, "good": good, "bad": bad, "id": uuid.uuid4().hex})
        self._run.deeds["push"] += len(events)
        await self._until_answered("POST", "events", events)

    async def _until_answered(self, method: str, path: str, body: object) -> None:
        began = time.monotonic()
        while True:
            async with self._session.request(
                method, f"{self._run.balancer.url}/api/v1/{path}", json=body
            ) as answer:
                text = await answer.text()
            self._run.slowest_s = max(self._run.slowest_s, time.monotonic() - began)
            if answer.status in {200, 202}:
                return
            if answer.status != 503:
                self._run.unanswered.append(f"{method} {path}: {answer.status} {text[:200]}")
                return
            await asyncio.sleep(0.3)


class Account:
    """Compares what the database holds, what Slack was told and what was asked for."""

    def __init__(self, run: Run, database: Database) -> None:
        self._run = run
        self._database = database

    async def drain(self) -> tuple[float, int, int]:
        """Wait until nothing is left to tell or to do; return the seconds, and what is left of both."""
        began = time.monotonic()
        while True:
            left = await self._left()
            if not any(left) or time.monotonic() - began > _DRAIN_S:
                return time.monotonic() - began, *left
            await asyncio.sleep(1)

    async def _left(self) -> tuple[int, int]:
        unsent = select(func.count()).where(outbox.c.state.in_(["waiting", "sending"]))
        # Holds of 20 s end by a task; what recurs is always planned ahead.
        due = select(func.count()).where(
            due_tasks.c.state == "pending", due_tasks.c.due_at < datetime.now(UTC)
        )
        async with self._database.reading() as connection:
            return (
                int((await connection.execute(unsent)).scalar_one()),
                int((await connection.execute(due)).scalar_one()),
            )

    async def check(self) -> list[str]:
        """Return what does not agree, each a sentence."""
        async with self._database.reading() as connection:
            deeds = await audit.read(connection, limit=1_000_000)
            is_post = outbox.c.is_edit.is_(False)
            rows = (await connection.execute(select(outbox).where(is_post).order_by(outbox.c.id))).all()
            in_force = (await connection.execute(select(holds).where(holds.c.lifted_at.is_(None)))).all()
            chain = await verify_chain(connection)
        wrong = [*self._run.unanswered]
        if not isinstance(chain, ChainVerified):
            wrong.append(f"the audit log: {chain}")
        told = defaultdict[str, list[Row[Any]]](list)
        for row in rows:
            # Who uses the bot for the first time is welcomed in a direct message.
            if row.channel.startswith("#"):
                told[row.channel].append(row)
            if row.state != "sent":
                wrong.append(f"a message to {row.channel} is {row.state}: {row.error}")
        decided = _decided(deeds)
        for channel in sorted(decided.keys() | told.keys()):
            wrong += self._check_channel(channel, told[channel], decided[channel])
        return [*wrong, *_check_actions(deeds), *await self._check_budgets(deeds, in_force)]

    def _check_channel(
        self, channel: str, rows: Sequence[Row[Any]], decided: Mapping[datetime, str]
    ) -> list[str]:
        times = list(dict.fromkeys(row.created_at for row in rows if row.event_type.startswith(_OF_HOLDS)))
        wrong = []
        if times != list(decided):
            wrong.append(
                f"{channel}: {len(decided)} decisions, {len(times)} announced, or in another order; "
                f"only decided {[f'{at} {decided[at]}' for at in decided if at not in times]}, "
                f"only announced {[str(at) for at in times if at not in decided]}"
            )
        shown = [key for message in self._run.replicas.slack.messages(channel) for key in keys_of(message)]
        keys = [row.key for row in rows]
        if (doubled := len(shown) - len(set(shown))) > 0:
            wrong.append(f"{channel}: {doubled} announced twice")
        if list(dict.fromkeys(shown)) != keys:
            wrong.append(f"{channel}: Slack shows {len(shown)} messages of {len(keys)}, or in another order")
        return wrong

    async def _check_budgets(self, deeds: Sequence[AuditRow], in_force: Sequence[Row[Any]]) -> list[str]:
        """Compare each service with what was pushed, and its hold with what the policy says of that."""
        wrong = []
        status, answer = await self._run.replicas.bots[0].api("GET", "services")
        assert status == 200, answer
        last = {
            deed.entry.service: deed.entry.action
            for deed in deeds
            if deed.entry.action.startswith("service.")
        }
        for service in answer["services"]:
            name, (slo,) = service["service"], service["slos"]
            good, bad = self._run.good[name], self._run.bad[name]
            if (slo["good"], slo["bad"]) != (good, bad):
                wrong.append(f"{name}: {slo['good']} good, {slo['bad']} bad counted, of {good} and {bad}")
            left = 1 - bad / ((good + bad) * (1 - _OBJECTIVE / 100))
            was_frozen = last.get(name) == "service.frozen"
            wanted = left <= 0 or (left < _UNFREEZE_AT and was_frozen)
            held = any(hold["kind"] == HoldKind.BUDGET for hold in service["holds"])
            if held != wanted or held != was_frozen:
                wrong.append(f"{name}: {left:.1%} left, held: {held}, last decision: {last.get(name)}")
        stored = {(hold.service, hold.kind) for hold in in_force}
        shown = {(each["service"], hold["kind"]) for each in answer["services"] for hold in each["holds"]}
        if stored != shown:
            wrong.append(f"holds stored and shown differ: {sorted(stored ^ shown)[:5]}")
        return wrong


def keys_of(message: Message) -> Sequence[str]:
    """Return the outbox keys that a message in Slack carries."""
    payload = (message.metadata or {}).get("event_payload", {})
    keys: Sequence[str] = payload.get("keys") or ([payload["key"]] if payload else [])
    return keys


def _decided(deeds: Sequence[AuditRow]) -> defaultdict[str, dict[datetime, str]]:
    """Return by channel when something was decided that is announced there, each moment once, and what."""
    decided: defaultdict[str, dict[datetime, str]] = defaultdict(dict)
    for deed in deeds:
        if deed.entry.action.startswith(("hold.", "service.")):
            for channel in (f"#{deed.entry.service}", ANNOUNCEMENTS):
                decided[channel].setdefault(deed.at, deed.entry.action)
    return decided


def _check_actions(deeds: Sequence[AuditRow]) -> list[str]:
    """Return the services whose budget froze or opened twice in a row, or with figures that forbid it."""
    wrong, last = [], dict[str | None, str]()
    for deed in deeds:
        action, service = deed.entry.action, deed.entry.service
        if action not in {"service.frozen", "service.unfrozen"}:
            continue
        if last.get(service, "service.unfrozen") == action:
            wrong.append(f"{service}: {action} twice in a row")
        last[service] = action
        remaining = (deed.entry.after or {}).get("remaining")
        is_right = remaining is not None and (
            remaining <= 0 if action == "service.frozen" else remaining >= _UNFREEZE_AT
        )
        if not is_right:
            wrong.append(f"{service}: {action} at {remaining} of the budget")
    return wrong


async def run(folder: Path, *, seconds: float, services: int, seed: int) -> list[str]:
    """Run everything, print what was seen, and return what does not agree."""
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    policies = shop(services, 1, every=f"{_EVERY_S}s", objective=_OBJECTIVE) + _POLICY
    clocks = [folder / f"clock-{number}" for number in range(3)]
    modules = [("tests.stories.child_clock", str(clock)) for clock in clocks]
    async with (
        running_replicas(folder, policies, services, modules=modules, ack_s=_SLACK_S) as replicas,
        balancing([bot.url for bot in replicas.bots], chance, _REPLICA_S) as balancer,
        Database(replicas.database) as database,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {API_TOKEN}"}) as session,
    ):
        slack = replicas.slack
        slack.bot_url = balancer.url
        slack.faults = slack.web_api.faults = DeliveryFaults(seed)
        this = Run(replicas, balancer, clocks, services, chance)
        load, account = Load(this, session), Account(this, database)
        await load.fill()
        await asyncio.sleep(_EVERY_S)
        sending = asyncio.create_task(load.send())
        await Faults(this).inject(seconds)
        load.is_over.set()
        await sending
        _show("faults", dict(this.faults), "of them long halts", this.long_halts)
        _show("done", dict(this.deeds), f"slowest answer {this.slowest_s:.1f} s")
        # What was pushed last is decided on.
        await asyncio.sleep(2 * _EVERY_S)
        drained_s, unsent, due = await account.drain()
        _show(f"drained in {drained_s:.0f} s: {unsent} messages, {due} tasks left")
        wrong = await account.check()
        if unsent or due:
            wrong.append(f"{unsent} messages and {due} tasks are left")
        answers = slack.responses.unused
        _show(
            f"{len(slack.messages(ANNOUNCEMENTS))} posts in {ANNOUNCEMENTS}, {answers} commands without reply"
        )
        most = this.faults["replica killed"] + this.faults["database restarted"]
        if answers > most:
            wrong.append(f"{answers} commands were acknowledged and had no reply, after {most} kills")
        return wrong


def _show(*what: object) -> None:
    print(*what, flush=True)


def main() -> int:
    """Run as the command line says; return 1 if anything does not agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--services", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    _show(f"{chosen.services} services, {chosen.seconds:g} s, --seed {chosen.seed}")
    with tempfile.TemporaryDirectory() as name:
        found = run(Path(name), seconds=chosen.seconds, services=chosen.services, seed=chosen.seed)
        wrong = asyncio.run(found)
    for each in wrong:
        _show("WRONG", each)
    _show("nothing lost, doubled or out of order" if not wrong else f"{len(wrong)} faults")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
