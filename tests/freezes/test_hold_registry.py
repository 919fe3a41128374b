"""Decisions carried out: holds, audit rows and announcements come together or not at all."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import pytest
from sqlalchemy import select

from bot.freezes.hold import Hold, HoldKind
from bot.freezes.hold_registry import (
    AlreadyRequestedError,
    HoldRegistry,
    NothingToLiftError,
    TransitionContext,
)
from bot.store import audit
from bot.store.database import Database
from bot.store.outbox import OutboxMessage
from bot.store.tables.core import outbox
from tests.support.clock import HOUR, MINUTE, NOW
from tests.support.values import budget, service

CHECKOUT = service()


async def place(hold_registry: HoldRegistry, request: str = "r1", until: datetime | None = None) -> Hold:
    return await hold_registry.place(
        CHECKOUT, by="U1", reason="migration", until=until, request=request, now=NOW
    )


async def actions(database: Database) -> list[tuple[str, str]]:
    async with database.reading() as connection:
        return [(row.entry.actor, row.entry.action) for row in await audit.read(connection)]


async def told(database: Database) -> list[tuple[str, str]]:
    async with database.reading() as connection:
        rows = await connection.execute(select(outbox).order_by(outbox.c.id))
        return [(row.channel, row.event_type) for row in rows]


async def test_a_spent_budget_freezes_with_its_audit_row_and_both_announcements(
    hold_registry: HoldRegistry, database: Database
) -> None:
    await hold_registry.judge_budgets(CHECKOUT, [budget(-0.1)], NOW)
    (hold,) = await hold_registry.holds(NOW)
    assert (hold.kind, hold.by, hold.slo) == (HoldKind.BUDGET, "governor", "availability")
    assert await actions(database) == [("governor", "service.frozen")]
    assert await told(database) == [("#checkout", "BudgetExhausted"), ("#releases", "BudgetExhausted")]


async def test_many_services_that_cross_together_freeze_once_each_in_their_order(
    hold_registry: HoldRegistry, database: Database
) -> None:
    services = [service(f"service-{number}") for number in range(50)]
    assessed = [(one, [budget(0.9 if number % 5 == 0 else -0.1)]) for number, one in enumerate(services)]
    happened = await hold_registry.judge_all(assessed, NOW)
    spent = [one.name for number, one in enumerate(services) if number % 5]
    assert list(happened) == spent
    assert [hold.service for hold in await hold_registry.holds(NOW)] == spent
    assert await actions(database) == [("governor", "service.frozen")] * 40
    assert len(await told(database)) == 80
    assert await hold_registry.judge_all(assessed, NOW) == {}


async def test_the_whole_way_from_warning_to_recovery_is_in_the_audit_log_in_order(
    hold_registry: HoldRegistry, database: Database
) -> None:
    for minute, left in enumerate((0.4, -0.1, 0.2, 0.2)):
        await hold_registry.judge_budgets(CHECKOUT, [budget(left)], NOW + minute * 16 * MINUTE)
    assert [action for _, action in await actions(database)] == [
        "budget.warned",
        "service.frozen",
        "service.unfrozen",
    ]
    assert await hold_registry.holds(NOW + HOUR) == ()


async def test_evaluators_that_see_the_same_crossing_at_once_freeze_once(
    hold_registry: HoldRegistry, database: Database
) -> None:
    await asyncio.gather(*(hold_registry.judge_budgets(CHECKOUT, [budget(-0.1)], NOW) for _ in range(8)))
    assert len(await hold_registry.holds(NOW)) == 1
    assert len(await told(database)) == 2


async def test_a_crash_while_telling_leaves_no_hold_behind(database: Database) -> None:
    def broken(_: TransitionContext) -> Sequence[OutboxMessage]:
        raise RuntimeError("no words")

    hold_registry = HoldRegistry(database, broken)
    with pytest.raises(RuntimeError):
        await hold_registry.judge_budgets(CHECKOUT, [budget(-0.1)], NOW)
    assert await hold_registry.holds(NOW) == ()
    assert await actions(database) == []


async def test_a_person_freezes_and_lifts(hold_registry: HoldRegistry, database: Database) -> None:
    hold = await place(hold_registry)
    assert await hold_registry.holds(NOW, "checkout") == (hold,)
    await hold_registry.lift(CHECKOUT, by="U2", reason="done", now=NOW + MINUTE)
    assert await hold_registry.holds(NOW + MINUTE) == ()
    assert await actions(database) == [("U1", "hold.placed"), ("U2", "hold.lifted")]


async def test_a_repeated_request_places_one_hold(hold_registry: HoldRegistry) -> None:
    await place(hold_registry)
    with pytest.raises(AlreadyRequestedError):
        await place(hold_registry)
    assert len(await hold_registry.holds(NOW)) == 1


async def test_a_repeated_request_lifts_nothing_that_was_placed_since(hold_registry: HoldRegistry) -> None:
    await place(hold_registry)
    await hold_registry.lift(CHECKOUT, by="U2", reason="done", now=NOW, request="lift-1")
    await hold_registry.place(CHECKOUT, by="U1", reason="again", until=None, request="other", now=NOW)
    with pytest.raises(AlreadyRequestedError):
        await hold_registry.lift(CHECKOUT, by="U2", reason="done", now=NOW, request="lift-1")
    assert len(await hold_registry.holds(NOW)) == 1


async def test_a_person_cannot_lift_the_bots_hold(hold_registry: HoldRegistry) -> None:
    await hold_registry.judge_budgets(CHECKOUT, [budget(-0.1)], NOW)
    with pytest.raises(NothingToLiftError) as refused:
        await hold_registry.lift(CHECKOUT, by="U1", reason="please", now=NOW)
    assert [hold.kind for hold in refused.value.holds] == [HoldKind.BUDGET]
    assert len(await hold_registry.holds(NOW)) == 1


async def test_the_bot_never_lifts_a_persons_hold(hold_registry: HoldRegistry) -> None:
    await hold_registry.judge_budgets(CHECKOUT, [budget(-0.1)], NOW)
    await place(hold_registry)
    for minute in range(0, 60, 15):
        await hold_registry.judge_budgets(CHECKOUT, [budget(0.9)], NOW + minute * MINUTE)
    assert [hold.kind for hold in await hold_registry.holds(NOW + HOUR)] == [HoldKind.PERSON]


async def test_a_hold_with_an_end_expires_once_and_is_told(
    hold_registry: HoldRegistry, database: Database
) -> None:
    await place(hold_registry, until=NOW + HOUR)
    assert await hold_registry.expire([CHECKOUT], NOW + 59 * MINUTE) == ()
    assert len(await hold_registry.expire([CHECKOUT], NOW + HOUR)) == 1
    assert await hold_registry.expire([CHECKOUT], NOW + HOUR) == ()
    assert (await told(database))[-1] == ("#releases", "HoldExpired")
    assert (await actions(database))[-1] == ("governor", "hold.expired")


async def test_an_exemption_is_remembered_until_it_runs_out(hold_registry: HoldRegistry) -> None:
    await hold_registry.exempt(
        CHECKOUT, change="PR-12", by="U1", reason="leak", until=NOW + HOUR, request="r1", now=NOW
    )
    assert [e.change for e in await hold_registry.exemptions("checkout", NOW)] == ["PR-12"]
    assert await hold_registry.exemptions("checkout", NOW + HOUR) == []


async def test_what_is_told_of_a_recovery_knows_who_still_holds(database: Database) -> None:
    seen: list[TransitionContext] = []

    def listen(occasion: TransitionContext) -> Sequence[OutboxMessage]:
        seen.append(occasion)
        return ()

    hold_registry = HoldRegistry(database, listen)
    await hold_registry.judge_budgets(CHECKOUT, [budget(-0.1)], NOW)
    await place(hold_registry)
    for minute in (1, 17):
        await hold_registry.judge_budgets(CHECKOUT, [budget(0.9)], NOW + minute * MINUTE)
    assert [[h.kind for h in o.other_holds] for o in seen] == [[], ["budget"], ["person"]]
