"""Phrases about what will become of a budget: an interval, or nothing where nothing can be said. Pure."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from bot.budgets.budget import Budget
from bot.budgets.statistics.forecast import HORIZONS, BudgetForecast, TimeQuantiles
from bot.budgets.statistics.scoring import WorkspaceScore
from bot.catalog.window import CalendarWindow
from bot.formatting import duration_text, interval_text, percent_text
from bot.freezes.hold_writer import TransitionContext
from bot.freezes.opening import Opening
from bot.freezes.transition import (
    BudgetExhausted,
    BudgetWarned,
    BurnAlertFired,
    EnforcementBegan,
    is_observed,
)
from bot.slack.announcements.budget_phrases import forecast_text
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, join, markup, when

_AT_THIS_RATE = timedelta(hours=6)
"""What is that near follows from the present burn."""

_UNITS = (
    ("d", timedelta(days=1), timedelta(hours=36)),
    ("h", timedelta(hours=1), timedelta(minutes=90)),
    ("min", timedelta(minutes=1), timedelta()),
)
"""Units, how long they are, and from what length on they are used."""

_NBSP = "\u00a0"
_UNLIKELY = 0.005


def outlook_text(
    budget: Budget, forecast: BudgetForecast | None, now: datetime, recovers_at: datetime | None = None
) -> Markup:
    """Return when the budget runs out or recovers; without a forecast, when it does at the present rate."""
    if _burns(budget) or forecast is None or budget.remaining is None or not budget.is_known:
        return forecast_text(budget, now, recovers_at)
    parts = []
    if budget.remaining > 0:
        parts.append(_exhaustion(budget, forecast, now))
    if forecast.recovers is not None:
        parts.append(_recovery(budget, forecast.recovers, now))
    elif budget.remaining <= 0:
        parts.append(markup("Spent. Unlikely to recover within {}.", duration_text(HORIZONS[-1])))
    return join(" ", parts)


def expected_change_text(budget: Budget, forecast: BudgetForecast | None, now: datetime) -> Markup:
    """Return when the budget runs out or recovers where that is to be expected; else nothing."""
    if forecast is None or (forecast.exhausts is None and forecast.recovers is None):
        return Markup("")
    return outlook_text(budget, forecast, now)


def expectation_text(context: TransitionContext) -> Markup:
    """Return what becomes of the budget that an announcement is about; empty where nothing can be said.

    Before a freeze that is when it runs out, as `/budget` shows it; with one, when the service opens.
    """
    match context.transition:
        case BudgetWarned(_, budget) | BurnAlertFired(_, budget):
            forecast = context.background.forecast_of(budget)
            can_be_told = forecast is not None or _burns(budget)
            return outlook_text(budget, forecast, context.now) if can_be_told else NOTHING
        case BudgetExhausted() as frozen:
            return _opening(frozen, context, "Would be expected" if is_observed(frozen) else "Expected")
        case EnforcementBegan(cause=BudgetExhausted() as frozen):
            return _opening(frozen, context, "Expected")
        case _:
            return NOTHING


def _burns(budget: Budget) -> bool:
    """Return whether a burn alert leads: what it burns at decides, not the history."""
    return budget.burns and budget.exhausts_at is not None


def _opening(frozen: BudgetExhausted, context: TransitionContext, would: str) -> Markup:
    """Return when a budget that freezes a service is expected to let it open, its dwell included."""
    policy, forecast = frozen.policy, context.background.forecast_of(frozen.budget)
    if forecast is None:
        return NOTHING
    if forecast.recovers is None:
        # Where the policy asks for all of the budget, that is not forecast.
        return (
            NOTHING
            if policy.unfreeze_at >= 1
            else markup("Unlikely to open within {}.", duration_text(HORIZONS[-1]))
        )
    return _opens(frozen.budget, forecast.recovers.later_by(policy.dwell), context.now, would)


def forecast_opening_text(opening: Opening, forecasts: Mapping[str, BudgetForecast], now: datetime) -> Markup:
    """Return when the forecasts of all budgets that keep a hold let the service open; empty without them."""
    recovering = []
    for lack in opening.lacking:
        forecast = forecasts.get(lack.budget.slo.name)
        if forecast is None or forecast.recovers is None:
            return NOTHING
        recovering.append((lack.budget, forecast.recovers.later_by(opening.dwell)))
    if not recovering:
        return NOTHING
    # The one that recovers last keeps the hold for longest.
    never = datetime.max.replace(tzinfo=UTC)
    return _opens(*max(recovering, key=lambda each: (each[1].p50 or never, each[1].p10)), now, "Expected")


def _opens(budget: Budget, opens: TimeQuantiles, now: datetime, would: str) -> Markup:
    if isinstance(budget.slo.window, CalendarWindow):
        return markup("{} to open once the budget resets, {}.", would, when(opens.p10))
    earliest = _rough(opens.p10 - now)
    if opens.p50 is None:
        horizon = duration_text(HORIZONS[-1])
        return markup(
            "{} to open in {} at the earliest, and more likely not within {}.", would, earliest, horizon
        )
    interval = f"{earliest} at the earliest"
    if opens.p90 is not None:
        interval = _between(opens.p10, opens.p90, now)
    return markup("{} to open in {}, most likely around {}.", would, interval, when(opens.p50))


def forecast_score_text(found: WorkspaceScore | None) -> Markup:
    """Return how good past forecasts were, and what follows for the next ones."""
    if found is None:
        return Markup("Forecasts are scored each night: none has come due yet.")
    score = found.score
    skill = ""
    if score.skill is not None:
        than = "better" if score.skill >= 0 else "worse"
        skill = f", {percent_text(abs(round(score.skill, 2)))} {than} than the base rate"
    return markup(
        "Forecasts of the last 90 d: {} scored · {} of the outcomes were within the 80% interval · "
        "Brier score {}{} · intervals are now {} times as wide as the history alone says.",
        f"{score.count:,}", percent_text(round(score.coverage, 2)), f"{score.brier:.3f}", skill,
        f"{found.spread:.2f}",
    )  # fmt: skip


def _exhaustion(budget: Budget, forecast: BudgetForecast, now: datetime) -> Markup:
    exhausts, within = forecast.exhausts, _horizon(budget, now)
    likely = forecast.probability[HORIZONS[-1]]
    if exhausts is None:
        share = f" ({percent_text(round(likely, 2))} likely)" if likely >= _UNLIKELY else ""
        return markup("Unlikely to run out {}{}.", within, share)
    if exhausts.p90 is not None and exhausts.p50 is not None:
        if exhausts.p90 - now <= _AT_THIS_RATE:
            return markup("Runs out in {} at this rate.", _between(exhausts.p10, exhausts.p90, now))
        between = _between(exhausts.p10, exhausts.p90, now)
        return markup("Runs out in {}, most likely around {}.", between, when(exhausts.p50))
    week = forecast.probability[HORIZONS[1]]
    within_a_week = f", {percent_text(round(week, 2))} within {duration_text(HORIZONS[1])}"
    sooner = within_a_week if week >= _UNLIKELY else ""
    return markup(
        "May run out, in {} at the earliest: {} likely {}{}.",
        _rough(exhausts.p10 - now), percent_text(round(likely, 2)), within, sooner,
    )  # fmt: skip


def _horizon(budget: Budget, now: datetime) -> str:
    window = budget.slo.window
    if isinstance(window, CalendarWindow) and window.period(now).end - now < HORIZONS[-1]:
        return "before it resets"
    return f"within {duration_text(HORIZONS[-1])}"


def _recovery(budget: Budget, recovers: TimeQuantiles, now: datetime) -> Markup:
    spent = "Spent. " if budget.remaining is not None and budget.remaining <= 0 else ""
    if isinstance(budget.slo.window, CalendarWindow):
        return markup("{}Resets {}.", spent, when(recovers.p10))
    if recovers.p50 is None:
        return markup(
            "{}Recovers in {} at the earliest, and more likely not within {}.",
            spent, _rough(recovers.p10 - now), duration_text(HORIZONS[-1]),
        )  # fmt: skip
    if recovers.p90 is None:
        return markup(
            "{}Recovers in {} at the earliest, most likely around {}.",
            spent, _rough(recovers.p10 - now), when(recovers.p50),
        )  # fmt: skip
    return markup(
        "{}Recovers in {}, most likely around {}.",
        spent, _between(recovers.p10, recovers.p90, now), when(recovers.p50),
    )  # fmt: skip


def _between(low: datetime, high: datetime, now: datetime) -> str:
    first, last = _rough(low - now), _rough(high - now)
    return f"about {first}" if first == last else interval_text(first, last)


def _rough(length: timedelta) -> str:
    """Return a length in one unit: `15 min`, `20 h`, `9 d`."""
    unit, size = next((unit, size) for unit, size, least in _UNITS if length >= least or unit == "min")
    return f"{max(1, math.floor(length / size + 0.5))}{_NBSP}{unit}"
