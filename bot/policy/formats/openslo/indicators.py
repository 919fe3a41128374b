"""Indicators of OpenSLO, each with an objective and a way of budgeting, as SLIs of the own format. Pure.

Occurrences       the events count, or the moments at which a value is as it should be
Timeslices        slices of time count: those with at least `timeSliceTarget` of good events
RatioTimeslices   the mean of the slices' ratios counts
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from bot.budgets.sources.prometheus.samples import RATIO_WINDOW
from bot.durations import parse_duration
from bot.policy.formats.counted_queries import CLOUDWATCH, counted_sli
from bot.policy.formats.counted_queries import NAMES as COUNTED
from bot.policy.formats.noted_fields import NotedFields
from bot.policy.formats.objectives import plain
from bot.policy.formats.openslo.counters import counters_of, has_placeholder, increase_of, over
from bot.policy.formats.openslo.metric_sources import GOVERNOR, PROMETHEUS, Metric, metric_of
from bot.policy.formats.openslo.objects import OpenSloObjects
from bot.policy.formats.openslo.windows import slice_length
from bot.policy.formats.queries import QueryError, ReadSli, events_sli, ratio_sli
from bot.policy.formats.reading import NoteKind

_OPERATORS: Final = {"lte": "<=", "lt": "<", "gte": ">=", "gt": ">"}
_DIGITS: Final = 15
_AS_RATIO: Final = (
    "the events cannot be counted one by one from these queries; the mean over time of their ratio counts"
)
_ONLY_COUNTS: Final = "of {} only occurrences are counted: by `total`, and by `good` or `bad`"
_LOOKED_AT: Final = "the value is looked at once a minute: that many moments of a slice are good or bad"
_SAMPLED: Final = "the ratio is asked for once a minute over the last {}, not once a slice"


class BudgetingMethod(StrEnum):
    """How an OpenSLO budget is spent."""

    OCCURRENCES = "Occurrences"
    TIMESLICES = "Timeslices"
    RATIO_TIMESLICES = "RatioTimeslices"


@dataclass(frozen=True, slots=True)
class Indicator:
    """An SLI of the own format, as it stands under `sli`, and the labels by which its queries count apart."""

    sli: dict[str, Any]
    by: tuple[str, ...] = ()
    source_type: str = PROMETHEUS


def ratio_indicator(
    ratio: NotedFields, objective: NotedFields, method: BudgetingMethod, objects: OpenSloObjects, source: str
) -> Indicator:
    """Return the SLI of a ratio metric (`ratioMetric`, or `ratioMetrics` of v1alpha)."""
    objective.ignore("op", "value")
    raw = ratio.mapping("raw")
    if raw is not None:
        ratio.ignore("counter")
        metric = metric_of(raw, objects, source)
        return _raw(ratio, objective, metric, method, _slices(objective, method))
    ratio.ignore("rawType")
    parts = {
        key: metric_of(fields, objects, source)
        for key in ("good", "bad", "total")
        if (fields := ratio.mapping(key)) is not None
    }
    slices = _slices(objective, method)
    total, bad, good = _whole(ratio, parts)
    part = bad or good
    if part is None or total is None:
        raise ratio.refusal(None, f"{ratio.where()} needs `total`, and one of `good` and `bad`")
    if len({(each.type, each.source) for each in parts.values()}) > 1:
        raise ratio.refusal(None, "its queries are asked of different sources", is_unsupported=True)
    if part.type == GOVERNOR:
        return Indicator({part.query: {}})
    if part.type != PROMETHEUS:
        return _two_counts(ratio, parts, method)
    read = _read(ratio, total.query, bad=bad.query if bad else None, good=good.query if good else None)
    _say(ratio, read)
    if method is BudgetingMethod.RATIO_TIMESLICES and slices is not None:
        share = f"({over(part.query, slices[0])}) / ({over(total.query, slices[0])})"
        spec: dict[str, Any] = {"ratio": share if bad else f"1 - {share}"}
        _say_sampled(objective, slices)
    elif method is BudgetingMethod.TIMESLICES and slices is not None:
        spec = _in_slices(read.spec, slices[0], _slice_target(objective))
    else:
        spec = dict(read.spec)
        if read.is_ratio:
            ratio.note(NoteKind.CHANGED, None, _AS_RATIO)
    return Indicator({total.source: spec}, read.by)


def threshold_indicator(
    threshold: NotedFields,
    objective: NotedFields,
    method: BudgetingMethod,
    objects: OpenSloObjects,
    source: str,
) -> Indicator:
    """Return the SLI of a threshold metric: a gauge that an objective compares with its value."""
    metric = metric_of(threshold, objects, source)
    _only_prometheus(threshold, metric)
    slices = _slices(objective, method)
    operator, number = _condition(objective)
    if has_placeholder(metric.query):
        message = f"the query's time window is {RATIO_WINDOW}, which OpenSLO leaves open"
        threshold.note(NoteKind.CHANGED, None, message)
    query = over(metric.query, RATIO_WINDOW)
    _check_query(threshold, query)
    if method is BudgetingMethod.TIMESLICES and slices is not None:
        # Of a gauge that is 0 or 1, the mean over a slice is the share of its good moments.
        objective.note(NoteKind.CHANGED, "timeSliceTarget", _LOOKED_AT)
        compared = f"({query}) {operator} bool {number}"
        good = f">= {plain(_slice_target(objective))}"
        return Indicator({metric.source: {"gauge": compared, "slices": {"of": slices[0], "goodWhen": good}}})
    if method is BudgetingMethod.RATIO_TIMESLICES:
        message = "each moment weighs the same, in whichever slice it lies"
        objective.note(NoteKind.CHANGED, "timeSliceWindow", message)
    return Indicator({metric.source: {"gauge": query, "goodWhen": f"{operator} {number}"}})


def _two_counts(ratio: NotedFields, parts: dict[str, Metric], method: BudgetingMethod) -> Indicator:
    """Return the SLI of queries in another language than Prometheus'."""
    total = parts.get("total")
    if method is not BudgetingMethod.OCCURRENCES or total is None or len(parts) != 2:
        raise ratio.refusal(
            None, _ONLY_COUNTS.format(COUNTED[next(iter(parts.values())).type]), is_unsupported=True
        )
    ratio.ignore("counter", "incremental")
    spec: dict[str, Any] = {key: over(metric.query, "$window") for key, metric in parts.items()}
    if total.type == CLOUDWATCH:
        spec = {"metrics": {key: dict(metric.settings) for key, metric in parts.items()}}
        spec |= {key: key for key in parts}
    try:
        return Indicator({total.source: counted_sli(total.type, spec)}, source_type=total.type)
    except QueryError as error:
        raise ratio.refusal(None, str(error), is_unsupported=True) from error


def _only_prometheus(fields: NotedFields, metric: Metric) -> None:
    if metric.type != PROMETHEUS:
        raise fields.refusal(
            None, _ONLY_COUNTS.format(COUNTED.get(metric.type, metric.type)), is_unsupported=True
        )


def _whole(
    ratio: NotedFields, parts: dict[str, Metric]
) -> tuple[Metric | None, Metric | None, Metric | None]:
    """Return the metrics of all events, of the bad ones and of the good ones, their queries in one form."""
    is_counter = _is_counter(ratio, parts)
    found = {key: _with_increase(metric) if is_counter else metric for key, metric in parts.items()}
    total, bad, good = (found.get(key) for key in ("total", "bad", "good"))
    if total is None and bad is not None and good is not None:
        query = f"({good.query}) + ({bad.query})"
        return Metric(bad.type, bad.source, query, bad.fields), bad, None
    if bad is not None and good is not None:
        message = "the good events follow from all and the bad ones; `good` is passed over"
        ratio.note(NoteKind.OMITTED, "good", message)
        return total, bad, None
    return total, bad, good


def _is_counter(ratio: NotedFields, parts: dict[str, Metric]) -> bool:
    """Return whether the queries are for values of counters, whose increase is to be counted."""
    said = ratio.flag("incremental" if "incremental" in ratio else "counter")
    counters = [name for metric in parts.values() for name in counters_of(metric.query)]
    if said is None and counters:
        message = f"whether they are counters is not said; `{counters[0]}` is one by its name"
        ratio.note(NoteKind.CHANGED, None, message)
        return True
    if said is False and counters:
        message = f"`counter` is false, but `{counters[0]}` is a counter by its name; its values are compared"
        ratio.note(NoteKind.WARNING, "counter", message)
    return bool(said)


def _with_increase(metric: Metric) -> Metric:
    query = increase_of(metric.query) or metric.query
    return Metric(metric.type, metric.source, query, metric.fields)


def _raw(
    ratio: NotedFields,
    objective: NotedFields,
    metric: Metric,
    method: BudgetingMethod,
    slices: tuple[str, timedelta] | None,
) -> Indicator:
    kind = ratio.text("rawType")
    if kind not in ("success", "failure"):
        raise ratio.refusal("rawType", f"{ratio.where('rawType')} must be `success` or `failure`")
    if metric.type == GOVERNOR:
        return Indicator({metric.query: {}})
    _only_prometheus(ratio, metric)
    window = slices[0] if slices and method is BudgetingMethod.RATIO_TIMESLICES else None
    try:
        read = ratio_sli(over(metric.query, window) if window else metric.query, is_good=kind == "success")
    except QueryError as error:
        raise metric.fields.refusal(None, str(error)) from error
    _say(ratio, read)
    if slices is not None and method is BudgetingMethod.TIMESLICES:
        return Indicator({metric.source: _in_slices(read.spec, slices[0], _slice_target(objective))}, read.by)
    return Indicator({metric.source: dict(read.spec)}, read.by)


def _read(fields: NotedFields, total: str, *, bad: str | None, good: str | None) -> ReadSli:
    try:
        return events_sli(total, bad=bad, good=good)
    except QueryError as error:
        raise fields.refusal(None, str(error)) from error


def _check_query(fields: NotedFields, query: str) -> None:
    try:
        read = ratio_sli(query)
    except QueryError as error:
        raise fields.refusal(None, str(error)) from error
    for warning in read.warnings:
        fields.note(NoteKind.WARNING, None, warning)


def _say(fields: NotedFields, read: ReadSli) -> None:
    for change in read.changes:
        fields.note(NoteKind.CHANGED, None, change)
    for warning in read.warnings:
        fields.note(NoteKind.WARNING, None, warning)


def _say_sampled(objective: NotedFields, slices: tuple[str, timedelta]) -> None:
    if slices[1] != timedelta(minutes=1):
        objective.note(NoteKind.CHANGED, "timeSliceWindow", _SAMPLED.format(slices[0]))


def _in_slices(spec: dict[str, str], of: str, target: Decimal) -> dict[str, Any]:
    if "ratio" in spec:
        slices = {"of": of, "goodWhen": f">= {plain(target)}"}
        return {"gauge": f"1 - ({spec['ratio']})", "slices": slices}
    if "histogram" in spec:
        spec = _counters_of_histogram(spec)
    return {**spec, "slices": {"of": of, "goodWhen": f">= {plain(target * 100)}%"}}


def _counters_of_histogram(spec: dict[str, str]) -> dict[str, str]:
    name, match = spec["histogram"], spec.get("match", "")
    seconds = parse_duration(spec["threshold"]) / timedelta(seconds=1)
    bucket = ",".join(filter(None, [match, f'le="{seconds:g}"']))
    return {
        "total": f"{name}_count{{{match}}}" if match else f"{name}_count",
        "good": f"{name}_bucket{{{bucket}}}",
    }


def _slices(objective: NotedFields, method: BudgetingMethod) -> tuple[str, timedelta] | None:
    """Return how long a slice is; None where there are none."""
    if method is BudgetingMethod.OCCURRENCES:
        for key in ("timeSliceTarget", "timeSliceWindow"):
            if key in objective:
                message = f"`{key}` means nothing where occurrences are counted"
                objective.note(NoteKind.OMITTED, key, message)
            objective.ignore(key)
        return None
    if method is BudgetingMethod.RATIO_TIMESLICES:
        objective.ignore("timeSliceTarget")
    return slice_length(objective)


def _slice_target(objective: NotedFields) -> Decimal:
    target = objective.number("timeSliceTarget")
    if target is None:
        raise objective.refusal(None, f"{objective.where('timeSliceTarget')} is missing")
    if not 0 < target <= 1 or not _is_short(target):
        raise objective.unlike("timeSliceTarget", "above 0, at most 1", target)
    return target


def _condition(objective: NotedFields) -> tuple[str, str]:
    operator, number = objective.text("op"), objective.number("value")
    if operator is None or number is None:
        message = f"{objective.where()} needs `op` and `value`, with which a threshold metric is compared"
        raise objective.refusal(None, message)
    if operator not in _OPERATORS:
        raise objective.unlike("op", "lte, lt, gte or gt", operator)
    if not _is_short(number):
        raise objective.unlike("value", f"a number of at most {_DIGITS} digits", number)
    return _OPERATORS[operator], plain(number)


def _is_short(number: Decimal) -> bool:
    """Return whether a number has no more digits than a policy's condition, on either side of its point."""
    before, _, after = plain(abs(number)).partition(".")
    return len(before) <= _DIGITS and len(after) <= _DIGITS - 2
