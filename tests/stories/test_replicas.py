"""Three replicas on one PostgreSQL, while everything breaks: nothing is lost, doubled or out of order.

`CHAOS_SEED` plays a run again; `CHAOS_SECONDS` makes it longer, such as 600 for ten minutes.
"""

import asyncio
import itertools
import os
import random
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import func, select

from bot.freezes.hold import HoldKind
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.incidents.messages import (
    ACTION_DUE,
    CARD,
    DOCUMENT,
    NOTICE,
    POSTMORTEM_CLOSED,
    POSTMORTEM_OPENED,
    REMINDER,
)
from bot.slack.manifest import manifest
from bot.store import audit
from bot.store.audit_chain import ChainVerified, verify_chain
from bot.store.database import Database
from bot.store.tables.core import flags, holds, outbox
from bot.store.tables.replicas import leases, replicas
from tests.stories.balancer import balancing
from tests.stories.chaos import Chaos
from tests.stories.cluster import FLAGS, MEASURED, PUSHED, SERVICES, Cluster, PolicyFile
from tests.stories.people import People
from tests.stories.source_proxy import proxying
from tests.stories.test_crash import DeliveryFaults, keys_of, undone
from tests.support.running import Bot, eventually, running_governor, write_policies
from tests.support.servers import running_exporter, running_postgresql, running_prometheus

ANNOUNCEMENTS = "#releases"
_OF_INCIDENTS = (CARD, NOTICE, DOCUMENT, POSTMORTEM_OPENED, POSTMORTEM_CLOSED, REMINDER, ACTION_DUE)
_TOLD_IN_ORDER = ("hold.", "service.", "flag.", "ramp.")
_NOT_TOLD = {"flag.kept_on"}
"""What only whoever asked for it is answered."""
_NO_DEEDS = {"flag_ends_soon"}
"""What is told without being a deed."""
_ENDS = {"hold.lifted", "hold.expired"}
"""Holds of a service that end together are told together."""
_TASKS_BETWEEN_TICKS = 8
"""What may be under way beside the loops at any moment: evaluations, requests, a lane."""
REPLICAS = 3
_PATIENCE_S = 120.0
_POLICIES = """
apiVersion: governor/v1
kind: Workspace
metadata: {name: acme}
spec:
  channels: {announcements: "#releases"}
  evaluateEvery: 1s
  sources: {prometheus: {url: "${PROMETHEUS_URL}", timeout: 2s}}
  flags: {backend: local, environments: [{name: staging, default: true}]}
  permissions: {freeze: everyone, flags: {staging: everyone}}
---
apiVersion: governor/v1
kind: ErrorBudgetPolicy
metadata: {name: standard}
spec: {warnAt: [], freezeAt: 0%, unfreezeAt: 10%, dwell: 1s, burnAlerts: [], exemptions: []}
"""
_SERVICE = """---
apiVersion: governor/v1
kind: Service
metadata: {{name: {name}}}
spec:
  channel: "#{name}"
  flags: [new-{name}]
  slos:
    - {{name: orders, objective: 99, window: 7d, sli: {sli}}}
"""
_MEASURED = """
        prometheus:
          total: http_requests_total{service="search"}
          bad: http_requests_total{service="search",code="500"}"""


def policies(services: Sequence[str] = SERVICES) -> str:
    """Write the policies: two services count pushed events, one is measured by Prometheus."""
    slis = dict.fromkeys(PUSHED, "{events: {}}") | {MEASURED: "MEASURED"}
    text = _POLICIES + "".join(_SERVICE.format(name=name, sli=slis[name]) for name in services)
    return text.replace("{name: orders, objective: 99, window: 7d, sli: MEASURED}", _block(_MEASURED))


def _block(sli: str) -> str:
    return f"name: orders\n      objective: 99\n      window: 7d\n      sli:{sli}"


@asynccontextmanager
async def run_cluster(folder: Path, seed: int) -> AsyncIterator[Cluster]:
    """Start everything: replicas, database, Slack, Prometheus, and a balancer before the replicas."""
    write_policies(folder, policies())
    async with AsyncExitStack() as stack:
        postgresql = await stack.enter_async_context(running_postgresql())
        exporter = await stack.enter_async_context(running_exporter())
        prometheus = await stack.enter_async_context(running_prometheus(folder, [exporter]))
        slack = await stack.enter_async_context(
            FakeSlackServer(manifest=manifest("https://governor.example"), ack_s=90)
        )
        slack.faults = slack.web_api.faults = DeliveryFaults(seed)
        database = await postgresql.new_database()
        chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
        source = await stack.enter_async_context(proxying(prometheus.url, chance))
        bots, clocks = [], []
        for number in range(REPLICAS):
            home = folder / f"replica-{number}"
            home.mkdir()
            environ = {"DATABASE_URL": database, "PROMETHEUS_URL": source.url, "LOG_LEVEL": "info"}
            clocks.append(home / "clock")
            module = ("tests.stories.child_clock", str(home / "clock"))
            running = running_governor(
                policies=folder / "policies", slack=slack, folder=home, module=module, **environ
            )
            bots.append(await stack.enter_async_context(running))
        balancer = await stack.enter_async_context(balancing([bot.url for bot in bots], chance))
        slack.bot_url = balancer.url
        yield Cluster(
            replicas=bots,
            postgresql=postgresql,
            database=database,
            slack=slack,
            prometheus=prometheus,
            source=source,
            exporter=exporter,
            balancer=balancer,
            policies=PolicyFile(folder / "policies" / "all.yaml", policies),
            clocks=clocks,
        )


class Ledger:
    """What the database holds after the play."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def undone(self, besides: Sequence[str] = ()) -> int:
        """Return how many messages are not sent yet, besides those of some kinds."""
        return await undone(self._database, besides)

    async def check_told(self, slack: FakeSlackServer, policies: PolicyFile) -> None:
        """Assert that each transition was announced once in each of its channels, in order.

        The channel of a service that was not in the policies is not known: a hold that changed then is
        announced for all only.
        """
        # What is said of incidents waits for their channels: it is not in the order of the log.
        async with self._database.reading() as connection:
            deeds = await audit.read(connection, limit=100_000)
            are_told = outbox.c.event_type.not_in(_OF_INCIDENTS), outbox.c.is_edit.is_(False)
            query = select(outbox).where(*are_told).order_by(outbox.c.id)
            rows = (await connection.execute(query)).all()
            others = set((await connection.execute(select(outbox.c.key))).scalars())
        others -= {row.key for row in rows}
        for channel in (ANNOUNCEMENTS, *(f"#{service}" for service in SERVICES)):
            told = [row for row in rows if row.channel == channel]
            times = {row.created_at for row in told}
            decided = [
                deed.at
                for deed in _each_told(deeds)
                if channel in _told_in(deed.entry)
                and (deed.at in times or not _is_without_channel(deed, channel, policies))
            ]
            deeds_told = [row.created_at for row in told if row.event_type not in _NO_DEEDS]
            assert deeds_told == decided, f"{channel}: {_differing(told, deeds, channel)}"
            keys = [key for message in slack.messages(channel) for key in keys_of(message)]
            assert len(set(keys)) == len(keys), channel
            assert [key for key in keys if key not in others] == [row.key for row in told], channel

    async def check_flags(self) -> None:
        """Assert that each flag went from one state of the log to the next, and is in the last of them."""
        async with self._database.reading() as connection:
            deeds = await audit.read(connection, limit=100_000)
        for flag in FLAGS:
            told = [deed.entry for deed in deeds if deed.entry.subject == f"{flag} in staging"]
            changed = [(one.before or {}, one.after or {}) for one in told if one.action == "flag.changed"]
            versions = [(before["version"], after["version"]) for before, after in changed]
            assert all(one[1] == then[0] for one, then in itertools.pairwise(versions)), (flag, versions)
            assert "flag.drifted" not in {one.action for one in told}, "somebody else changed it"

    async def flags_differ(self) -> dict[str, tuple[object, object]]:
        """Return the flags whose state differs from the log's: both states."""
        async with self._database.reading() as connection:
            live = {row.key: row for row in await connection.execute(select(flags))}
            deeds = await audit.read(connection, limit=100_000)
        said = {
            deed.entry.subject.removesuffix(" in staging"): (
                str((deed.entry.after or {})["version"]),
                pytest.approx((deed.entry.after or {})["exposure"]),
            )
            for deed in deeds
            if deed.entry.action == "flag.changed"
        }
        stand = {key: (str(row.version), row.rollout if row.enabled else 0.0) for key, row in live.items()}
        return {key: (stand.get(key), said.get(key)) for key in FLAGS if stand.get(key) != said.get(key)}

    async def check_audit(self) -> None:
        """Assert that the log's chain is unbroken, and agrees with the holds."""
        async with self._database.reading() as connection:
            assert isinstance(await verify_chain(connection), ChainVerified)
            deeds = await audit.read(connection, limit=100_000)
            placed = (await connection.execute(select(func.count()).select_from(holds))).scalar_one()
            lifted = (
                await connection.execute(select(func.count()).where(holds.c.lifted_at.is_not(None)))
            ).scalar_one()
        actions = [deed.entry.action for deed in deeds]
        assert sum(action in {"hold.placed", "service.frozen"} for action in actions) == placed
        assert sum(action in {"hold.lifted", "service.unfrozen"} for action in actions) == lifted
        for service in SERVICES:
            own = [
                action
                for deed in deeds
                if deed.entry.service == service and (action := _budget_action(deed.entry)) is not None
            ]
            assert own == ["service.frozen", "service.unfrozen"] * (len(own) // 2) + own[len(own) // 2 * 2 :]
        for deed in deeds:
            if deed.entry.action == "service.unfrozen":
                after = deed.entry.after or {}
                assert after["slo_state"] == "ok", "a hold was lifted without data"
                assert after["remaining"] >= 0.1

    async def holds_of_incidents(self) -> int:
        """Return how many holds of incidents are in force."""
        query = select(func.count()).where(holds.c.lifted_at.is_(None), holds.c.kind == HoldKind.INCIDENT)
        async with self._database.reading() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def living(self) -> tuple[int, int]:
        """Return how many replicas are known, and how many leases."""
        async with self._database.reading() as connection:
            known = (await connection.execute(select(func.count()).select_from(replicas))).scalar_one()
            held = (await connection.execute(select(func.count()).select_from(leases))).scalar_one()
        return known, held


def _each_told(deeds: Sequence[audit.AuditRow]) -> list[audit.AuditRow]:
    """Return the deeds without those ends of holds that are told with another's."""
    seen = set[tuple[datetime, str | None]]()
    told = []
    for deed in deeds:
        moment = deed.at, deed.entry.service
        if deed.entry.action not in _ENDS or moment not in seen:
            told.append(deed)
        if deed.entry.action in _ENDS:
            seen.add(moment)
    return told


def _differing(told: Sequence[Any], deeds: Sequence[audit.AuditRow], channel: str) -> list[str]:
    """Return which messages have no deed, and which deeds no message, to be shown when the test fails."""
    decided = {deed.at: deed.entry for deed in deeds if channel in _told_in(deed.entry)}
    times = {row.created_at for row in told}
    alone = [f"only announced: {row.event_type} {row.text}" for row in told if row.created_at not in decided]
    return [*alone, *(f"only decided: {entry}" for at, entry in decided.items() if at not in times)]


def _budget_action(entry: audit.AuditEntry) -> str | None:
    """Return what happened to a budget's hold; a person lifts it only where its service is gone."""
    if entry.action == "hold.lifted" and (entry.before or {}).get("kind") == HoldKind.BUDGET:
        return "service.unfrozen"
    return entry.action if entry.action.startswith("service.") else None


def _is_without_channel(row: audit.AuditRow, channel: str, policies: PolicyFile) -> bool:
    """Return whether a hold changed while its service, whose channel this is, was not in the policies."""
    service = channel.removeprefix("#")
    return row.entry.action in {"hold.placed", "hold.lifted"} and policies.may_be_unknown(service, row.at)


def _told_in(deed: audit.AuditEntry) -> set[str]:
    """Return the channels in which an action is announced: a flag's in its services' own, if it has any."""
    if not deed.action.startswith(_TOLD_IN_ORDER) or deed.action in _NOT_TOLD:
        return set()
    own = {f"#{deed.service}"} if deed.service else {ANNOUNCEMENTS}
    return own if deed.action.startswith(("flag.", "ramp.")) else {*own, ANNOUNCEMENTS}


async def served_versions(bots: Sequence[Bot]) -> set[tuple[str, ...]]:
    """Return the versions of the flags that replicas serve to applications: one set, if they agree."""

    async def served(bot: Bot, session: aiohttp.ClientSession, flag: str) -> str:
        url = f"{bot.url}/environments/staging/ofrep/v1/evaluate/flags/{flag}"
        async with session.post(url, json={"context": {"targetingKey": "anyone"}}) as answer:
            return str((await answer.json())["metadata"]["version"])

    async with aiohttp.ClientSession() as session:
        return {tuple([await served(bot, session, flag) for flag in FLAGS]) for bot in bots}


async def tasks(bot: Bot) -> int:
    """Return how many tasks are under way in a replica."""
    found = re.search(r"^governor_tasks (\S+)$", await bot.text("/metrics"), re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


async def pushed_events_are_counted(cluster: Cluster, bot: Bot) -> None:
    """Assert that accepted events were counted once, however often they were sent."""
    for service in PUSHED:
        (slo,) = (await bot.state(service))["slos"]
        assert (slo["good"], slo["bad"]) == (
            cluster.pushed[f"{service} good"],
            cluster.pushed[f"{service} bad"],
        )


def unretrieved_errors(log: str) -> list[str]:
    """Return the errors of tasks and futures of the bot that nobody looked at.

    asyncpg itself leaves one behind when the server goes while a connection asks whether it speaks TLS.
    """
    errors = re.findall(r"exception was never retrieved.*\n.*", log)
    return [error for error in errors if "unexpected connection_lost() call" not in error]


@pytest.mark.timeout(1_200)
async def test_replicas_lose_and_double_nothing_while_everything_breaks(tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED", secrets.randbits(32)))
    seconds = float(os.environ.get("CHAOS_SECONDS", "30"))
    print(f"CHAOS_SEED={seed}")  # noqa: T201 - pytest shows it when the test fails
    async with run_cluster(tmp_path, seed) as cluster, Database(cluster.database) as database:
        calm = max([await tasks(bot) for bot in cluster.replicas])
        people = People(cluster, random.Random(seed + 1))  # noqa: S311 - reproducible, not secret
        working = asyncio.create_task(people.run())
        await Chaos(cluster, random.Random(seed + 2)).run(seconds)  # noqa: S311 - likewise
        people.is_over.set()
        await working
        ledger = Ledger(database)
        # A channel takes a message a second; what is left to be said grows with the time of the play.
        await eventually(ledger.undone, lambda undone: not undone, _PATIENCE_S + seconds / 2)
        told = len(cluster.slack.messages(ANNOUNCEMENTS))
        print(dict(cluster.faults), dict(cluster.deeds), f"{told} told")  # noqa: T201 - shown by -s
        print(dict(cluster.nonsense))  # noqa: T201 - likewise
        print(f"{cluster.faults.total()} faults, slowest API answer {cluster.slowest_s:.1f} s")  # noqa: T201
        assert not cluster.unanswered
        await eventually(ledger.holds_of_incidents, lambda held: not held, _PATIENCE_S)
        await eventually(ledger.flags_differ, lambda differ: not differ, _PATIENCE_S)
        await ledger.check_flags()
        await eventually(partial(served_versions, cluster.replicas), lambda served: len(served) == 1)
        for bot in cluster.replicas:
            await eventually(partial(tasks, bot), lambda count: count <= calm + _TASKS_BETWEEN_TICKS)
        await pushed_events_are_counted(cluster, cluster.replicas[0])
        # The holds that ended just now are announced.
        await eventually(partial(ledger.undone, _OF_INCIDENTS), lambda undone: not undone, _PATIENCE_S)
        for bot in cluster.replicas:
            assert await bot.terminate() == 0
            assert not unretrieved_errors(bot.log.read_text())
            assert "Task was destroyed" not in bot.log.read_text()
        await eventually(ledger.living, lambda living: living[1] == 0, _PATIENCE_S)
        # The steps of incidents write messages at any time, also in the last moment.
        assert await ledger.undone(besides=_OF_INCIDENTS) == 0
        await ledger.check_told(cluster.slack, cluster.policies)
        await ledger.check_audit()
        # A balancer may give one request to more replicas than Slack takes answers to it.
        refused = Counter((made.method, made.error) for made in cluster.slack.refused)
        assert {method for method, _ in refused} <= {"response_url"}, refused
