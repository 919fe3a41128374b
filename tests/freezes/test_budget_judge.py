"""Decisions on budgets carried out: holds, audit rows and announcements come together or not at all."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from bot.budgets.budget import Budget
from bot.budgets.statistics.forecast import BudgetForecast
from bot.deployments.records import add, last_to_production
from bot.freezes.budget_judge import BudgetJudge
from bot.freezes.hold import HoldKind
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.hold_writer import TransitionContext
from bot.freezes.transition import HoldLifted
from bot.store.database import Database
from bot.store.outbox import OutboxMessage
from tests.deployments.test_records import deployed
from tests.freezes.store_contents import announcements, audited_actions
from tests.support.clock import HOUR, MINUTE, NOW
from tests.support.values import budget, service, slo

CHECKOUT = service()


async def place(hold_registry: HoldRegistry) -> None:
    await hold_registry.place(CHECKOUT, by="U1", reason="migration", until=None, request="r1", now=NOW)


async def test_a_spent_budget_freezes_with_its_audit_row_and_both_announcements(
    judge: BudgetJudge, hold_registry: HoldRegistry, database: Database
) -> None:
    await judge.judge(CHECKOUT, [budget(-0.1)], NOW)
    (hold,) = await hold_registry.holds(NOW)
    assert (hold.kind, hold.by, hold.slo) == (HoldKind.BUDGET, "governor", "availability")
    assert await audited_actions(database) == [("governor", "service.frozen")]
    assert await announcements(database) == [
        ("#checkout", "BudgetExhausted"),
        ("#releases", "BudgetExhausted"),
    ]


async def test_many_services_that_cross_together_freeze_once_each_in_their_order(
    judge: BudgetJudge, hold_registry: HoldRegistry, database: Database
) -> None:
    services = [service(f"service-{number}") for number in range(50)]
    assessed = [
        (checked, [budget(0.9 if number % 5 == 0 else -0.1)]) for number, checked in enumerate(services)
    ]
    happened = await judge.judge_all(assessed, NOW)
    spent = [frozen.name for number, frozen in enumerate(services) if number % 5]
    assert list(happened) == spent
    assert [hold.service for hold in await hold_registry.holds(NOW)] == spent
    assert await audited_actions(database) == [("governor", "service.frozen")] * 40
    assert len(await announcements(database)) == 80
    assert await judge.judge_all(assessed, NOW) == {}


async def test_the_whole_way_from_warning_to_recovery_is_in_the_audit_log_in_order(
    judge: BudgetJudge, hold_registry: HoldRegistry, database: Database
) -> None:
    for minute, left in enumerate((0.4, -0.1, 0.2, 0.2)):
        await judge.judge(CHECKOUT, [budget(left)], NOW + minute * 16 * MINUTE)
    assert [action for _, action in await audited_actions(database)] == [
        "budget.warned",
        "service.frozen",
        "service.unfrozen",
    ]
    assert await hold_registry.holds(NOW + HOUR) == ()


async def test_what_was_deployed_last_is_told_with_what_may_have_come_of_it(database: Database) -> None:
    told: list[TransitionContext] = []

    def listen(context: TransitionContext) -> Sequence[OutboxMessage]:
        told.append(context)
        return ()

    judge, search = BudgetJudge(database, listen, read_preceding=last_to_production), service("search")
    async with database.transaction() as connection:
        await add(database, connection, "checkout", deployed("1.4.2", NOW - 12 * MINUTE))
        await add(database, connection, "checkout", deployed("1.4.3", NOW + 5 * MINUTE))
    await judge.judge_all([(CHECKOUT, [budget(0.4)]), (search, [budget(0.4)])], NOW)
    for minutes, left in ((20, -0.1), (40, 0.5), (60, 0.5)):
        await judge.judge(CHECKOUT, [budget(left)], NOW + minutes * MINUTE)
    named = [context.background.deployment for context in told]
    assert [deployment and deployment.name for deployment in named] == ["1.4.2", None, "1.4.3", None]


async def test_what_will_become_of_the_budget_is_told_with_it(database: Database) -> None:
    told: list[TransitionContext] = []

    def listen(context: TransitionContext) -> Sequence[OutboxMessage]:
        told.append(context)
        return ()

    async def foresee(budgets: Sequence[Budget]) -> Sequence[BudgetForecast | None]:
        known = BudgetForecast(NOW, None, None, {})
        return [known if each.slo.name == "availability" else None for each in budgets]

    judge, latency = BudgetJudge(database, listen, forecast=foresee), slo("latency")
    for minutes, left in ((0, 0.4), (20, -0.1), (40, 0.5), (60, 0.5)):
        await judge.judge(CHECKOUT, [budget(left)], NOW + minutes * MINUTE)
    await judge.judge(service("search"), [budget(0.4, of=latency)], NOW)
    assert [list(context.background.forecasts) for context in told] == [
        ["availability"],
        ["availability"],
        [],
        [],
    ]


async def test_evaluators_that_see_the_same_crossing_at_once_freeze_once(
    judge: BudgetJudge, hold_registry: HoldRegistry, database: Database
) -> None:
    await asyncio.gather(*(judge.judge(CHECKOUT, [budget(-0.1)], NOW) for _ in range(8)))
    assert len(await hold_registry.holds(NOW)) == 1
    assert len(await announcements(database)) == 2


async def test_a_crash_while_telling_leaves_no_hold_behind(database: Database) -> None:
    def broken(_: TransitionContext) -> Sequence[OutboxMessage]:
        raise RuntimeError("no words")

    judge = BudgetJudge(database, broken)
    with pytest.raises(RuntimeError):
        await judge.judge(CHECKOUT, [budget(-0.1)], NOW)
    assert await HoldRegistry(database, broken).holds(NOW) == ()
    assert await audited_actions(database) == []


async def test_the_bot_never_lifts_a_persons_hold(judge: BudgetJudge, hold_registry: HoldRegistry) -> None:
    await judge.judge(CHECKOUT, [budget(-0.1)], NOW)
    await place(hold_registry)
    for minute in range(0, 60, 15):
        await judge.judge(CHECKOUT, [budget(0.9)], NOW + minute * MINUTE)
    assert [hold.kind for hold in await hold_registry.holds(NOW + HOUR)] == [HoldKind.PERSON]


async def test_what_is_told_of_a_recovery_knows_who_still_holds(database: Database) -> None:
    seen: list[TransitionContext] = []

    def listen(context: TransitionContext) -> Sequence[OutboxMessage]:
        seen.append(context)
        return ()

    judge, hold_registry = BudgetJudge(database, listen), HoldRegistry(database, listen)
    await judge.judge(CHECKOUT, [budget(-0.1)], NOW)
    await place(hold_registry)
    for minute in (1, 17):
        await judge.judge(CHECKOUT, [budget(0.9)], NOW + minute * MINUTE)
    assert [[hold.kind for hold in context.other_holds] for context in seen] == [[], ["budget"], ["person"]]


async def test_a_hold_is_lifted_once_the_service_has_had_no_slo_for_the_dwell(
    judge: BudgetJudge, hold_registry: HoldRegistry
) -> None:
    await judge.judge(service(), [budget(-0.1)], NOW)
    without = service(slos=())
    dwell = without.error_budget_policy.dwell
    assert await judge.judge(without, [], NOW) == ()
    assert await judge.judge(without, [], NOW + dwell - timedelta(seconds=1)) == ()
    (lifted,) = await judge.judge(without, [], NOW + dwell)
    assert isinstance(lifted, HoldLifted)
    assert (lifted.by, lifted.reason) == ("governor", "the service has no SLO any more")
    assert await hold_registry.holds(NOW + dwell) == ()


async def test_a_service_without_slos_for_a_moment_stays_held(
    judge: BudgetJudge, hold_registry: HoldRegistry
) -> None:
    await judge.judge(service(), [budget(-0.1)], NOW)
    await judge.judge(service(slos=()), [], NOW)
    await judge.judge(service(), [budget(-0.1)], NOW + MINUTE)
    dwell = service().error_budget_policy.dwell
    assert await judge.judge(service(slos=()), [], NOW + dwell) == ()
    assert len(await hold_registry.holds(NOW + dwell)) == 1
