"""What the gate keeps in memory is never older than a commit of this process."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.budget import Budget, MeasuredBudgets
from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.freezes.budget_judge import BudgetJudge
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.status import NotMeasuredYetError, StatusReader
from bot.freezes.verdict import Change, VerdictAnswer
from bot.store.database import Database
from bot.store.signals import Topic
from tests.http.conftest import FortyPercent
from tests.support.clock import StoppedClock
from tests.support.stores import create_tables
from tests.support.values import budget, catalog, service, slo

CHECKOUT = service(slos=(slo(),))
CHANGE = Change("PR-12")
HOUR = timedelta(hours=1)


@dataclass
class Counting(FortyPercent):
    """Counts how often budgets are computed, and has those of an evaluation where a test puts them."""

    assessed: int = 0
    newest: dict[str, MeasuredBudgets] = field(default_factory=dict)

    async def assess(self, services: Sequence[Service], now: datetime) -> Sequence[Sequence[Budget]]:
        self.assessed += 1
        return await super().assess(services, now)


@dataclass
class Kept:
    """A reader of verdicts as the bot has it, and what it reads from."""

    database: Database
    registry: HoldRegistry
    budgets: Counting
    clock: StoppedClock
    reader: StatusReader

    async def answer(self) -> VerdictAnswer:
        return (await self.reader.verdict("checkout", CHANGE)).answer

    async def judge(self) -> None:
        await BudgetJudge(self.database, lambda _: ()).judge(CHECKOUT, [budget(0.4)], self.clock.now())

    async def freeze(self, request: str = "one") -> None:
        await self.registry.place(
            CHECKOUT, by="U1", reason="a reason", until=None, request=request, now=self.clock.now()
        )


@pytest.fixture
async def kept(url: str) -> AsyncIterator[Kept]:
    async with Database(url) as database:
        await create_tables(database)
        registry, budgets, clock = HoldRegistry(database, lambda _: ()), Counting(), StoppedClock()
        reader = StatusReader(
            CurrentCatalog(catalog(CHECKOUT)), budgets, registry, clock, newest=budgets.newest.get
        )
        database.signals.subscribe([Topic.HOLDS], reader.invalidate)
        database.signals.subscribe([Topic.EVENTS], reader.note_events)
        yield Kept(database, registry, budgets, clock, reader)


async def test_a_service_that_was_never_judged_is_not_answered_with_yes(kept: Kept) -> None:
    with pytest.raises(NotMeasuredYetError, match="checkout has not been measured yet"):
        await kept.answer()
    await kept.judge()
    assert await kept.answer() is VerdictAnswer.GO


async def test_a_hold_keeps_also_a_service_that_was_never_judged(kept: Kept) -> None:
    await kept.freeze()
    assert await kept.answer() is VerdictAnswer.WAIT


async def test_a_flag_change_needs_no_measurement(kept: Kept) -> None:
    assert (await kept.reader.verdict("checkout", CHANGE, is_deployment=False)).allow


async def test_what_this_process_commits_is_seen_by_the_next_question(kept: Kept) -> None:
    await kept.judge()
    for number in range(3):
        assert await kept.answer() is VerdictAnswer.GO
        await kept.freeze(f"freeze {number}")
        assert await kept.answer() is VerdictAnswer.WAIT
        await kept.registry.lift(CHECKOUT, by="U1", reason="", now=kept.clock.now())
    await kept.freeze("again")
    await kept.registry.exempt(
        CHECKOUT, change="PR-12", by="U1", reason="r", until=None, request="x", now=kept.clock.now()
    )
    assert await kept.answer() is VerdictAnswer.GO


async def test_while_one_question_reads_anew_those_beside_it_are_answered_until_something_changes(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept.judge()
    assert await kept.answer() is VerdictAnswer.GO
    monkeypatch.setattr("bot.freezes.gate.state._REREAD_AFTER_S", 0.0)
    begun, may_end = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def slow_reading() -> AsyncIterator[AsyncConnection]:
        begun.set()
        await may_end.wait()
        async with kept.database.reading() as connection:
            yield connection

    monkeypatch.setattr(kept.registry, "reading", slow_reading)
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(kept.answer())
        await begun.wait()
        assert await kept.answer() is VerdictAnswer.GO
        assert not first.done()
        await kept.freeze()
        second = tasks.create_task(kept.answer())
        await asyncio.sleep(0)
        may_end.set()
    assert (first.result(), second.result()) == (VerdictAnswer.WAIT, VerdictAnswer.WAIT)


async def test_a_hold_that_runs_out_opens_without_a_commit(kept: Kept) -> None:
    await kept.judge()
    now = kept.clock.now()
    await kept.registry.place(CHECKOUT, by="U1", reason="r", until=now + HOUR, request="one", now=now)
    verdict = await kept.reader.verdict("checkout", CHANGE)
    assert (verdict.answer, verdict.opens_at) == (VerdictAnswer.WAIT, now + HOUR)
    kept.clock.time += HOUR
    assert await kept.answer() is VerdictAnswer.GO


async def test_budgets_are_those_of_the_newest_evaluation(kept: Kept) -> None:
    await kept.judge()
    evaluated = kept.clock.now()
    kept.budgets.newest["checkout"] = MeasuredBudgets([budget(0.7, of=slo())], evaluated)
    kept.clock.time += timedelta(seconds=20)
    verdict = await kept.reader.verdict("checkout", CHANGE)
    assert kept.budgets.assessed == 0
    assert verdict.measured_at == evaluated
    assert verdict.budget is not None
    assert float(verdict.budget.remaining or 0) == pytest.approx(0.7)


async def test_old_data_makes_old_answers(kept: Kept) -> None:
    await kept.judge()
    now = kept.clock.now()
    old = [budget(0.7, of=slo(), as_of=now - 3 * HOUR)]
    kept.budgets.newest["checkout"] = MeasuredBudgets(old, now)
    assert (await kept.reader.verdict("checkout", CHANGE)).measured_at == now - 3 * HOUR


@pytest.mark.parametrize("why", ["events", "age", "policies"])
async def test_budgets_are_computed_anew_where_the_evaluation_is_behind(kept: Kept, why: str) -> None:
    await kept.judge()
    measured = [budget(0.7, of=slo())] if why != "policies" else []
    kept.budgets.newest["checkout"] = MeasuredBudgets(measured, kept.clock.now())
    if why == "events":
        kept.reader.note_events()
    if why == "age":
        kept.clock.time += HOUR
    verdict = await kept.reader.verdict("checkout", CHANGE)
    assert kept.budgets.assessed == 1
    assert verdict.measured_at == kept.clock.now()


async def test_an_evaluation_that_cannot_keep_up_is_answered_from_for_half_a_minute(kept: Kept) -> None:
    kept.reader.current.set(catalog(CHECKOUT, evaluate_every=timedelta(seconds=1)))
    await kept.judge()
    kept.budgets.newest["checkout"] = MeasuredBudgets([budget(0.7, of=slo())], kept.clock.now())
    for waited, computed in ((30, 0), (1, 1)):
        kept.clock.time += timedelta(seconds=waited)
        await kept.reader.verdict("checkout", CHANGE)
        assert kept.budgets.assessed == computed


async def test_a_workspace_sees_the_same_list_while_nothing_has_changed(kept: Kept) -> None:
    workspace = kept.reader.seen_from(None)
    seen = await workspace.services()
    assert [status.service.name for status in seen] == ["checkout"]
    # What is made of it, such as the pages of `/budget`, is made once.
    assert await workspace.services() is seen
    await kept.freeze()
    kept.reader.invalidate()
    frozen = await workspace.services()
    assert frozen is not seen
    assert frozen[0].is_frozen
    kept.reader.current.set(catalog(CHECKOUT, service("search")))
    kept.reader.invalidate()
    assert len(await workspace.services()) == 2
