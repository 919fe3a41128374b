"""Asks a Prometheus which of the usual metrics it has, of which services, and how these have gone lately.

NoCandidatesError    the server answers, and has none of the metrics; the message says what was looked for
"""

import asyncio
import json
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bot.budgets.source import SourceError
from bot.budgets.sources.prometheus.api import PrometheusApi
from bot.formatting import duration_code
from bot.policy.first_policies.candidate import (
    Bound,
    Candidate,
    proposed_bound,
    proposed_objective,
    slo_name,
    without_doubles,
)
from bot.policy.first_policies.families import FAMILIES, Family, Kind
from bot.policy.first_policies.services import JOB, ServiceSeries, services

SPANS = (timedelta(days=7), timedelta(days=1), timedelta(hours=1))
"""How far back it is looked; the next shorter one where that is too much for the server."""
_SPAN = "$span"
_PRESENT = timedelta(hours=1)

Series = tuple[Mapping[str, str], float]


class NoCandidatesError(Exception):
    """The server has none of the usual metrics, or none of the services that were asked for."""


async def find(api: PrometheusApi, now: datetime) -> tuple[Candidate, ...]:
    """Return the candidate SLOs of a server, by service; raises `SourceError`, `NoCandidatesError`."""
    since = now - _PRESENT
    span = {"start": str(int(since.timestamp())), "end": str(int(now.timestamp()))}
    names = set(await api.label_values("__name__", span))
    searches = [_Search(api, family, names, now) for family in FAMILIES if family.counter in names]
    requests = [search for search in searches if search.family.kind is not Kind.UP]
    found = await asyncio.gather(*(search.candidates() for search in requests))
    # That a target is scraped says little: it is proposed where nothing else is known.
    measured = frozenset(job for search in requests for job in search.jobs)
    rest = [search for search in searches if search.family.kind is Kind.UP]
    found += await asyncio.gather(*(search.candidates(measured) for search in rest))
    candidates = without_doubles(candidate for each in found for candidate in each)
    if not candidates:
        looked_for = ", ".join(dict.fromkeys(family.counter for family in FAMILIES))
        raise NoCandidatesError(
            f"it has {len(names)} metrics, and none of these with a service: {looked_for}"
        )
    return candidates


class _Search:
    """The search in one family's metrics."""

    def __init__(self, api: PrometheusApi, family: Family, names: Collection[str], now: datetime) -> None:
        self._api = api
        self.family = family
        self.jobs: frozenset[str] = frozenset()
        """The jobs of whose series a candidate was made."""
        self._names = names
        self._now = now

    async def candidates(self, without: Collection[str] = ()) -> list[Candidate]:
        """Return the family's candidates but those of the jobs `without`; raises `SourceError`."""
        family = self.family
        names = dict.fromkeys((*family.by, *family.scope, *family.status, JOB))
        answer = await self._series(f"group by ({', '.join(names)}) ({self._selector(family.counter)})")
        labels = [each for each, _ in answer if each.get(JOB) not in without]
        found = await self._found(services(family, labels))
        self.jobs = frozenset(each.get(JOB, "") for each in labels) if found else frozenset()
        return found

    async def _found(self, places: Sequence[ServiceSeries]) -> list[Candidate]:
        family = self.family
        if not places:
            return []
        if family.is_gauge:
            return await self._gauges(places)
        with_status = [place for place in places if place.status is not None]
        found = await self._availabilities(with_status) if with_status else []
        if family.histogram is not None and f"{family.histogram}_bucket" in self._names:
            found += await self._latencies(places, family.histogram)
        return found

    async def _availabilities(self, places: Sequence[ServiceSeries]) -> list[Candidate]:
        family = self.family
        by = dict.fromkeys((*_labels_of(places), *(place.status or "" for place in places)))
        counted = f"sum by ({', '.join(by)}) (increase({self._selector(family.counter)}[$span]))"
        series, span = await self._over_days(counted)
        failed, found = re.compile(family.failed), []
        for place in places:
            status = place.status or ""
            total = _sum_at(place, series)
            bad = _sum_at(place, [each for each in series if failed.fullmatch(each[0].get(status, ""))])
            selector = self._selector(family.counter, place)
            sli = {"total": selector, "bad": _with(selector, f'{status}=~"{family.failed}"')}
            found.append(self._availability(place, sli, total - bad, total, span))
        return found

    async def _latencies(self, places: Sequence[ServiceSeries], histogram: str) -> list[Candidate]:
        by = _labels_of(places)
        buckets = self._selector(f"{histogram}_bucket")
        counted = f"sum by ({', '.join((*by, 'le'))}) (increase({buckets}[$span]))"
        series, span = await self._over_days(counted)
        found = []
        for place in places:
            events: dict[str, float] = defaultdict(float)
            for labels, rise in series:
                if "le" in labels and place.has(labels):
                    events[labels["le"]] += rise
            bounds = [bound for item in events.items() if (bound := self._bound(*item)) is not None]
            total = max(events.values(), default=0.0)
            proposed = proposed_bound(bounds, total)
            if proposed is None:
                continue
            bound, objective = proposed
            name = slo_name(self.family.kind, "latency")
            sli = self._latency_sli(place, histogram, bound)
            found.append(
                Candidate(
                    service=place.service,
                    name=name,
                    kind=self.family.kind,
                    sli=sli,
                    objective=objective,
                    good=bound.events,
                    total=total,
                    span=span,
                    origin=self.family.origin,
                )
            )
        return found

    async def _gauges(self, places: Sequence[ServiceSeries]) -> list[Candidate]:
        metric, by = self._selector(self.family.counter), ", ".join(_labels_of(places))
        good, span = await self._over_days(f"sum by ({by}) (sum_over_time({metric}[$span:1m]))")
        total, _ = await self._over_days(f"sum by ({by}) (count_over_time({metric}[$span:1m]))")
        found = []
        for place in places:
            selector = self._selector(self.family.counter, place)
            sli = {"gauge": selector}
            ones, samples = (_sum_at(place, each) for each in (good, total))
            found.append(self._availability(place, sli, ones, samples, span))
        return found

    def _availability(
        self, place: ServiceSeries, sli: Mapping[str, str], good: float, total: float, span: timedelta
    ) -> Candidate:
        objective, note = proposed_objective(good, total, span)
        return Candidate(
            service=place.service,
            name=slo_name(self.family.kind, "availability"),
            kind=self.family.kind,
            sli=sli,
            objective=objective,
            good=good,
            total=total,
            span=span,
            origin=self.family.origin,
            note=note,
        )

    def _latency_sli(self, place: ServiceSeries, histogram: str, bound: Bound) -> Mapping[str, str]:
        match = ",".join(self._matchers(place))
        if self.family.unit_s == 1:
            return {"histogram": histogram, "match": match, "threshold": duration_code(bound.time)}
        bucket = self._selector(f"{histogram}_bucket", place)
        return {
            "total": self._selector(f"{histogram}_count", place),
            "good": _with(bucket, f"le={json.dumps(bound.label)}"),
        }

    def _bound(self, label: str, events: float) -> Bound | None:
        try:
            seconds = float(label) * self.family.unit_s
        except ValueError:
            return None
        if not math.isfinite(seconds) or not 0 < seconds < 10**6:
            return None
        return Bound(label, timedelta(seconds=round(seconds, 6)), events)

    def _selector(self, metric: str, place: ServiceSeries | None = None) -> str:
        matchers = self._matchers(place)
        return f"{metric}{{{','.join(matchers)}}}" if matchers else metric

    def _matchers(self, place: ServiceSeries | None) -> list[str]:
        own = (
            [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in place.labels]
            if place
            else []
        )
        return [*own, self.family.match] if self.family.match else own

    async def _over_days(self, query: str) -> tuple[list[Series], timedelta]:
        """Evaluate a query over the longest span that the server can; raises `SourceError`."""
        for span in SPANS[:-1]:
            try:
                return await self._series(query.replace(_SPAN, duration_code(span))), span
            except SourceError:
                # Too many samples, or too slow: what is wrong besides, the shorter span says too.
                continue
        return await self._series(query.replace(_SPAN, duration_code(SPANS[-1]))), SPANS[-1]

    async def _series(self, query: str) -> list[Series]:
        form = {"query": query, "time": str(int(self._now.timestamp()))}
        answer = await self._api.query("query", form)
        return list(_numbers(answer))


def _numbers(answer: Sequence[Mapping[str, Any]]) -> Iterator[Series]:
    for series in answer:
        match series.get("value"):
            case [_, str(text)]:
                try:
                    value = float(text)
                except ValueError:
                    continue
                if math.isfinite(value):
                    yield series["metric"], max(0.0, value)


def _labels_of(places: Sequence[ServiceSeries]) -> list[str]:
    return list(dict.fromkeys(name for place in places for name, _ in place.labels))


def _sum_at(place: ServiceSeries, series: Sequence[Series]) -> float:
    return sum(value for labels, value in series if place.has(labels))


def _with(selector: str, matcher: str) -> str:
    if not selector.endswith("}"):
        return f"{selector}{{{matcher}}}"
    return f"{selector[:-1]},{matcher}}}"
