"""The queries that count a counter's events exactly, step by step, in PromQL.

`increase(x[step])` per step loses what is counted between a step's last sample and the next step's
first, and extrapolates instead; its sum over steps is not the increase over all of them. So we subtract
the counter's last value before the step from its last value in it: neighbouring steps then share their
ends, and the sum over them is the true increase, with gaps in scraping bridged up to `LOOKBACK_S`.

What a counter reset, a new series or the end of an outage adds is queried separately, and only for the
steps that have one. `by` (`" by (service)"`) separates the results of joined selectors. Every function
used is in Prometheus 2.26 and later, Thanos, Mimir and VictoriaMetrics. How Prometheus itself counts: https://prometheus.io/docs/prometheus/latest/querying/functions/#increase
"""

import re
from collections.abc import Iterable, Sequence

from bot.budgets.sources.prometheus.bounds import BOUND
from bot.budgets.sources.prometheus.selectors import parse

LOOKBACK_S = 3_600
"""How long a series may have no samples and still continue from its last value. At least the widest step."""

OUTAGE_LOOKBACK_S = 86_400
"""How far back a series that seems new is searched for: it may have had no samples for hours."""

MOST_SEARCHED = 2_000
"""For how many series at most a day is searched; more would be too much for a server."""

STEPS_S = (3_600, 300, 60, 15, 5, 1)
"""The widths to which a step with several resets is divided until each has at most one."""

_ONE_SCRAPE_S = 300
"""Longer than the usual time between two scrapes."""

_QUIET_S = LOOKBACK_S // 2
_QUIET_STEPS = 6
"""How long a step of `unsteady` is: so many seconds, or so many wide steps."""

_QUIET_LOOKBACK_S = 2 * _ONE_SCRAPE_S
"""How long before a quiet time a series was last scraped at most; otherwise it is not quiet."""

PRESENT_S = 600
"""How long ago a series was last scraped at most; otherwise it has ended."""

LATE_S = 150
"""How old the newest sample is at least where the source lags behind: longer than two usual scrapes."""

_NAME = "governor_name"
_MOST_RESETS = 2**20
"""More than the series of an SLI fall in a long step."""

_NEWEST_STEP_S = 30

DELTA = "delta"
LEVEL = "level"
UNSTEADY = "unsteady"
IRREGULAR = "irregular"
EXACT = "exact"
PRESENT = "present"
NEWEST = "newest"
AMBIGUOUS = "ambiguous"
BORN = "born"
SERIES = "series"
REVIVED = "revived"
PROVEN = "proven"
UNPROVEN = "unproven"

TOTAL = "\N{NULL}total\N{NULL}"
"""In the queries of `first_samples`, the place of the selector of all events."""

_REQUEST_LABELS = (
    *("code", "status", "status_code", "response_code", "http_status_code", "http_response_status_code"),
    *("grpc_code", "grpc_status", "rpc_grpc_status_code", "outcome", "result", "reason"),
    *("error", "error_type", "exception", "method", "http_method", "http_request_method", "verb"),
    *("path", "route", "http_route", "handler", "uri", "url", "operation"),
    *("grpc_method", "grpc_service", "grpc_type", "rpc_method", "rpc_service", "le"),
)
"""Labels that describe a request, never the target that counted it."""
_TARGET_LABELS = frozenset({"job", "instance", "pod", "namespace", "cluster", "container", "node", "replica"})
_TARGET = "job, instance"
"""The labels that every target has, and its `up` too."""

_FINE_STEPS_S = (5, 15, 60)
_MOST_FINE_POINTS = 600_000


def levels(selector: str, step_s: int, by: str = "", *, lookback_s: int) -> dict[str, str]:
    """Return the query for `LEVEL`, the sum of the counters at the end of each step.

    In a time that is not `unsteady` the series stay the same, and the differences of their sums
    are those of `regular`, which takes a server several times as long.
    """
    del step_s
    return {LEVEL: f"sum{by} (last_over_time({selector}[{lookback_s}s]))"}


def quiet_lookback_s(length_s: int) -> int:
    """Return the lookback for `levels`, in parts that are quiet."""
    return length_s + _QUIET_LOOKBACK_S


def quiet_part_s(step_s: int) -> int:
    """Return how long a time `unsteady` is asked about at once, at steps of this width."""
    return max(_QUIET_S, _QUIET_STEPS * step_s) // step_s * step_s


def unsteady(selector: str, step_s: int, by: str = "") -> dict[str, str]:
    """Return the query for `UNSTEADY`, which has a value in long steps in which a part may be irregular.

    Cheaper than a query for each part. In any other step each series that was scraped within
    `quiet_lookback_s` of the step's end was also scraped shortly before the step, and none fell since. Nor
    did any leave the lookback of `levels` within the step: those scraped shortly before it are all that
    were in the lookback then. These are the fewest, so that what the others exceed them by, resets as
    fractions, is 0 together only where it is 0 for each. Added up as series, since one may be missing.
    """
    around = f"{selector}[{quiet_lookback_s(step_s)}s]"
    seen = f"sum{by} (resets({around}) / {_MOST_RESETS} + 1)"
    seen_before = f"count{by} (last_over_time({around} offset {step_s}s))"
    known = f"count{by} (last_over_time({selector}[{_QUIET_LOOKBACK_S}s] offset {step_s}s))"
    parts = (seen, _named("before", seen_before), _named("known", f"-2 * {known}"))
    return {UNSTEADY: f"sum{by} ({' or '.join(parts)}) != 0"}


def _named(name: str, query: str) -> str:
    """Return a query whose series differ from those of other names."""
    return f'label_replace({query}, "{_NAME}", "{name}", "", "")'


def regular(selector: str, step_s: int, by: str = "") -> dict[str, str]:
    """Return the queries for `DELTA`, the plain differences, and `IRREGULAR`, how many series need more.

    A series is irregular in a step in which it begins or its value falls.
    """
    s = _Series(selector, step_s)
    fell = f"({s.resets} > 0) or ({s.lowest} < {s.before})"
    return {
        DELTA: f"sum{by} ({s.last} - {s.before})",
        IRREGULAR: f"count{by} ({fell} or ({s.last} unless {s.before}))",
    }


def present(selector: str, step_s: int, by: str = "") -> dict[str, str]:
    """Return the query for `PRESENT`, how many series were scraped in the step or shortly before its end.

    `DELTA` still has a value, 0, until `LOOKBACK_S` after the last series ended.
    """
    return {PRESENT: f"count{by} (last_over_time({selector}[{max(step_s, PRESENT_S)}s]))"}


def newest(selector: str, step_s: int, by: str = "", *, within_s: int = PRESENT_S) -> dict[str, str]:
    """Return the query for `NEWEST`, the time of the newest sample, in seconds; none after `within_s`."""
    del step_s
    return {NEWEST: f"max{by} (max_over_time(timestamp({selector})[{within_s}s:{_NEWEST_STEP_S}s]))"}


def exact(selector: str, step_s: int, by: str = "") -> dict[str, str]:
    """Return the queries for `EXACT`, the events of all series, and `AMBIGUOUS`, how many are left out.

    `BORN` is how many series seem new, `SERIES` how many there are. The sum has a term for each kind of
    series; those of no kind are left out of it and counted as ambiguous. They had more than one reset in
    the step, or rose above the value they fell from.
    """
    s = _Series(selector, step_s)
    fell_between = f"({s.lowest} < {s.before})"
    # Never fell: the difference.
    steady = f"(({s.last} - {s.before}) unless ({s.resets} > 0) unless {fell_between})"
    # Fell between the steps, and rose since: all that the counter shows was counted in the step.
    restarted = f"({s.last} and ({s.resets} == 0) and {fell_between})"
    # Fell once within the step and not at its start, from the step's highest value: the rise up to that
    # value, and from 0 to the last.
    peaked = f"({s.resets} == 1) and ({s.resets_since_before} == 1) and ({s.highest} > {s.last})"
    once = f"(({s.highest} - {s.before} + {s.last}) and {peaked})"
    # Began in the step: `first_samples` says whether its first value was counted in it.
    born = f"(({s.last} - {s.lowest}) unless {s.before} unless ({s.resets} > 0))"
    known = f"({steady} or {restarted} or {once} or {born})"
    return {
        EXACT: f"sum{by} ({known})",
        AMBIGUOUS: f"count{by} ({s.last} unless {known})",
        BORN: f"count{by} ({s.last} unless {s.before})",
        SERIES: f"count{by} ({s.last})",
    }


def revived(selector: str, step_s: int, by: str = "") -> dict[str, str]:
    """Return the query for what series counted while they had no samples for longer than the lookback.

    It adds to `EXACT` the difference from the last value before the gap, or, where the counter fell
    meanwhile, all up to the first value after it.
    """
    s = _Series(selector, step_s)
    long_ago = f"last_over_time({selector}[{OUTAGE_LOOKBACK_S}s] offset {step_s}s)"
    first = f"({s.lowest} unless {s.before})"
    return {REVIVED: f"sum{by} ((({first} - {long_ago}) >= 0) or ({first} and {long_ago}))"}


def fine_step_s(steps: range, series: float) -> int:
    """Return the width of the steps in which first samples are looked at: less than the time between scrapes.

    Wider where there are so many steps and series that it would be too much for a server.
    """
    for width in _FINE_STEPS_S:
        points = series * (steps.stop - steps.start) / width
        if steps.step % width == 0 and points <= _MOST_FINE_POINTS:
            return width
    return steps.step


def request_labels(own: Iterable[str]) -> tuple[str, ...]:
    """Return the labels in which series of one target may differ: the usual ones, and an SLI's own."""
    return tuple(sorted({*_REQUEST_LABELS, *own} - _TARGET_LABELS))


def first_samples(selector: str, step_s: int, by: str = "", *, labels: Sequence[str]) -> dict[str, str]:
    """Return the queries for `PROVEN` and `UNPROVEN`, the first values of series that begin in the step.

    A first value is what the series counted since it began, at 0. When that was is proven by another series
    of the same target, one that differs only in `labels`, which describe the request: if that was scraped
    before and still is, the new series was not there then, and its first value was counted since. Where all
    series of a target begin at once, the target is new or was named anew, and nothing is known.

    A bucket whose bound is spelt anew (`le="5"`, then `"5.0"`) goes on from where it was.
    """
    first, same_target = _first(selector, step_s), _same_target(step_s, labels)
    went_on = ""
    if _names_bound(selector) and not re.search(rf"\b{BOUND}\b", by):
        s = _Series(selector, step_s)
        new, old = (
            f"max without ({BOUND}) ({part})"
            for part in (f"{s.lowest} unless {s.before}", f"({s.last} and {s.before})")
        )
        went_on = f" or (({new} - {old}) >= 0)"
    return {
        PROVEN: f"sum{by} (({first} and {same_target}){went_on})",
        UNPROVEN: f"sum{by} ({first} unless {same_target})",
    }


def _names_bound(selector: str) -> bool:
    parsed = parse(selector)
    return parsed is not None and any(matcher.label == BOUND for matcher in parsed.matchers)


def proven_otherwise(
    selector: str, step_s: int, by: str = "", *, labels: Sequence[str], created: str | None
) -> dict[str, str]:
    """Return the queries for what `first_samples` leaves unproven: the part that is `PROVEN` by other series.

    Either by `up`: its target was scraped just before, and the series was not there yet. Series that get a
    new name begin like that too, but then others of the target's end at the same time. Or by `created`, the
    selector of series that say when counters began (`…_created`, of OpenMetrics): not long ago. `UNPROVEN`
    is the rest, `SERIES` how many series that is.
    """
    unproven = f"({_first(selector, step_s)} unless {_same_target(step_s, labels)})"
    scraped = f"(last_over_time(up[{_ONE_SCRAPE_S}s] offset {step_s}s) == 1)"
    ended = f"(last_over_time({TOTAL}[{_ONE_SCRAPE_S}s] offset {step_s}s) unless {TOTAL})"
    proven = f"(({unproven} and on ({_TARGET}) {scraped}) unless on ({_TARGET}) {ended})"
    if created is not None:
        lately = f"(last_over_time({created}[{step_s}s]) > time() - {LOOKBACK_S})"
        proven = f"({proven} or ({unproven} and ignoring (le) {lately}))"
    return {
        PROVEN: f"sum{by} ({proven})",
        UNPROVEN: f"sum{by} ({unproven} unless {proven})",
        SERIES: f"count{by} ({unproven} unless {proven})",
    }


def births(selector: str, step_s: int, by: str = "") -> dict[str, str]:
    """Return the queries for `BORN`, how many series begin in the step, and `SERIES`, how many there are."""
    s = _Series(selector, step_s)
    long_ago = f"last_over_time({selector}[{OUTAGE_LOOKBACK_S}s] offset {step_s}s)"
    return {
        BORN: f"count{by} ({s.lowest} unless {s.before} unless {long_ago})",
        SERIES: f"count{by} ({s.last})",
    }


def _first(selector: str, step_s: int) -> str:
    """Return the first values, above 0, of series that begin in the step."""
    s = _Series(selector, step_s)
    long_ago = f"last_over_time({selector}[{OUTAGE_LOOKBACK_S}s] offset {step_s}s)"
    first = f"(({s.lowest} > 0) unless {s.before} unless {long_ago})"
    # All buckets of a histogram begin together: one that begins beside others was there before.
    known = f"({s.last} and {s.before})"
    return f"({first} unless ignoring ({BOUND}) {known})" if _names_bound(selector) else first


def _same_target(step_s: int, labels: Sequence[str]) -> str:
    """Return what matches series of which another one of the same target goes on."""
    going_on = f"(last_over_time({TOTAL}[{step_s}s]) and {_Series(TOTAL, step_s).before})"
    return f"ignoring ({', '.join(labels)}) {going_on}"


def rough(selector: str, step_s: int, by: str = "") -> dict[str, str]:
    """Return the query for steps that cannot be divided further: Prometheus' own estimate for all series."""
    return {EXACT: f"sum{by} (increase({selector}[{step_s}s]))"}


class _Series:
    """The values of each series at the end of a step, before it and within it."""

    def __init__(self, selector: str, step_s: int, lookback_s: int = LOOKBACK_S) -> None:
        self.last = f"last_over_time({selector}[{lookback_s}s])"
        self.before = f"last_over_time({selector}[{lookback_s}s] offset {step_s}s)"
        self.resets = f"resets({selector}[{step_s}s])"
        around = f"resets({selector}[{step_s + _ONE_SCRAPE_S}s])"
        self.resets_since_before = f"({around} - resets({selector}[{_ONE_SCRAPE_S}s] offset {step_s}s))"
        self.lowest = f"min_over_time({selector}[{step_s}s])"
        self.highest = f"max_over_time({selector}[{step_s}s])"
