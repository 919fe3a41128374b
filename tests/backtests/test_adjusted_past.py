"""A backtest takes the record as it is adjusted: what does not count spends nothing there either."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import insert

from bot.backtests.past_reader import PastReader
from bot.backtests.replay import SloPast, replay
from bot.backtests.runner import BacktestRunner
from bot.budgets.adjustments.adjustment import Adjustment, AdjustmentKind, CountsAs
from bot.budgets.adjustments.records import row_values
from bot.budgets.downtime import none_recorded
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.pushed_events import PushedEvent
from bot.catalog.slo import DowntimeSli, Slo
from bot.catalog.window import RollingWindow, Span
from bot.incidents.downtime import Impact, bad_seconds
from bot.store.database import Database
from bot.store.tables.adjustments import adjustments
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.values import catalog, service, slo

WEEK = RollingWindow(7 * DAY)
COUNTED = slo(window=WEEK)
START = NOW - 3 * DAY
OUTAGES = (NOW - 2 * DAY, NOW - 3 * HOUR)
"""Each of them twenty minutes in which everything fails, one kept by five minutes, one by the minute."""


async def push(ledger: Ledger, of: Slo) -> None:
    events: list[PushedEvent] = []
    at = NOW - 12 * DAY
    while at < NOW:
        width = 5 * MINUTE
        fails = any(outage <= at < outage + 20 * MINUTE for outage in OUTAGES)
        good, bad = (0.0, 500.0) if fails else (500.0, 0.0)
        events.append(PushedEvent(of, good, bad, at + width / 2))
        at += width
    await ledger.push(events, NOW)


async def adjust(database: Database, *given: Adjustment) -> None:
    async with database.transaction() as connection:
        for each in given:
            await connection.execute(insert(adjustments).values(row_values(each, f"{each.id}")))


def left_out(number: int, start: datetime, counts_as: CountsAs = CountsAs.DROPPED) -> Adjustment:
    span = Span(start, start + 20 * MINUTE)
    return Adjustment(
        number, "checkout", None, AdjustmentKind.EXCLUSION, counts_as, span, "test", "U0SAM", NOW
    )


async def past(database: Database, of: Slo, downtime: object = none_recorded) -> SloPast:
    found = (await PastReader(database, downtime, NOW).read([of], START))[of]  # type: ignore[arg-type]
    assert isinstance(found, SloPast)
    return found


async def test_a_past_sums_as_the_ledger_does_after_adjustments(database: Database) -> None:
    ledger = Ledger(database)
    await push(ledger, COUNTED)
    removed = -40
    span = Span(OUTAGES[1], OUTAGES[1] + 20 * MINUTE)
    corrected = Adjustment(
        3, "checkout", "availability", AdjustmentKind.CORRECTION, CountsAs.GOOD, span, "x", "U1", NOW, removed
    )
    assert not (await past(database, COUNTED)).is_adjusted
    await adjust(database, left_out(1, OUTAGES[0]), corrected)
    known = await past(database, COUNTED)
    assert known.is_adjusted
    spans = [Span(NOW - 7 * DAY, NOW), Span(NOW - 2 * DAY, NOW), Span(NOW - 4 * HOUR, NOW)]
    for of, summed in zip(spans, await ledger.counts(COUNTED, spans, NOW), strict=True):
        replayed = known.counts.events(of)
        assert (replayed.bad, replayed.total) == (summed.bad, summed.total)
    whole = known.counts.events(spans[0])
    assert (whole.bad, whole.total) == (2_000 - 40, 7 * 24 * 12 * 500 - 2_000)


async def test_what_is_left_out_freezes_nothing_and_that_is_noted(database: Database) -> None:
    of = service(slos=(COUNTED,))
    await push(Ledger(database), COUNTED)
    runner, span = BacktestRunner(database, none_recorded), Span(START, NOW)
    (before,) = await runner.run({"now": catalog(of)}, span)
    assert before.services[0].freezes
    assert not [note for note in before.notes if "adjusted" in note]
    await adjust(database, *(left_out(number, at) for number, at in enumerate(OUTAGES)))
    (after,) = await runner.run({"now": catalog(of)}, span)
    assert after.services[0].freezes == ()
    assert [note for note in after.notes if "as the record is adjusted now" in note]


async def test_downtime_that_is_left_out_is_replayed_as_the_ledger_has_it(database: Database) -> None:
    of = slo(window=WEEK, sli=DowntimeSli())
    impact = Impact(OUTAGES[0], OUTAGES[0] + 40 * MINUTE)

    async def recorded(_service: str, spans: Sequence[Span]) -> Sequence[float]:
        return [bad_seconds([impact], span) for span in spans]

    await adjust(database, left_out(1, OUTAGES[0]))
    known = await past(database, of, recorded)
    (counted,) = await Ledger(database, recorded).downtime_counts(of, [Span(NOW - 7 * DAY, NOW)])
    found = known.counts.sums((NOW - 7 * DAY).timestamp(), NOW.timestamp())
    assert found == (1_200, -1_200) == (counted.bad, counted.total - 7 * DAY.total_seconds())
    shop = service(slos=(of,))
    (frozen, *_) = [
        each.transition
        for each in replay(shop, {of.name: known}, Span(START, NOW), 5 * MINUTE)
        if type(each.transition).__name__ == "BudgetExhausted"
    ]
    assert frozen.budget.events is not None  # type: ignore[union-attr]
    assert frozen.budget.events.total == 7 * DAY.total_seconds() - 1_200  # type: ignore[union-attr]
