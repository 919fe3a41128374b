"""Narrows an SLI to the events with one value of a label, or with any other value. Pure.

A selector gets one more matcher. A full query keeps its text: of its results those are taken that have the
value, so the query must keep the label (`sum by (variant) (increase(…[$window]))`).
"""

import re
from dataclasses import replace

from bot.budgets.source import SourceRefusedError
from bot.budgets.sources.prometheus.api import WINDOW
from bot.budgets.sources.prometheus.samples import is_selector
from bot.budgets.sources.prometheus.selectors import addends, quoted
from bot.catalog.slo import (
    CounterSli,
    CounterSlicesSli,
    GaugeSli,
    GaugeSlicesSli,
    LatencySli,
    NativeHistogramSli,
    RatioSli,
    Sli,
)

_META = re.compile(r"[\\.+*?()|\[\]{}^$]")


def narrowed(sli: Sli, label: str, value: str, *, others: bool = False) -> Sli:
    """Return the SLI of the events whose label has the value; with `others`, another value that is not empty.

    Raises `SourceRefusedError` for an SLI that Prometheus does not count.
    """
    match sli:
        case CounterSli():
            return _narrowed_counters(sli, label, value, others)
        case CounterSlicesSli(counters=counters):
            return replace(sli, counters=_narrowed_counters(counters, label, value, others))
        case RatioSli(query=query) | GaugeSli(query=query) | GaugeSlicesSli(query=query):
            narrow = _narrowed_selector if is_selector(query) else _narrowed_result
            return replace(sli, query=narrow(query, label, value, others))
        case LatencySli(match=match) | NativeHistogramSli(match=match):
            own = match.strip().rstrip(",")
            matcher = _matcher(label, value, others)
            return replace(sli, match=f"{own},{matcher}" if own else matcher)
        case _:
            raise SourceRefusedError("its events carry no labels")


def _narrowed_counters(sli: CounterSli, label: str, value: str, others: bool) -> CounterSli:
    return replace(
        sli,
        total=_narrowed_query(sli.total, label, value, others),
        bad=sli.bad and _narrowed_query(sli.bad, label, value, others),
        good=sli.good and _narrowed_query(sli.good, label, value, others),
    )


def _narrowed_query(text: str, label: str, value: str, others: bool) -> str:
    if WINDOW in text:
        return _narrowed_result(text, label, value, others)
    return " + ".join(_narrowed_selector(part, label, value, others) for part in addends(text))


def _narrowed_selector(text: str, label: str, value: str, others: bool) -> str:
    text, matcher = text.strip(), _matcher(label, value, others)
    if not text.endswith("}"):
        return f"{text}{{{matcher}}}"
    within = text[:-1].rstrip().rstrip(",")
    return f"{within}{matcher}}}" if within.endswith("{") else f"{within},{matcher}}}"


def _narrowed_result(query: str, label: str, value: str, others: bool) -> str:
    named = f'label_replace(vector(1), "{label}", {quoted(value.replace("$", "$$"))}, "", "")'
    # The line break ends a comment that the query may end with.
    if others:
        return f"({query}\n) unless on ({label}) ({named} or vector(1))"
    return f"({query}\n) and on ({label}) {named}"


def _matcher(label: str, value: str, others: bool) -> str:
    if not others:
        return f"{label}={quoted(value)}"
    pattern = _META.sub(r"\\\g<0>", value)
    # A series without the label matches the empty value.
    return f"{label}!~{quoted(f'{pattern}|')}"
