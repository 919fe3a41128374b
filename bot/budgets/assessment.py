"""Assesses budgets from the ledger: what each SLO has left, and whether the figures are current."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.budgets.budget import SHOWN_BURN_WINDOWS, Budget, EventCounts, assess
from bot.budgets.downtime import window_and_recent
from bot.budgets.ledger.lateness import lateness_text
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.rollups import base_width
from bot.budgets.ledger.state import LedgerState, ReadFault
from bot.budgets.reading.read_plan import history_start, read_width
from bot.catalog.error_budget_policy import BurnAlert, ErrorBudgetPolicy
from bot.catalog.slo import DowntimeSli, EventsSli, Slo
from bot.catalog.window import Span, Window
from bot.formatting import duration_text
from bot.pacing import Pacer

CURRENT_WITHIN = timedelta(seconds=30)
"""Counts are current for so long, also where evaluations are to follow each other sooner and cannot."""


@dataclass(frozen=True, slots=True)
class AssessmentRequest:
    """An SLO, windows whose burn rate is needed besides those always shown, and the policy that judges it."""

    slo: Slo
    burn_windows: tuple[timedelta, ...] = ()
    alerts: tuple[BurnAlert, ...] = ()
    """The burn alerts of its policy, whose windows are among those."""
    policy: ErrorBudgetPolicy | None = None

    @property
    def recent(self) -> tuple[timedelta, ...]:
        """All windows whose burn rate is needed."""
        return tuple(dict.fromkeys((*SHOWN_BURN_WINDOWS, *self.burn_windows)))


async def assess_all(
    ledger: Ledger, requests: Sequence[AssessmentRequest], now: datetime, evaluate_every: timedelta
) -> list[Budget]:
    """Return the budget of each SLO, in the order of the requests, with one sum over the ledger for all."""
    slos = [request.slo for request in requests]
    states = dict(zip(slos, await ledger.states(slos), strict=True))
    spans: dict[tuple[Window, tuple[timedelta, ...], datetime], tuple[Span, ...]] = {}
    sums: list[tuple[Slo, tuple[Span, ...]]] = []
    pace = Pacer()
    index_in_sums: dict[int, int] = {}
    for index, request in enumerate(requests):
        await pace()
        as_of = _as_of(request.slo, states[request.slo], now)
        if as_of is not None and not isinstance(request.slo.sli, DowntimeSli):
            # Requests with the same windows share their spans.
            key = request.slo.window, request.burn_windows, as_of
            if key not in spans:
                spans[key] = _spans(request, as_of)
            index_in_sums[index] = len(sums)
            sums.append((request.slo, spans[key]))
    counts = await ledger.counts_of_many(sums, now, states)
    budgets = []
    for index, request in enumerate(requests):
        await pace()
        if isinstance(request.slo.sli, DowntimeSli):
            budgets.append(await _downtime_budget(ledger, request, now))
            continue
        counted = counts[index_in_sums[index]] if index in index_in_sums else None
        budgets.append(_budget(request, states[request.slo], counted, now, evaluate_every))
    return budgets


async def _downtime_budget(ledger: Ledger, request: AssessmentRequest, now: datetime) -> Budget:
    window_events, recent = await window_and_recent(ledger.downtime_counts, request.slo, request.recent, now)
    return assess(request.slo, events=window_events, recent=recent, as_of=now, alerts=request.alerts)


def _as_of(slo: Slo, state: LedgerState, now: datetime) -> datetime | None:
    """Return the time up to which events are counted; None where none ever were."""
    if isinstance(slo.sli, DowntimeSli | EventsSli):
        return now
    return None if state.counted_to is None else min(now, state.counted_to)


def _spans(request: AssessmentRequest, as_of: datetime) -> tuple[Span, ...]:
    recent = [Span(as_of - length, as_of) for length in request.recent]
    return (request.slo.window.span(as_of), *recent)


def _budget(
    request: AssessmentRequest,
    state: LedgerState,
    counts: Sequence[EventCounts] | None,
    now: datetime,
    evaluate_every: timedelta,
) -> Budget:
    slo, as_of = request.slo, _as_of(request.slo, state, now)
    events, *others = counts or (None,)
    problem = _staleness(slo, state, now, evaluate_every)
    late = None if isinstance(slo.sli, EventsSli) else lateness_text(state)
    return assess(
        slo,
        events=events,
        recent={} if events is None else _covered(slo, state, zip(request.recent, others, strict=True)),
        as_of=as_of,
        stale=problem is not None,
        problem=problem or _never_counted(slo, state) or late,
        invalid=state.fault is ReadFault.INVALID,
        alerts=request.alerts,
        policy=request.policy,
    )


def _covered(
    slo: Slo, state: LedgerState, recent: Iterable[tuple[timedelta, EventCounts]]
) -> dict[timedelta, EventCounts]:
    """Return the events of the lengths that the ledger covers: burn rates over longer ones are not known.

    Of pushed events nothing says since when they are pushed.
    """
    if isinstance(slo.sli, EventsSli) or state.filled_from is None or state.filled_to is None:
        return dict(recent)
    read = state.filled_to - state.filled_from
    return {length: counted for length, counted in recent if length <= read}


def _never_counted(slo: Slo, state: LedgerState) -> str | None:
    if state.filled_to is not None:
        return None
    return "no events were pushed yet" if isinstance(slo.sli, EventsSli) else "not read yet"


def _staleness(slo: Slo, state: LedgerState, now: datetime, evaluate_every: timedelta) -> str | None:
    """Return why the counts are not current, in words; None if they are."""
    if state.fault is not None:
        return state.problem or state.fault.value
    if isinstance(slo.sli, EventsSli) or state.filled_to is None or state.filled_from is None:
        return None
    width = timedelta(seconds=read_width(state, base_width(evaluate_every)))
    if now - state.delay - state.filled_to > max(3 * evaluate_every, 2 * width, CURRENT_WITHIN):
        return f"nothing was read since {state.filled_to:%Y-%m-%d %H:%M} UTC"
    needed_from = history_start(slo.window, state.filled_to)
    if state.filled_from > needed_from:
        read, needed = (state.filled_to - start for start in (state.filled_from, needed_from))
        done = f"{duration_text(read, plain=True)} of {duration_text(needed, plain=True)}"
        return f"the history is still being read: {done} so far"
    return None
