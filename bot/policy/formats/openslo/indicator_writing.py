"""SLIs of the own format as indicators of OpenSLO. Pure.

What OpenSLO has no words for is written as near as it comes, and named; an annotation then holds the SLI as
the own format has it, so that nothing is lost where Governor reads it again.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from bot.durations import parse_duration
from bot.policy.documents.promql_shapes import is_balanced
from bot.policy.formats.counted_queries import NAMES as COUNTED
from bot.policy.formats.counted_queries import QUERIED
from bot.policy.formats.objectives import plain
from bot.policy.formats.openslo.counters import WINDOW
from bot.policy.formats.openslo.indicators import BudgetingMethod

_OWN_TYPE: Final = "Governor"
PROMETHEUS: Final = "Prometheus"
"""The type of a source that speaks Prometheus' HTTP API, as OpenSLO's examples write it."""
_OPERATORS: Final = {"<=": "lte", "<": "lt", ">=": "gte", ">": "gt"}
_NUMBER: Final = r"-?[0-9]+(?:\.[0-9]+)?"
_CONDITION: Final = re.compile(rf"\s*(==|!=|>=|<=|>|<)\s*({_NUMBER})(%?)\s*")
_COMPARED: Final = re.compile(rf"\((?P<query>.*)\) (?P<sign><=|<|>=|>) bool (?P<number>{_NUMBER})", re.DOTALL)
_PUSHED: Final = "no other program can ask for `{}`, which only Governor measures"
_ONLY_LEAST: Final = "a slice of OpenSLO is good at or above its target, and this one by `{}`"
_NO_EQUAL: Final = "OpenSLO compares no gauge by `{}`; the query does it"
_MEAN: Final = "a slice of OpenSLO has no mean; the query takes it"
_NATIVE: Final = "a native histogram is asked for as a ratio, whose events OpenSLO cannot count"
_FOREIGN: Final = "how `{}` is asked is written as Governor has it"


@dataclass(frozen=True, slots=True)
class WrittenIndicator:
    """An indicator's `spec`, the way of budgeting, and what an objective says beside its target."""

    spec: Mapping[str, Any]
    method: BudgetingMethod = BudgetingMethod.OCCURRENCES
    objective: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def indicator_of(sli: Mapping[str, Any], source_type: str = PROMETHEUS) -> WrittenIndicator:
    """Return the indicator of an SLI as it stands under `sli`; its source is of this type of OpenSLO."""
    ((source, spec),) = sli.items()
    if source in ("events", "downtime") and not spec:
        metric = _metric(source, _OWN_TYPE, key="sli")
        return WrittenIndicator(_raw(metric, "success"), remarks=(_PUSHED.format(source),))
    if source_type.casefold() in QUERIED and "total" in spec:
        return _counters(source, spec, COUNTED[source_type.casefold()])
    form = next((key for key in _FORMS if key in spec), None)
    if source_type != PROMETHEUS or form is None:
        return _other(source, source_type, spec)
    return _FORMS[form](source, spec)


def _metric(query: str, kind: str, source: str | None = None, *, key: str = "query") -> dict[str, Any]:
    reference = {"metricSourceRef": source} if source is not None else {}
    return {"metricSource": {**reference, "type": kind, "spec": {key: query}}}


def _raw(metric: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {"ratioMetric": {"rawType": kind, "raw": dict(metric)}}


def _counters(source: str, spec: Mapping[str, Any], kind: str = PROMETHEUS) -> WrittenIndicator:
    part = "bad" if "bad" in spec else "good"
    queries = {part: spec[part], "total": spec["total"]}
    # A full query counts the events of a time, and is no counter.
    is_counter = kind == PROMETHEUS and not any("$window" in query for query in queries.values())
    ratio = {"counter": is_counter, **{key: _metric(text, kind, source) for key, text in queries.items()}}
    slices = spec.get("slices")
    if slices is None:
        return WrittenIndicator({"ratioMetric": ratio})
    sign, number, _ = _condition(slices["goodWhen"])
    remarks = () if sign == ">=" else (_ONLY_LEAST.format(slices["goodWhen"]),)
    target = number if number > 0 else Decimal("0.000001")
    return WrittenIndicator(
        {"ratioMetric": ratio}, BudgetingMethod.TIMESLICES, _slices(slices, target), remarks
    )


def _histogram(source: str, spec: Mapping[str, Any]) -> WrittenIndicator:
    name, match = spec["histogram"], spec.get("match", "")
    bound = plain(Decimal(parse_duration(spec["threshold"]) // timedelta(microseconds=1)) / 1_000_000)
    if spec.get("native") in (True, "true"):
        selector = f"{name}{{{match}}}" if match else name
        query = f"histogram_fraction(0, {bound}, sum(rate({selector}[{WINDOW}])))"
        return WrittenIndicator(_raw(_metric(query, PROMETHEUS, source), "success"), remarks=(_NATIVE,))
    bucket = f"{name}_bucket{{{','.join(filter(None, [match.rstrip(', '), _le(bound)]))}}}"
    whole = f"{name}_count{{{match}}}" if match else f"{name}_count"
    good, total = (_metric(text, PROMETHEUS, source) for text in (bucket, whole))
    return WrittenIndicator({"ratioMetric": {"counter": True, "good": good, "total": total}})


def _le(bound: str) -> str:
    return f'le="{bound}"'


def _ratio(source: str, spec: Mapping[str, Any]) -> WrittenIndicator:
    return WrittenIndicator(_raw(_metric(spec["ratio"], PROMETHEUS, source), "failure"))


def _gauge_of(source: str, spec: Mapping[str, Any]) -> WrittenIndicator:
    if "slices" in spec:
        return _gauge_slices(source, spec["gauge"], spec["slices"])
    return _gauge(source, spec["gauge"], spec.get("goodWhen", "== 1"))


def _gauge(source: str, query: str, condition: str) -> WrittenIndicator:
    sign, number, _ = _condition(condition)
    remarks: tuple[str, ...] = ()
    if sign not in _OPERATORS:
        query, remarks = f"({query}) {sign} bool {plain(number)}", (_NO_EQUAL.format(sign),)
        sign, number = ">=", Decimal(1)
    threshold = {"thresholdMetric": _metric(query, PROMETHEUS, source)}
    return WrittenIndicator(threshold, objective={"op": _OPERATORS[sign], "value": number}, remarks=remarks)


def _gauge_slices(source: str, query: str, slices: Mapping[str, Any]) -> WrittenIndicator:
    sign, number, _ = _condition(slices["goodWhen"])
    compared = _COMPARED.fullmatch(query)
    if compared is not None and sign == ">=" and 0 < number <= 1 and is_balanced(compared["query"]):
        # The mean of a gauge that is 0 or 1 is the share of its good moments: a slice of OpenSLO.
        threshold = {"thresholdMetric": _metric(compared["query"], PROMETHEUS, source)}
        objective = {"op": _OPERATORS[compared["sign"]], "value": Decimal(compared["number"])}
        return WrittenIndicator(threshold, BudgetingMethod.TIMESLICES, objective | _slices(slices, number))
    mean = f"avg_over_time(({query})[{slices.get('of', '1m')}:])"
    written = _gauge(source, mean, slices["goodWhen"])
    return WrittenIndicator(
        written.spec,
        BudgetingMethod.TIMESLICES,
        {**written.objective, **_slices(slices, Decimal(1))},
        (_MEAN, *written.remarks),
    )


def _slices(slices: Mapping[str, Any], target: Decimal) -> dict[str, Any]:
    return {"timeSliceTarget": target, "timeSliceWindow": _minutes(slices.get("of", "1m"))}


def _minutes(text: str) -> str:
    length = parse_duration(text)
    return "1h" if length == timedelta(hours=1) else f"{length // timedelta(minutes=1)}m"


def _other(source: str, source_type: str, spec: Mapping[str, Any]) -> WrittenIndicator:
    metric = {
        "metricSource": {"metricSourceRef": source, "type": source_type, "spec": dict(spec) or {"sli": {}}}
    }
    return WrittenIndicator(_raw(metric, "success"), remarks=(_FOREIGN.format(source),))


def _condition(text: str) -> tuple[str, Decimal, bool]:
    """Return the sign, the number (a share of 1 where it is in percent), and whether it is in percent."""
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise ValueError(text)
    number = Decimal(match[2])
    return match[1], number / 100 if match[3] else number, bool(match[3])


_FORMS: Final[Mapping[str, Callable[[str, Mapping[str, Any]], WrittenIndicator]]] = {
    "total": _counters,
    "histogram": _histogram,
    "ratio": _ratio,
    "gauge": _gauge_of,
}
"""How each form of an SLI of Prometheus is written, by the key that tells it."""
