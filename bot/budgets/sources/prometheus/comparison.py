"""The queries by which Sloth and Pyrra work out the share of bad events in a window. Pure.

Sloth records the error ratio of the last five minutes at each evaluation of its rules, and takes the mean of
what it recorded in the window. Pyrra divides the `increase` of the window's errors by that of all requests.
https://sloth.dev/introduction/architecture/ and https://github.com/pyrra-dev/pyrra/blob/main/slo/promql.go
"""

from collections.abc import Sequence

from bot.budgets.source import SourceRefusedError
from bot.budgets.sources.comparison import OtherTool
from bot.budgets.sources.prometheus.api import WINDOW
from bot.budgets.sources.prometheus.counters import totals
from bot.budgets.sources.prometheus.questions import counted_sli, counters_of
from bot.budgets.sources.prometheus.samples import RATIO_WINDOW, is_selector
from bot.catalog.slo import (
    IS_ONE,
    CounterSli,
    CounterSlicesSli,
    GaugeSli,
    GaugeSlicesSli,
    RatioSli,
    Sli,
)

_EVALUATED_EVERY = "1m"
"""How often Prometheus evaluates rules unless it is told otherwise."""


def tool_query(tool: OtherTool, sli: Sli, window_s: int) -> str:
    """Return the query for the share of bad events as the tool works it out; raises `SourceRefusedError`."""
    match tool:
        case OtherTool.SLOTH:
            return f"avg_over_time(({_error_ratio(sli)})[{window_s}s:{_EVALUATED_EVERY}])"
        case OtherTool.PYRRA:
            return _share_of_increase(sli, f"{window_s}s")


def _error_ratio(sli: Sli) -> str:
    match sli:
        case RatioSli():
            return sli.query.replace(WINDOW, RATIO_WINDOW)
        case GaugeSli() | GaugeSlicesSli() | CounterSlicesSli():
            raise SourceRefusedError("Sloth has neither gauges nor slices of time")
        case _:
            return _ratio(sli, "rate", RATIO_WINDOW)


def _share_of_increase(sli: Sli, window: str) -> str:
    match sli:
        case GaugeSli(good_when=condition) if condition == IS_ONE and is_selector(sli.query):
            samples, good = (f"sum({how}_over_time({sli.query}[{window}]))" for how in ("count", "sum"))
            return f"({samples} - {good}) / {samples}"
        case RatioSli() | GaugeSli() | GaugeSlicesSli() | CounterSlicesSli():
            raise SourceRefusedError("Pyrra has neither ratio queries, nor slices of time, nor such gauges")
        case _:
            return _ratio(sli, "increase", window, nothing=" or vector(0)")


def _ratio(sli: Sli, function: str, window: str, nothing: str = "") -> str:
    """Return the share of bad events; `nothing` is added to counters that may have no series."""
    counted = counted_sli(sli)
    counters = counters_of(counted)
    of_all = totals(counters)
    total = _sum([counters[name] for name in of_all], function, window, "")
    part = _sum([text for name, text in counters.items() if name not in of_all], function, window, nothing)
    is_bad = isinstance(counted, CounterSli) and counted.bad is not None
    return f"{part} / {total}" if is_bad else f"({total} - {part}) / {total}"


def _sum(texts: Sequence[str], function: str, window: str, nothing: str) -> str:
    addends = [
        f"sum({text.replace(WINDOW, window)})" if WINDOW in text else f"sum({function}({text}[{window}]))"
        for text in texts
    ]
    return f"({' + '.join(f'({addend}{nothing})' if nothing else addend for addend in addends)})"
