"""How Prometheus counts events that are samples, or slices of time: by subqueries at their moments. Pure."""

from dataclasses import dataclass
from datetime import timedelta

from bot.budgets.sources.prometheus.promql import LOOKBACK_S
from bot.budgets.sources.prometheus.samples import BAD, GOOD, TOTAL, SampledSli, at_once, interval_s
from bot.catalog.slo import CounterSlicesSli
from bot.formatting import duration_code
from bot.policy.prometheus_rules.counted import CountedSli

_NOTHING = "vector(0)"


@dataclass(frozen=True, slots=True)
class CountedSamples:
    """An SLI with events at multiples of `every`. Each text is a query for how many there are at one moment.

    `part` are the bad events among `total`, or the good ones.
    """

    source: str
    total: str
    part: str
    every: timedelta
    part_is_bad: bool = False
    delay: timedelta = timedelta()

    def events(self, window: timedelta) -> str:
        """Return the expression of all events in a window."""
        return self._summed(self.total, window)

    def errors(self, window: timedelta) -> str:
        """Return the expression of the bad events in a window."""
        part = f"({self._summed(self.part, window)} or {_NOTHING})"
        return part if self.part_is_bad else f"clamp_min({self.events(window)} - {part}, 0)"

    @property
    def missing(self) -> str:
        """The expression that has a value, 1, while there is nothing to measure; it has no labels."""
        every = duration_code(self.every)
        return f"absent(last_over_time(({self.total})[{LOOKBACK_S}s:{every}]{self._offset}))"

    def _summed(self, query: str, window: timedelta) -> str:
        # Before Prometheus 3, ranges include their start: without a millisecond, they do not.
        within = duration_code(window - timedelta(milliseconds=1))
        return f"sum_over_time(({query})[{within}:{duration_code(self.every)}]{self._offset})"

    @property
    def _offset(self) -> str:
        return f" offset {duration_code(self.delay)}" if self.delay else ""


def sampled(sli: SampledSli) -> CountedSamples:
    """Return how the samples of a ratio, of a gauge, or of its mean over slices are counted."""
    # A line break ends a comment; where there is none, it is not needed.
    queries = {
        name: query if "#" in query else query.replace("\n)", ")") for name, query in at_once(sli).items()
    }
    bad = queries.get(BAD)
    return CountedSamples(
        source=sli.source,
        total=queries[TOTAL],
        part=queries[GOOD] if bad is None else bad,
        every=timedelta(seconds=interval_s(sli)),
        part_is_bad=bad is not None,
    )


def slices(sli: CounterSlicesSli, counters: CountedSli) -> CountedSamples:
    """Return how slices of time are counted, by the share of the counters' good events in each."""
    events, errors = counters.events(sli.of), counters.errors(sli.of)
    share = f"(({events} - ({errors})) / ({events} > 0))"
    return CountedSamples(
        source=sli.source, total=f"count({share})", part=f"count({share} {sli.good_when})", every=sli.of
    )
