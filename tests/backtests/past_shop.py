"""The sandbox's shop over months: its traffic, with outages that a seed draws, and the live loop over it."""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.backtests.replay import PastTransition
from bot.budgets.evaluator import Assessed, Evaluator
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.pushed_events import PushedEvent
from bot.budgets.reading.collector import Collector
from bot.catalog.catalog import Catalog
from bot.catalog.current import CurrentCatalog
from bot.freezes.budget_judge import BudgetJudge
from bot.sandbox.demo.traffic import STREAMS, Stream, count
from bot.store.database import Database
from tests.freezes.conftest import announce_name
from tests.support.clock import DAY, HOUR, MINUTE, StoppedClock

PART = 5 * MINUTE
HISTORY = 30 * DAY + 2 * HOUR
"""What lies before the first decision: one window."""

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Outage:
    """A time in which a share of a stream's requests failed."""

    stream: Stream
    start: datetime
    end: datetime
    bad: float

    def touches(self, start: datetime, end: datetime) -> bool:
        return self.start < end and start < self.end


def outages(start: datetime, days: int, seed: int) -> list[Outage]:
    """Draw outages that spend much or little: some warn, some freeze, some only burn for a while."""
    draw = random.Random(seed)  # noqa: S311 - reproducible, not secret
    found = []
    for stream in STREAMS:
        at = start - HISTORY + DAY * draw.uniform(2, 20)
        while at < start + days * DAY:
            minutes = draw.choice([20, 45, 90, 180])
            spent = draw.choice([0.15, 0.4, 0.7, 1.0])
            # The share of requests that has to fail for so much of a month's budget to be spent.
            bad = min(0.9, spent * (1 - stream.objective) * 43_200 / minutes)
            begins = at.replace(minute=at.minute // 5 * 5, second=0, microsecond=0)
            found.append(Outage(stream, begins, begins + minutes * MINUTE, bad))
            at += DAY * draw.uniform(6, 20)
    return found


class PastShop:
    """The shop from one window before `start` on, for so many days."""

    def __init__(
        self, database: Database, catalog: Catalog, start: datetime, days: int, *, seed: int
    ) -> None:
        self.start, self.end = start, start + days * DAY
        self.outages = outages(start, days, seed)
        self.ledger = Ledger(database)
        self._catalog = catalog
        self._clock = StoppedClock(start)
        self._judge = BudgetJudge(database, announce_name)
        self._evaluator = Evaluator(
            Collector(self.ledger, {}), self.ledger, CurrentCatalog(catalog), self._clock, self._assessed
        )
        self.happened: dict[str, list[PastTransition]] = defaultdict(list)

    async def _assessed(self, assessed: Assessed, now: datetime) -> None:
        for name, transitions in (await self._judge.judge_all(assessed, now)).items():
            self.happened[name] += [PastTransition(now, transition) for transition in transitions]

    async def live(self) -> Mapping[str, Sequence[PastTransition]]:
        """Let the loop run over the shop's time, as its counts come in; return what it decided.

        It looks every five minutes while something burns, else every other hour: time is set, not waited for.
        """
        services = list(self._catalog.services.values())
        await self._push(self.start - HISTORY, self.start, HOUR)
        day = self.start
        while day < self.end:
            await self._push(day, day + DAY, PART)
            for moment in self._moments(day):
                # The last second of a part: all of it is counted, and nothing after it.
                self._clock.time = moment - _SECOND
                await self._evaluator.evaluate(services)
            day += DAY
        return self.happened

    def _moments(self, day: datetime) -> Iterator[datetime]:
        for number in range(24):
            hour = day + number * HOUR
            is_busy = self._is_busy(hour)
            if is_busy:
                yield from (hour + part * PART for part in range(1, 12))
            if is_busy or number % 2:
                yield hour + HOUR

    def _is_busy(self, hour: datetime) -> bool:
        return any(outage.touches(hour - HOUR, hour + HOUR) for outage in self.outages)

    async def _push(self, start: datetime, end: datetime, width: timedelta) -> None:
        events = []
        for stream in STREAMS:
            slo = next(slo for slo in self._catalog.services[stream.service].slos if slo.name == stream.slo)
            at = start
            while at < end:
                counted = count(stream, at + width, width, self.start, self._bad(stream, at, width))
                events.append(PushedEvent(slo, counted.good, counted.bad, at + width / 2))
                at += width
        await self.ledger.push(events, end)

    def _bad(self, stream: Stream, at: datetime, width: timedelta) -> float:
        """Return the share that failed in a part: where an outage covers some of it, in proportion."""
        share = stream.usual_bad
        for outage in self.outages:
            if outage.stream is stream and outage.touches(at, at + width):
                covered = min(outage.end, at + width) - max(outage.start, at)
                share += outage.bad * (covered / width)
        return min(1.0, share)
