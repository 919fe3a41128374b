"""Made-up traffic as Prometheus would have scraped it: bursts of errors, restarts, pods that come and go."""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from bot.catalog.window import Span

METRIC = "http_requests_total"


@dataclass(frozen=True)
class Pod:
    """One scraped process with two counters, which it loses when it restarts.

    `restarts` is the mean time between restarts. It is there from `begins` to `ends` after the traffic's
    start; in the stretches `silent` it was not scraped, though it went on counting.
    """

    name: str
    rate: float = 20.0
    restarts: timedelta | None = None
    begins: timedelta = timedelta()
    ends: timedelta = timedelta.max
    silent: tuple[tuple[timedelta, timedelta], ...] = ()


class Traffic:
    """Scrapes of some pods over a span. Few requests fail but in bursts, in which a third does."""

    def __init__(self, span: Span, scrape_every: timedelta, pods: tuple[Pod, ...], seed: int = 1) -> None:
        self.span = span
        self._every = scrape_every
        self._random = random.Random(seed)  # noqa: S311 - made-up traffic keeps no secrets
        self._bursts = list(self._made_up_bursts())
        # By code and pod: the times of the scrapes and the counter's values.
        self.samples: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        for pod in pods:
            self._run(pod)

    def openmetrics(self) -> str:
        """Return the scrapes in the form that promtool reads."""
        lines = [f"# TYPE {METRIC.removesuffix('_total')} counter"]
        for (code, pod), samples in self.samples.items():
            labels = f'{METRIC}{{service="checkout",code="{code}",pod="{pod}"}}'
            lines += [f"{labels} {value:.0f} {at:.3f}" for at, value in samples]
        return "\n".join([*lines, "# EOF", ""])

    def counted(self, span: Span, *codes: str) -> float:
        """Return how much the counters rose between the scrapes, restarts included, within the span."""
        start, end = span.start.timestamp(), span.end.timestamp()
        return sum(
            value - before if value >= before else value
            for (code, _), samples in self.samples.items()
            if code in codes
            for (_, before), (at, value) in pairwise(samples)
            if start < at <= end
        )

    def _made_up_bursts(self) -> Iterator[tuple[float, float]]:
        length = self.span.length.total_seconds()
        for _ in range(max(4, int(length / 43_200))):
            begins = self._random.uniform(0, length)
            yield begins, begins + self._random.uniform(20, 1_500)

    def _run(self, pod: Pod) -> None:
        every = self._every.total_seconds()
        first = self.span.start.timestamp()
        last = min(self.span.length, pod.ends).total_seconds()
        at = pod.begins.total_seconds() + round(self._random.uniform(0.001, every), 3)
        good = bad = 0
        while at <= last:
            if pod.restarts and self._random.random() < every / pod.restarts.total_seconds():
                good = bad = 0
            events = round(pod.rate * every * self._random.uniform(0.3, 1.7))
            failing = any(begins <= at < ends for begins, ends in self._bursts)
            failed = round(events * (self._random.uniform(0.2, 0.4) if failing else 0.0005))
            good, bad = good + events - failed, bad + failed
            if not any(begins.total_seconds() <= at < ends.total_seconds() for begins, ends in pod.silent):
                self.samples["200", pod.name].append((first + at, good))
                self.samples["500", pod.name].append((first + at, bad))
            at = round(at + every, 3)
