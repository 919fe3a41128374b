"""From the ledger's counts to budgets: what each SLO has left, and how far that can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.budgets.budget import SHOWN_BURN_WINDOWS, Budget, EventCounts, assess
from bot.budgets.downtime import window_and_recent
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.rollups import base_width
from bot.budgets.ledger.state import LedgerState, ReadFault
from bot.budgets.read_plan import history_start
from bot.catalog.slo import DowntimeSli, EventsSli, Slo
from bot.catalog.window import Span, Window


@dataclass(frozen=True, slots=True)
class AssessmentRequest:
    """An SLO, and the windows in which its burn rate is wanted besides those that are always shown."""

    slo: Slo
    burn_windows: tuple[timedelta, ...] = ()

    @property
    def recent(self) -> tuple[timedelta, ...]:
        """All windows for burn rates."""
        return tuple(dict.fromkeys((*SHOWN_BURN_WINDOWS, *self.burn_windows)))


async def assess_all(
    ledger: Ledger, questions: Sequence[AssessmentRequest], now: datetime, evaluate_every: timedelta
) -> list[Budget]:
    """Return the budget of each SLO, in the order asked, with one sum over the ledger for all."""
    slos = [question.slo for question in questions]
    known = dict(zip(slos, await ledger.states(slos), strict=True))
    spans: dict[tuple[Window, tuple[timedelta, ...], datetime], tuple[Span, ...]] = {}
    asked: list[tuple[Slo, tuple[Span, ...]]] = []
    places: dict[int, int] = {}
    for place, question in enumerate(questions):
        as_of = _as_of(question.slo, known[question.slo], now)
        if as_of is not None and not isinstance(question.slo.sli, DowntimeSli):
            # The same for all that have the same windows.
            key = question.slo.window, question.burn_windows, as_of
            if key not in spans:
                spans[key] = _spans(question, as_of)
            places[place] = len(asked)
            asked.append((question.slo, spans[key]))
    counted = await ledger.counts_of_many(asked, now, known)
    return [
        await _downtime_budget(ledger, question, now)
        if isinstance(question.slo.sli, DowntimeSli)
        else _budget(
            question,
            known[question.slo],
            counted[places[place]] if place in places else None,
            now,
            evaluate_every,
        )
        for place, question in enumerate(questions)
    ]


async def _downtime_budget(ledger: Ledger, question: AssessmentRequest, now: datetime) -> Budget:
    whole, recent = await window_and_recent(ledger.downtime, question.slo, question.recent, now)
    return assess(question.slo, events=whole, recent=recent, as_of=now)


def _as_of(slo: Slo, state: LedgerState, now: datetime) -> datetime | None:
    """Return the time up to which events are counted; None where none ever were."""
    if isinstance(slo.sli, DowntimeSli | EventsSli):
        return now
    return None if state.filled_to is None else min(now, state.filled_to)


def _spans(question: AssessmentRequest, as_of: datetime) -> tuple[Span, ...]:
    recent = [Span(as_of - length, as_of) for length in question.recent]
    return (question.slo.window.span(as_of), *recent)


def _budget(
    question: AssessmentRequest,
    state: LedgerState,
    counts: Sequence[EventCounts] | None,
    now: datetime,
    evaluate_every: timedelta,
) -> Budget:
    slo, as_of = question.slo, _as_of(question.slo, state, now)
    events, *others = counts or (None,)
    doubt = _doubt(slo, state, now, evaluate_every)
    return assess(
        slo,
        events=events,
        recent={} if events is None else dict(zip(question.recent, others, strict=True)),
        as_of=as_of,
        stale=doubt is not None,
        problem=doubt or _never_counted(slo, state),
        invalid=state.fault is ReadFault.INVALID,
    )


def _never_counted(slo: Slo, state: LedgerState) -> str | None:
    if state.filled_to is not None:
        return None
    return "no events were pushed yet" if isinstance(slo.sli, EventsSli) else "not read yet"


def _doubt(slo: Slo, state: LedgerState, now: datetime, evaluate_every: timedelta) -> str | None:
    """Return why the count does not stand for the present; None if it does."""
    if state.fault is not None:
        return state.problem or state.fault.value
    if isinstance(slo.sli, EventsSli) or state.filled_to is None or state.filled_from is None:
        return None
    base = timedelta(seconds=base_width(evaluate_every))
    if now - state.filled_to > max(3 * evaluate_every, 2 * base):
        return f"nothing was read since {state.filled_to:%Y-%m-%d %H:%M} UTC"
    if state.filled_from > history_start(slo.window, state.filled_to):
        return "the history is still being read"
    return None
