"""How Prometheus counts an SLI's events by itself: the expressions that its rules record. Pure.

They use `increase`, as rules everywhere do. The bot counts more closely, which takes several queries and
belongs in no rule (`budgets/sources/prometheus/promql.py`).
"""

from dataclasses import dataclass
from datetime import timedelta

from bot.budgets.sources.prometheus.api import WINDOW
from bot.budgets.sources.prometheus.promql import LOOKBACK_S, PRESENT_S
from bot.budgets.sources.prometheus.selectors import addends
from bot.formatting import duration_code

_NOTHING = "vector(0)"
_ADDEND = "governor_addend"
_QUERY_WIDTH = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class CountedSli:
    """An SLI in the words of one source. Each text is a selector, or a query with `$window`.

    `part` are the bad events among `total`, or the good ones; without `present` nothing can be measured.
    A histogram's `bucket` must be there for a series to count.
    """

    source: str
    total: str
    part: str
    present: str
    part_is_bad: bool = False
    bucket: str | None = None
    delay: timedelta = timedelta()
    """How late samples may come: events are counted up to so long ago."""

    def events(self, window: timedelta) -> str:
        """Return the expression of all events in a window."""
        if self.bucket is not None:
            has_bucket = f"ignoring (le) {self._increase(self.bucket, window)}"
            return f"sum({self._increase(self.total, window)} and {has_bucket})"
        return self._summed(self.total, window)

    def errors(self, window: timedelta) -> str:
        """Return the expression of the bad events in a window: 0 where no series tells of one."""
        part = self._summed(self.part, window)
        if self.part_is_bad:
            return f"{part} or {_NOTHING}"
        # No good event at all is an outage; no bucket at all is a threshold that the histogram lacks.
        good = part if self.bucket is not None else f"({part} or {_NOTHING})"
        return f"clamp_min({self.events(window)} - {good}, 0)"

    @property
    def missing(self) -> str:
        """The expression that has a value, 1, while there is nothing to measure; it has no labels."""
        if WINDOW in self.present:
            query = self.present.replace(WINDOW, duration_code(_QUERY_WIDTH))
            return f"absent(count(last_over_time(({query})[{LOOKBACK_S}s:1m]{self._offset})))"
        absent = (
            f"absent_over_time({selector}[{PRESENT_S}s]{self._offset})" for selector in addends(self.present)
        )
        return " or ".join(f"max({each})" for each in absent)

    @property
    def _offset(self) -> str:
        return f" offset {duration_code(self.delay)}" if self.delay else ""

    def _summed(self, text: str, window: timedelta) -> str:
        """Return the expression of what a selector, a sum of several, or a query counted in a window.

        Of a sum, an addend without a series counts nothing, as long as another has one.
        """
        if WINDOW in text or len(selectors := addends(text)) == 1:
            return f"sum({self._increase(text, window)})"
        parts = " or ".join(
            f'label_replace(sum({self._increase(each.strip(), window)}), "{_ADDEND}", "{place}", "", "")'
            for place, each in enumerate(selectors)
        )
        return f"sum({parts})"

    def _increase(self, text: str, window: timedelta) -> str:
        code = duration_code(window)
        if WINDOW not in text:
            return f"increase({text}[{code}]{self._offset})"
        if not self.delay:
            return text.replace(WINDOW, code)
        # A subquery of one step looks at the query as it was then.
        return f"last_over_time(({text.replace(WINDOW, code)})[1m:1m]{self._offset})"
