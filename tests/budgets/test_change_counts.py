"""What was counted before a change and since, on both stores."""

from datetime import timedelta

from bot.budgets.budget import NO_EVENTS, EventCounts
from bot.budgets.change_counts import ChangeCounter, ChangeCounts
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.pushed_events import PushedEvent
from bot.catalog.current import CurrentCatalog
from bot.store.database import Database
from tests.support.clock import HOUR, MINUTE, NOW, StoppedClock
from tests.support.values import catalog, slo

SECOND = timedelta(seconds=1)
FIVE = 5 * MINUTE


async def test_events_before_and_since_a_change_are_counted_apart(database: Database) -> None:
    pushed, ledger, clock = slo(), Ledger(database), StoppedClock()
    counter = ChangeCounter(ledger, CurrentCatalog(catalog()), clock)
    change = clock.now() - 20 * MINUTE + SECOND
    bucket = change - SECOND
    assert await counter.count(pushed, change, FIVE) == ChangeCounts()
    await ledger.push(
        [
            PushedEvent(pushed, 100, 1, bucket - HOUR - MINUTE),
            PushedEvent(pushed, 50, 2, bucket - MINUTE),
            # May have come before the change or after.
            PushedEvent(pushed, 1_000, 1_000, bucket),
            PushedEvent(pushed, 7, 3, bucket + MINUTE),
            PushedEvent(pushed, 4, 1, clock.now() - MINUTE),
        ],
        clock.now(),
    )
    counted = await counter.count(pushed, change, FIVE)
    assert counted.before == EventCounts(2, 52)
    assert counted.since == EventCounts(4, 15)
    assert counted.recent == EventCounts(1, 5)
    assert (await counter.count(pushed, change, FIVE, clock.now() - FIVE)).since == EventCounts(3, 10)


async def test_the_newest_part_never_reaches_before_the_change(database: Database) -> None:
    pushed, ledger, clock = slo(), Ledger(database), StoppedClock()
    counter = ChangeCounter(ledger, CurrentCatalog(catalog()), clock)
    change = NOW - 2 * MINUTE
    await ledger.push([PushedEvent(pushed, 5, 5, NOW - 3 * MINUTE)], NOW)
    await ledger.push([PushedEvent(pushed, 3, 0, NOW - MINUTE)], NOW)
    counted = await counter.count(pushed, change, FIVE)
    assert (counted.since, counted.recent) == (EventCounts(0, 3), EventCounts(0, 3))
    assert (await counter.count(pushed, NOW, FIVE)).since == NO_EVENTS
