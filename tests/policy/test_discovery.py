"""The values of `forEach` while the bot runs: asked by one replica, read by all, kept when nobody answers."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.budgets.source import InvalidAnswerError, SourceError, SourceUnavailableError
from bot.catalog.window import Span
from bot.policy.discovery import Discovery
from bot.policy.faults import PolicyFault
from bot.policy.watcher import PolicyWatcher
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.slack.announcements.policy_faults import PolicyFaultAnnouncer
from bot.store.database import Database
from bot.store.leases import Lease
from tests.policy.conftest import WORKSPACE
from tests.support.clock import DAY, HOUR, NOW
from tests.support.formula_source import CountingSource
from tests.support.stores import create_tables

SHOP = """
---
apiVersion: governor/v1
kind: Service
metadata: {name: shop}
spec:
  forEach: {label: service, match: up, keepFor: 7d}
  channel: "#%{service}"
"""


class LabelledSource(CountingSource):
    """A source whose labels have these values; `failure` is raised instead while it is set.

    `broken_label` is one for which the source has a fault of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.values: list[str] = []
        self.broken_label: str | None = None
        self.asked: list[tuple[str, str | None, Span]] = []

    async def label_values(self, label: str, match: str | None, span: Span) -> Sequence[str]:
        self.asked.append((label, match, span))
        await self.check()
        if label == self.broken_label:
            raise KeyError(label)
        return self.values


class Wall:
    """A clock that is set by hand and never sleeps."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nobody sleeps {seconds} s here")


class SwitchedLease(Lease):
    """A lease that this replica has or has not, as the test says."""

    def __init__(self) -> None:
        super().__init__("discovery")
        self.is_ours = True

    async def acquire(self) -> bool:
        return self.is_ours


class Replica:
    """One bot's part in it: its own watcher, the database and the source of all."""

    def __init__(self, folder: Path, database: Database, source: LabelledSource, clock: Wall) -> None:
        self.watcher = PolicyWatcher(folder, {})
        self.lease = SwitchedLease()
        self.told: list[str] = []
        announcer = FreezeAnnouncer(self.watcher.current)
        self.news = PolicyFaultAnnouncer(database, announcer, clock)
        self.discovery = Discovery(
            database=database,
            sources={"prometheus": source},
            watcher=self.watcher,
            clock=clock,
            lease=self.lease,
            report=self._tell,
        )

    async def start(self) -> "Replica":
        await self.watcher.start()
        await self.discovery.restore()
        return self

    @property
    def services(self) -> list[str]:
        return list(self.watcher.current.catalog.services)

    async def _tell(self, faults: Sequence[PolicyFault]) -> None:
        if await self.news.announce_refused_values(faults):
            self.told += [fault.message for fault in faults]


class Scene:
    """A policy folder, a database, a source and a clock that several replicas share."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self.database = database
        self.source = LabelledSource()
        self.clock = Wall()
        self.write(SHOP)

    def write(self, services: str) -> None:
        (self.folder / "all.yaml").write_text(WORKSPACE + services)

    async def replica(self, *, mine: bool = True) -> Replica:
        replica = Replica(self.folder, self.database, self.source, self.clock)
        replica.lease.is_ours = mine
        return await replica.start()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    folder = tmp_path / "policies"
    folder.mkdir()
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/governor.db") as database:
        await create_tables(database)
        yield Scene(folder, database)


async def test_values_become_services_and_stay_for_a_while_when_they_are_gone(scene: Scene) -> None:
    replica = await scene.replica()
    assert replica.services == []
    scene.source.values = ["cart", "search"]
    await replica.discovery.refresh()
    assert replica.services == ["cart", "search"]
    assert scene.source.asked == [("service", "up", Span(NOW - HOUR, NOW))]

    scene.source.values = ["cart"]
    await replica.discovery.refresh()
    scene.clock.time += 7 * DAY - timedelta(seconds=1)
    await replica.discovery.refresh()
    assert replica.services == ["cart", "search"]
    scene.clock.time += timedelta(seconds=1)
    await replica.discovery.refresh()
    assert replica.services == ["cart"]


@pytest.mark.parametrize(
    "failure", [SourceUnavailableError("it is away"), InvalidAnswerError("not its form")]
)
async def test_a_source_that_fails_drops_nothing_however_long_and_across_a_restart(
    scene: Scene, failure: SourceError
) -> None:
    replica = await scene.replica()
    scene.source.values = ["cart", "search"]
    await replica.discovery.refresh()
    scene.source.values = ["cart"]
    await replica.discovery.refresh()
    scene.source.failure = failure
    scene.clock.time += 100 * DAY
    await replica.discovery.refresh()
    assert replica.services == ["cart", "search"]
    assert replica.discovery.problems == {"Service/shop": str(failure)}

    again = await scene.replica()
    assert again.services == ["cart", "search"]
    await again.discovery.refresh()
    assert again.services == ["cart", "search"]
    scene.source.failure = None
    await again.discovery.refresh()
    assert (again.services, again.discovery.problems) == (["cart"], {})


async def test_an_unexpected_error_with_one_label_hides_no_other(scene: Scene) -> None:
    scene.write(SHOP + SHOP.replace("shop", "queue").replace("service", "queue").replace("up", "queue_up"))
    scene.source.broken_label = "queue"
    scene.source.values = ["cart"]
    replica = await scene.replica()
    await replica.discovery.refresh()
    assert replica.services == ["cart"]
    assert list(replica.discovery.problems) == ["Service/queue"]
    assert "KeyError" in replica.discovery.problems["Service/queue"]


async def test_one_replica_asks_and_the_others_read(scene: Scene) -> None:
    asking, reading = await scene.replica(), await scene.replica(mine=False)
    scene.source.values = ["cart"]
    await asking.discovery.refresh()
    await reading.discovery.refresh()
    assert asking.services == reading.services == ["cart"]
    assert len(scene.source.asked) == 1


async def test_a_narrower_question_takes_effect_with_its_first_answer(scene: Scene) -> None:
    replica = await scene.replica()
    scene.source.values = ["cart", "search"]
    await replica.discovery.refresh()
    scene.write(SHOP.replace("match: up", "match: 'up{env=\"production\"}'"))
    await replica.watcher.reload_now()
    scene.source.failure = SourceUnavailableError("it is away")
    await replica.discovery.refresh()
    assert replica.services == ["cart", "search"]
    scene.source.failure, scene.source.values = None, ["search"]
    await replica.discovery.refresh()
    assert replica.services == ["search"]


async def test_values_come_while_an_edit_of_the_documents_is_broken(scene: Scene) -> None:
    replica = await scene.replica()
    scene.write(SHOP.replace("channel:", "chanel:"))
    await replica.watcher.reload_now()
    assert replica.watcher.faults
    scene.source.values = ["cart"]
    await replica.discovery.refresh()
    assert replica.services == ["cart"]


async def test_a_document_that_returns_knows_its_values(scene: Scene) -> None:
    replica = await scene.replica()
    scene.source.values = ["cart"]
    await replica.discovery.refresh()
    scene.write("")
    await replica.watcher.reload_now()
    scene.source.failure = SourceUnavailableError("it is away")
    scene.clock.time += DAY
    await replica.discovery.refresh()
    assert replica.services == []
    scene.write(SHOP)
    await replica.watcher.reload_now()
    assert replica.services == ["cart"]


async def test_a_refused_value_is_told_once_by_whichever_replica_asks(scene: Scene) -> None:
    replica = await scene.replica()
    scene.source.values = ["cart", "日本"]
    await replica.discovery.refresh()
    await replica.discovery.refresh()
    assert replica.services == ["cart"]
    assert len(replica.told) == 1
    assert "`日本`" in replica.told[0]
    other = await scene.replica()
    await other.discovery.refresh()
    assert other.told == []

    scene.source.values = ["cart", "日本", "CART"]
    await other.discovery.refresh()
    assert any("`CART`" in message for message in other.told)
    before = len(other.told)
    scene.write(SHOP.replace("match: up", "match: up, except: [日本, CART]"))
    await other.watcher.reload_now()
    await other.discovery.refresh()
    scene.write(SHOP)
    await other.watcher.reload_now()
    await other.discovery.refresh()
    assert len(other.told) == 2 * before
