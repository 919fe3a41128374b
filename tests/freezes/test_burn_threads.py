"""What is told of one burn stands in one thread a channel, whose head says how things are."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Row, select

from bot.budgets.budget import Budget
from bot.freezes.budget_judge import BudgetJudge
from bot.freezes.hold_registry import HoldRegistry
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.store.database import Database
from bot.store.tables.core import outbox
from bot.store.tables.threads import threads
from tests.support.clock import HOUR, MINUTE, NOW
from tests.support.examples import WORKSPACE, shop_service
from tests.support.values import budget, in_force

CHECKOUT = shop_service()
FAST = {HOUR: 20.0, timedelta(minutes=5): 20.0}
announce = FreezeAnnouncer(in_force(WORKSPACE))


@pytest.fixture
def judging(database: Database) -> BudgetJudge:
    return BudgetJudge(database, announce)


async def rows_of(database: Database, channel: str = "#checkout") -> Sequence[Row[Any]]:
    async with database.reading() as connection:
        query = (
            select(outbox).where(outbox.c.channel == channel, outbox.c.edits.is_(None)).order_by(outbox.c.id)
        )
        return (await connection.execute(query)).all()


async def judge_in_turn(judging: BudgetJudge, *budgets: Budget, since: datetime = NOW) -> None:
    """Judge the budgets one after the other, sixteen minutes apart: longer than the dwell."""
    for number, judged in enumerate(budgets):
        await judging.judge(CHECKOUT, [judged], since + number * 16 * MINUTE)


async def test_alert_warning_freeze_and_opening_are_one_thread(
    judging: BudgetJudge, database: Database
) -> None:
    fast = [budget(left, burn=FAST) for left in (0.6, 0.4, -0.1)]
    await judge_in_turn(judging, *fast, budget(0.5), budget(0.5))
    rows = await rows_of(database)
    assert [(row.event_type, row.is_broadcast) for row in rows] == [
        ("burn_alert", True),
        ("budget_warning", False),
        ("service_frozen", True),
        ("service_open", True),
    ]
    assert len({row.thread_id for row in rows}) == 1
    assert [row.head["text"].split("\n")[0] for row in rows] == [
        ":rotating_light: *checkout* burns its availability budget at 20.0× over 1\u00a0h — 60.0% is left.",
        ":warning: *checkout* has 40.0% of its availability budget left — below the mark of 50%.",
        ":snowflake: *checkout* may not ship — it has −10.0% of its availability budget left.",
        ":white_check_mark: *checkout* may ship again — it has 50.0% of its availability budget left.",
    ]
    everywhere = await rows_of(database, "#releases")
    assert [row.event_type for row in everywhere] == ["service_frozen", "service_open"]
    assert {row.thread_id for row in everywhere}.isdisjoint({row.thread_id for row in rows})


async def test_a_head_never_says_what_only_announcements_may(
    judging: BudgetJudge, database: Database
) -> None:
    await judge_in_turn(judging, budget(0.4, burn=FAST), budget(-0.1), budget(0.5), budget(0.5))
    for row in await rows_of(database):
        said = str([row.head["text"], row.head["blocks"]]).casefold()
        assert "freez" not in said
        assert "froz" not in said
        assert "open again" not in said


async def test_the_burn_after_an_opening_is_another_thread(judging: BudgetJudge, database: Database) -> None:
    await judge_in_turn(judging, budget(-0.1), budget(0.9), budget(0.9), budget(-0.1))
    frozen, opened, again = await rows_of(database)
    assert frozen.thread_id == opened.thread_id != again.thread_id


async def test_the_head_says_that_a_burn_is_over_which_froze_nothing(
    judging: BudgetJudge, database: Database
) -> None:
    await judge_in_turn(judging, budget(0.9, burn=FAST), budget(0.9), budget(0.9))
    alert, over = await rows_of(database)
    assert (over.thread_id, over.is_edit) == (alert.thread_id, True)
    assert over.text.startswith(
        ":white_check_mark: No alert fires any more — *checkout* has 90.0% of its availability budget left."
    )
    assert not await rows_of(database, "#releases")
    async with database.reading() as connection:
        assert [row.ended_at for row in await connection.execute(select(threads))] == [NOW + 16 * MINUTE]


async def test_a_warning_weeks_after_another_is_another_burn(
    judging: BudgetJudge, database: Database
) -> None:
    await judging.judge(CHECKOUT, [budget(0.45)], NOW)
    await judging.judge(CHECKOUT, [budget(0.24)], NOW + 20 * HOUR)
    await judging.judge(CHECKOUT, [budget(0.09)], NOW + 60 * HOUR)
    first, second, third = await rows_of(database)
    assert first.thread_id == second.thread_id != third.thread_id


async def test_a_freeze_of_weeks_opens_in_its_own_thread(judging: BudgetJudge, database: Database) -> None:
    await judging.judge(CHECKOUT, [budget(-0.1)], NOW)
    await judge_in_turn(judging, budget(0.5), budget(0.5), since=NOW + timedelta(days=20))
    frozen, opened = await rows_of(database)
    assert frozen.thread_id == opened.thread_id


async def test_a_persons_freeze_is_no_burn(database: Database) -> None:
    registry = HoldRegistry(database, announce)
    await registry.place(CHECKOUT, by="U0SAM", reason="peak sale", until=None, request="r", now=NOW)
    await registry.lift(CHECKOUT, by="U0SAM", reason="over", now=NOW + MINUTE)
    assert [row.thread_id for row in await rows_of(database)] == [None, None]


async def test_an_alert_during_a_freeze_does_not_hide_it(judging: BudgetJudge, database: Database) -> None:
    await judge_in_turn(judging, budget(-0.1), budget(-0.3, burn=FAST))
    *_, alert = await rows_of(database)
    assert alert.head["text"].startswith(":snowflake: *checkout* may not ship, and burns its availability")
