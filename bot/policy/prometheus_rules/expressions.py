"""What rules can count of an SLI, and why they cannot where they cannot. Pure; no clock, no I/O.

InexpressibleError    no rule can measure the SLI; the message says why
"""

from datetime import timedelta
from typing import Final

from bot.budgets.sources.prometheus.histograms import native_counters
from bot.budgets.sources.prometheus.questions import counters_of
from bot.catalog.slo import (
    CounterSli,
    CounterSlicesSli,
    DowntimeSli,
    EventsSli,
    GaugeSli,
    GaugeSlicesSli,
    LatencySli,
    NativeHistogramSli,
    RatioSli,
    Sli,
)
from bot.policy.documents.promql_shapes import LongQueryError, parse_promql
from bot.policy.prometheus_rules.counted import CountedSli
from bot.policy.prometheus_rules.sampled import CountedSamples, sampled, slices

Expressed = CountedSli | CountedSamples
_ANY_WINDOW = timedelta(minutes=5)
_MOST_OPERATORS: Final = 2_000
"""Slices of sums of twenty counters have 1,600 brackets and operators."""


class InexpressibleError(Exception):
    """An SLI that no rule can measure; the message says why."""


def expressed(sli: Sli) -> Expressed:
    """Return the expressions that count an SLI's events; raises `InexpressibleError`."""
    match sli:
        case CounterSli():
            return _counters(sli)
        case LatencySli():
            counters = counters_of(sli)
            total, bucket = counters["total"], counters["good"]
            return CountedSli(sli.source, total, bucket, bucket, bucket=bucket)
        case NativeHistogramSli():
            total, good = native_counters(sli)
            return CountedSli(sli.source, total, good, total)
        case RatioSli() | GaugeSli() | GaugeSlicesSli():
            return sampled(sli)
        case CounterSlicesSli():
            return slices(sli, _counters(sli.counters))
        case EventsSli():
            raise InexpressibleError("its events are pushed to the bot, and Prometheus has none of them")
        case DowntimeSli():
            raise InexpressibleError(
                "it counts the minutes of recorded incidents, which Prometheus does not have"
            )
        case _:
            raise InexpressibleError("its source is not a Prometheus")


def check_promql(sli: Expressed) -> None:
    """Raise `InexpressibleError` where a query of the policy is in another language, such as MetricsQL.

    Prometheus would refuse the whole file for one.
    """
    for text in (sli.events(_ANY_WINDOW), sli.errors(_ANY_WINDOW), sli.missing):
        try:
            parse_promql(text, _MOST_OPERATORS)
        except LongQueryError as error:
            raise InexpressibleError(f"its query is too long: {error}") from error
        except ValueError as error:
            raise InexpressibleError(f"its query is not PromQL: {error}") from error


def _counters(sli: CounterSli) -> CountedSli:
    part = sli.bad if sli.bad is not None else sli.good
    if part is None:
        raise InexpressibleError("it names neither the bad events nor the good ones")
    return CountedSli(sli.source, sli.total, part, sli.total, part_is_bad=sli.bad is not None)
