"""Asks a Prometheus which of the usual metrics it has, of which services, and how these have gone lately.

NoCandidatesError    the server answers, and has none of the metrics; the message says what was looked for
"""

import asyncio
import json
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    slug,
    without_doubles,
)
from bot.policy.first_policies.families import FAMILIES, Family, Kind

SPANS = (timedelta(days=7), timedelta(days=1), timedelta(hours=1))
"""How far back it is looked; the next shorter one where that is too much for the server."""
_SPAN = "$span"
_JOB = "job"
_PRESENT = timedelta(hours=1)
_MOSTLY = 0.9
"""The share of series that must have a label for it to tell services apart; the others are passed over."""
_UNKNOWN = frozenset({"", "unknown"})

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


@dataclass(frozen=True, slots=True)
class _ServiceSeries:
    """The labels by which a service's series are known."""

    service: str
    labels: tuple[tuple[str, str], ...]


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
        names = dict.fromkeys((*family.by, *family.scope, *family.status, _JOB))
        answer = await self._series(f"group by ({', '.join(names)}) ({self._selector(family.counter)})")
        labels = [each for each, _ in answer if each.get(_JOB) not in without]
        found = await self._found(_places(family, labels), labels)
        self.jobs = frozenset(each.get(_JOB, "") for each in labels) if found else frozenset()
        return found

    async def _found(
        self, places: Sequence[_ServiceSeries], labels: Sequence[Mapping[str, str]]
    ) -> list[Candidate]:
        family = self.family
        if not places:
            return []
        if family.is_gauge:
            return await self._gauges(places)
        status = next((name for name in family.status if any(each.get(name) for each in labels)), None)
        found = await self._availabilities(places, status) if status is not None else []
        if family.histogram is not None and f"{family.histogram}_bucket" in self._names:
            found += await self._latencies(places, family.histogram)
        return found

    async def _availabilities(self, places: Sequence[_ServiceSeries], status: str) -> list[Candidate]:
        family, by = self.family, _labels_of(places)
        counted = f"sum by ({', '.join((*by, status))}) (increase({self._selector(family.counter)}[$span]))"
        series, span = await self._over_days(counted)
        failed, found = re.compile(family.failed), []
        for place in places:
            own = [(labels, events) for labels, events in series if _is_at(place, labels)]
            total = sum(events for _, events in own)
            bad = sum(events for labels, events in own if failed.fullmatch(labels.get(status, "")))
            selector = self._selector(family.counter, place)
            sli = {"total": selector, "bad": _with(selector, f'{status}=~"{family.failed}"')}
            found.append(self._availability(place, sli, total - bad, total, span))
        return found

    async def _latencies(self, places: Sequence[_ServiceSeries], histogram: str) -> list[Candidate]:
        by = _labels_of(places)
        buckets = self._selector(f"{histogram}_bucket")
        counted = f"sum by ({', '.join((*by, 'le'))}) (increase({buckets}[$span]))"
        series, span = await self._over_days(counted)
        found = []
        for place in places:
            own = [
                (labels["le"], events)
                for labels, events in series
                if "le" in labels and _is_at(place, labels)
            ]
            bounds = [bound for label, events in own if (bound := self._bound(label, events)) is not None]
            total = max((events for _, events in own), default=0.0)
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

    async def _gauges(self, places: Sequence[_ServiceSeries]) -> list[Candidate]:
        metric, by = self._selector(self.family.counter), ", ".join(_labels_of(places))
        good, span = await self._over_days(f"sum by ({by}) (sum_over_time({metric}[$span]))")
        total, _ = await self._over_days(f"sum by ({by}) (count_over_time({metric}[$span]))")
        found = []
        for place in places:
            selector = self._selector(self.family.counter, place)
            sli = {
                "total": f"sum(count_over_time({selector}[$window]))",
                "good": f"sum(sum_over_time({selector}[$window]))",
            }
            ones, samples = (_sum_at(place, each) for each in (good, total))
            found.append(self._availability(place, sli, ones, samples, span))
        return found

    def _availability(
        self, place: _ServiceSeries, sli: Mapping[str, str], good: float, total: float, span: timedelta
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

    def _latency_sli(self, place: _ServiceSeries, histogram: str, bound: Bound) -> Mapping[str, str]:
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

    def _selector(self, metric: str, place: _ServiceSeries | None = None) -> str:
        matchers = self._matchers(place)
        return f"{metric}{{{','.join(matchers)}}}" if matchers else metric

    def _matchers(self, place: _ServiceSeries | None) -> list[str]:
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


def _places(family: Family, series: Sequence[Mapping[str, str]]) -> list[_ServiceSeries]:
    """Return the services, by the label that tells them apart and by scope where one name is several."""
    by = _distinguishing(family.by, series)
    if by is None:
        return []
    scopes: dict[str, set[tuple[tuple[str, str], ...]]] = defaultdict(set)
    for labels in series:
        value = labels.get(by, "")
        if value not in _UNKNOWN:
            scopes[value].add(tuple((name, labels[name]) for name in family.scope if labels.get(name)))
    found = []
    for value, several in sorted(scopes.items()):
        for scope in sorted(several):
            within = scope if len(several) > 1 else ()
            service = slug(*(text for _, text in within), value)
            if service:
                found.append(_ServiceSeries(service, (*within, (by, value))))
    return _with_own_names(found)


def _with_own_names(places: Sequence[_ServiceSeries]) -> list[_ServiceSeries]:
    """Return the places whose name no earlier one has: two of one name would be one service in a policy."""
    names: dict[str, _ServiceSeries] = {}
    for place in places:
        names.setdefault(place.service, place)
    return list(names.values())


def _distinguishing(names: Sequence[str], series: Sequence[Mapping[str, str]]) -> str | None:
    """Return the first label that the series have and that has several values; else the first they have."""
    values = {name: [labels[name] for labels in series if labels.get(name)] for name in names}
    common = [name for name, texts in values.items() if texts and len(texts) >= _MOSTLY * len(series)]
    several = (name for name in common if len(set(values[name])) > 1)
    return next(several, common[0] if common else None)


def _labels_of(places: Sequence[_ServiceSeries]) -> list[str]:
    return list(dict.fromkeys(name for place in places for name, _ in place.labels))


def _is_at(place: _ServiceSeries, labels: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in place.labels)


def _sum_at(place: _ServiceSeries, series: Sequence[Series]) -> float:
    return sum(value for labels, value in series if _is_at(place, labels))


def _with(selector: str, matcher: str) -> str:
    if not selector.endswith("}"):
        return f"{selector}{{{matcher}}}"
    return f"{selector[:-1]},{matcher}}}"
