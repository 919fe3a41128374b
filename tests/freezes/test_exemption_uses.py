"""An exemption is bound to a change, its commit and a service, ends, and is used once; on both stores."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from bot.catalog.current import CurrentCatalog
from bot.freezes.exemptions.requests import (
    ExemptionRequests,
    ExemptionWaitingError,
    NotWaitingError,
    OwnRequestError,
)
from bot.freezes.exemptions.states import ExemptionState, find_open, read_record, read_records
from bot.freezes.exemptions.uses import ExemptionUses
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.status import StatusReader
from bot.freezes.verdict import Change, Verdict
from bot.store import audit
from bot.store.database import Database
from tests.http.conftest import FortyPercent
from tests.support.clock import StoppedClock
from tests.support.stores import create_tables
from tests.support.values import catalog, service, slo

CHECKOUT = service(slos=(slo(),))
COMMIT = "3f1c2ab9d0e45f6789abcdef0123456789abcdef"
HOUR = timedelta(hours=1)


@dataclass
class Exempting:
    """A frozen service, and what asks for exemptions and uses them."""

    database: Database
    registry: HoldRegistry
    requests: ExemptionRequests
    uses: ExemptionUses
    reader: StatusReader
    clock: StoppedClock

    async def ask(self, change: str = "PR-12", by: str = "U0DANA", commit: str | None = COMMIT) -> int:
        asked = await self.requests.ask(
            CHECKOUT,
            change=change,
            by=by,
            reason="fixes the leak",
            keep_for=None,
            request=None,
            now=self.clock.now(),
            commit=commit,
        )
        return asked.id

    async def approve(self, id_: int, by: str = "U0SAM") -> None:
        await self.requests.approve(CHECKOUT, id_, by=by, comment="", now=self.clock.now())

    async def verdict(self, change: str = "PR-12", commit: str | None = COMMIT) -> Verdict:
        return await self.reader.verdict("checkout", Change(change, commit=commit))

    async def state(self, id_: int) -> ExemptionState:
        async with self.database.reading() as connection:
            record = await read_record(connection, id_, self.clock.now())
        assert record is not None
        return record.state

    async def ship(self, change: str = "PR-12", used_for: str = "deployment 1") -> None:
        now = self.clock.now()
        async with self.database.transaction() as connection:
            await self.uses.use(
                connection,
                CHECKOUT,
                Change(change, commit=COMMIT),
                lambda name: name.casefold() == change.casefold(),
                used_for=used_for,
                at=now,
                now=now,
            )

    async def audited(self, action: str) -> int:
        async with self.database.reading() as connection:
            rows = await audit.read(connection, service="checkout")
        return sum(row.entry.action == action for row in rows)


@pytest.fixture
async def exempting(url: str) -> AsyncIterator[Exempting]:
    async with Database(url) as database:
        await create_tables(database)
        registry, clock = HoldRegistry(database, lambda _: ()), StoppedClock()
        await registry.place(
            CHECKOUT, by="U1", reason="a reason", until=None, request="hold", now=clock.now()
        )
        yield Exempting(
            database,
            registry,
            ExemptionRequests(database, lambda _: ()),
            ExemptionUses(database),
            StatusReader(CurrentCatalog(catalog(CHECKOUT)), FortyPercent(), registry, clock),
            clock,
        )


async def test_it_ships_once(exempting: Exempting) -> None:
    id_ = await exempting.ask()
    assert (await exempting.state(id_), (await exempting.verdict()).allow) == (ExemptionState.PENDING, False)
    await exempting.approve(id_)
    assert (await exempting.state(id_), (await exempting.verdict()).allow) == (ExemptionState.GRANTED, True)
    await exempting.ship()
    assert (await exempting.state(id_), (await exempting.verdict()).allow) == (ExemptionState.USED, False)
    await exempting.ship(used_for="deployment 2")
    assert await exempting.audited("exemption.used") == 1


async def test_many_deployments_at_once_use_it_once(exempting: Exempting) -> None:
    await exempting.approve(await exempting.ask())
    await asyncio.gather(*(exempting.ship(used_for=f"deployment {number}") for number in range(5)))
    assert await exempting.audited("exemption.used") == 1


@pytest.mark.parametrize(
    ("change", "commit", "allow"),
    [
        ("PR-12", COMMIT, True),
        ("pr-12", COMMIT[:7], True),
        ("PR-12", COMMIT.upper(), True),
        ("PR-12", "f" * 40, False),
        ("PR-12", None, False),
        ("PR-12", COMMIT[:3], False),
        ("PR-13", COMMIT, False),
    ],
)
async def test_it_is_bound_to_the_change_and_its_commit(
    exempting: Exempting, change: str, commit: str | None, allow: bool
) -> None:
    await exempting.approve(await exempting.ask())
    verdict = await exempting.verdict(change, commit)
    assert verdict.allow is allow
    if not allow and change == "PR-12":
        assert f"PR-12 is exempt at commit {COMMIT[:12]} only" in verdict.reasons


async def test_it_runs_out_after_a_day(exempting: Exempting) -> None:
    id_ = await exempting.ask()
    await exempting.approve(id_)
    exempting.clock.time += timedelta(hours=23, minutes=59)
    assert (await exempting.verdict()).allow
    exempting.clock.time += timedelta(minutes=1)
    assert not (await exempting.verdict()).allow
    assert await exempting.state(id_) is ExemptionState.EXPIRED


async def test_whom_it_let_through_may_ask_again_for_an_hour(exempting: Exempting) -> None:
    id_ = await exempting.ask()
    await exempting.approve(id_)
    for minutes in (0, 20, 39):
        exempting.clock.time += timedelta(minutes=minutes)
        verdict = await exempting.verdict()
        assert verdict.allow
        await exempting.uses.claim(verdict, "ci", exempting.clock.now())
    assert await exempting.audited("exemption.claimed") == 1
    exempting.clock.time += timedelta(minutes=1)
    assert not (await exempting.verdict()).allow
    assert await exempting.state(id_) is ExemptionState.USED


async def test_nobody_approves_what_they_asked_for(exempting: Exempting) -> None:
    id_ = await exempting.ask(by="U0SAM")
    with pytest.raises(OwnRequestError):
        await exempting.approve(id_, by="U0SAM")
    assert await exempting.state(id_) is ExemptionState.PENDING
    await exempting.approve(id_, by="U0RILEY")
    with pytest.raises(NotWaitingError):
        await exempting.approve(id_, by="U0MORGAN")


async def test_one_change_is_asked_for_once(exempting: Exempting) -> None:
    id_ = await exempting.ask()
    with pytest.raises(ExemptionWaitingError) as caught:
        await exempting.ask("pr-12")
    assert caught.value.waiting.id == id_
    async with exempting.database.reading() as connection:
        found = await find_open(connection, "checkout", "PR-12", COMMIT, exempting.clock.now())
        listed = await read_records(connection, None, exempting.clock.now())
    assert found is not None
    assert [record.asked.id for record in listed] == [found.asked.id] == [id_]


async def test_a_declined_one_lets_nothing_through_and_may_be_asked_again(exempting: Exempting) -> None:
    id_ = await exempting.ask()
    await exempting.requests.decline(CHECKOUT, id_, by="U0SAM", comment="no", now=exempting.clock.now())
    assert await exempting.state(id_) is ExemptionState.DECLINED
    assert not (await exempting.verdict()).allow
    assert await exempting.ask() != id_


async def test_a_request_that_nobody_decided_on_runs_out(exempting: Exempting) -> None:
    id_ = await exempting.ask()
    exempting.clock.time += timedelta(days=1)
    assert await exempting.state(id_) is ExemptionState.EXPIRED
    with pytest.raises(NotWaitingError):
        await exempting.approve(id_)
