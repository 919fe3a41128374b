"""A freeze, or its end, that comes of an adjustment names it."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import insert

from bot.budgets.adjustment_causes import AdjustmentCauses
from bot.budgets.adjustment_preview import AdjustmentPreview
from bot.budgets.adjustments.adjustment import Adjustment, AdjustmentKind, AdjustmentState, CountsAs
from bot.budgets.adjustments.records import row_values
from bot.budgets.adjustments.registry import AdjustmentRegistry
from bot.budgets.assessment import AssessmentRequest, assess_all
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.pushed_events import PushedEvent
from bot.catalog.current import CurrentCatalog
from bot.catalog.window import Span
from bot.freezes.budget_judge import BudgetJudge
from bot.freezes.hold_writer import TransitionContext
from bot.slack.announcements.adjustments import AdjustmentAnnouncer
from bot.slack.announcements.freezes import FreezeAnnouncer, announcement_text
from bot.store.database import Database
from bot.store.outbox import OutboxMessage
from bot.store.tables.adjustments import adjustments
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.values import QUIET, catalog, service

CHECKOUT = service(policy=replace(QUIET, dwell=MINUTE))
START = NOW - 2 * HOUR


async def test_what_an_adjustment_moved_over_its_level_names_it(database: Database) -> None:
    current, ledger = CurrentCatalog(catalog(CHECKOUT)), Ledger(database)
    told: list[TransitionContext] = []

    def listen(context: TransitionContext) -> Sequence[OutboxMessage]:
        told.append(context)
        return FreezeAnnouncer(current)(context)

    registry = AdjustmentRegistry(database, AdjustmentAnnouncer(current))
    causes = AdjustmentCauses(database, AdjustmentPreview(ledger, current), current)
    judge = BudgetJudge(database, listen, find_adjustment=causes.find)
    of = CHECKOUT.slos[0]

    async def looks(minute: int) -> list[str]:
        now = NOW + minute * MINUTE
        before = len(told)
        await judge.judge(CHECKOUT, await assess_all(ledger, [AssessmentRequest(of)], now, MINUTE), now)
        texts = [announcement_text(each) for each in told[before:]]
        return [" ".join([text.headline, *text.facts]) for text in texts]

    for part in range(20):
        bad = 50.0 if part == 0 else 0.0
        event = PushedEvent(of, 1_000.0 - bad, bad, START + part * 5 * MINUTE, f"{part}")
        await ledger.push([event], NOW)
    (frozen,) = await looks(0)
    assert "It follows" not in frozen
    span = Span(START, START + 5 * MINUTE)
    asked = Adjustment(
        7, "checkout", None, AdjustmentKind.EXCLUSION, CountsAs.DROPPED, span, "test", "U0SAM", NOW - DAY,
        state=AdjustmentState.WAITING,
    )  # fmt: skip
    async with database.transaction() as connection:
        await connection.execute(insert(adjustments).values(row_values(asked, "7") | {"id": 7}))
    await registry.approve(CHECKOUT, 7, (), by="U0MORGAN", now=NOW + 2 * MINUTE)
    assert await looks(3) == []
    (opened,) = await looks(5)
    assert "is open again" in opened
    assert "It follows from an adjustment: <@U0MORGAN> approved 7 (leave out" in opened
    await registry.reverse(CHECKOUT, 7, (), by="U0SAM", reason="", now=NOW + 9 * MINUTE)
    (frozen,) = await looks(10)
    assert "It follows from an adjustment: <@U0SAM> reversed 7 (leave out" in frozen
