"""Phrases about budgets and holds that replies and announcements share. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import assert_never

from bot.budgets.budget import HOUR, SHOWN_BURN_WINDOWS, Budget, SloState, allowed_minutes
from bot.catalog.error_budget_policy import UnmetRequirement
from bot.catalog.slo import DowntimeSli
from bot.catalog.window import CalendarUnit, CalendarWindow, RollingWindow, Window
from bot.formatting import (
    budget_text,
    burn_rate_text,
    counted,
    duration_text,
    event_count_text,
    from_now_text,
    interval_text,
    listed,
    minutes_text,
    percent_text,
)
from bot.freezes.hold import GOVERNOR, Hold, HoldKind
from bot.freezes.opening import LackingBudget, Opening
from bot.freezes.transition import Spending
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, cut, join, markup, mention, naming, when

_MOST_MISSING = 3
_LONGEST_ACTION = 200
_WINDOW_TEXTS = {HOUR: "the last hour", timedelta(hours=6): "6 h", timedelta(days=3): "3 d"}


def remaining_text(budget: Budget) -> str:
    """Return how much is left, or in a word or two why it is not known."""
    match budget.state:
        case SloState.NO_TRAFFIC:
            return "no traffic"
        case SloState.TOO_LITTLE_TRAFFIC:
            return "too little traffic"
        case SloState.NO_DATA:
            return "no data yet"
        case SloState.INVALID:
            return "not measurable"
        case SloState.STALE | SloState.OK:
            if budget.remaining is None:
                return "no traffic" if budget.state is SloState.OK else "no data"
            text = f"{budget_text(budget.remaining)} left"
            return f"{text}, stale" if budget.state is SloState.STALE else text


def objective_text(budget: Budget) -> str:
    """Return the objective and its window: `99.9% over 30 d`."""
    return f"{percent_text(budget.slo.objective)} over {window_text(budget.slo.window)}"


def window_text(window: Window) -> str:
    """Return the window of an SLO: `30 d`, `this month`, `this month (from day 15)`."""
    match window:
        case RollingWindow(length):
            return duration_text(length)
        case CalendarWindow(unit, _, start):
            return f"this {unit}" if start is None else f"this {unit} (from {_first_day(unit, start)})"
        case _:
            assert_never(window)


def _first_day(unit: CalendarUnit, start: datetime) -> str:
    """Return the day on which periods begin: `Tuesday`, `day 15`, `21 January`."""
    match unit:
        case CalendarUnit.WEEK:
            return f"{start:%A}"
        case CalendarUnit.MONTH:
            return f"day {start.day}"
        case CalendarUnit.QUARTER | CalendarUnit.YEAR:
            return f"{start.day} {start:%B}"
        case _:
            assert_never(unit)


def remaining_amount(budget: Budget) -> str:
    """Return what is left in minutes and, where events are counted, in events; empty where unknown."""
    if budget.remaining_minutes is None or budget.as_of is None:
        return ""
    allowed = minutes_text(allowed_minutes(budget.slo, budget.as_of))
    parts = [f"{minutes_text(budget.remaining_minutes)} of {allowed}"]
    if not isinstance(budget.slo.sli, DowntimeSli):
        parts.append(event_count_text(budget.remaining_events))
    return ", ".join(parts)


def burn_rates_text(budget: Budget) -> str:
    """Return the burn rates that are known: `14.4× over 1 h, 6.1× over 6 h`; empty where none is."""
    known = [
        f"{burn_rate_text(rate)} over {duration_text(length)}"
        for length in SHOWN_BURN_WINDOWS
        if (rate := budget.burn.get(length)) is not None
    ]
    return ", ".join(known)


def spent_text(budget: Budget) -> str:
    """Return what was spent and when: `12% in the last hour, 45% in 6 h`; empty where unknown."""
    known = [
        f"{budget_text(fraction)} in {_WINDOW_TEXTS[length]}"
        for length in SHOWN_BURN_WINDOWS
        if (fraction := budget.spent_in(length)) is not None
    ]
    return listed(known)


def worst_burn_text(budget: Budget) -> str:
    """Return the highest burn rate and its window; empty where none is known."""
    highest = budget.worst_burn()
    return f"{burn_rate_text(highest[1])} over {duration_text(highest[0])}" if highest else ""


def forecast_text(budget: Budget, now: datetime, recovers_at: datetime | None = None) -> Markup:
    """Return when the budget runs out at this rate, or when or how it recovers."""
    if budget.remaining is None:
        return Markup("")
    if recovers_at is not None and isinstance(budget.slo.window, RollingWindow):
        return markup(
            "At this rate there is enough again {} ({}).", from_now_text(recovers_at, now), when(recovers_at)
        )
    if budget.remaining <= 0:
        return _recovery(budget, now)
    if budget.exhausts_at is not None:
        return _exhaustion(budget.exhausts_at, budget.exhausts_latest, now)
    return Markup("Does not run out at this rate.")


def _exhaustion(earliest: datetime, latest: datetime | None, now: datetime) -> Markup:
    """Return when a budget runs out: a range while a burn alert burns faster in one window than the other."""
    first = from_now_text(earliest, now)
    if latest is None:
        return markup("Runs out {} ({}) at the earliest.", first, when(earliest))
    last = from_now_text(latest, now)
    if first == last:
        return markup("Runs out {} ({}) at this rate.", first, when(earliest))
    if first == "now":
        return markup("Runs out within {} (by {}) at this rate.", last.removeprefix("in "), when(latest))
    return markup(
        "Runs out in {} ({} to {}) at this rate.",
        interval_text(first.removeprefix("in "), last.removeprefix("in ")), when(earliest), when(latest),
    )  # fmt: skip


def _recovery(budget: Budget, now: datetime) -> Markup:
    if isinstance(budget.slo.window, CalendarWindow):
        return markup("Spent. Resets {}.", when(budget.slo.window.period(now).end))
    return markup(
        "Spent. Recovers as errors grow older than {}.", duration_text(budget.slo.window.full_length(now))
    )


def opening_text(opening: Opening, now: datetime, forecast: Markup = NOTHING) -> Markup:
    """Return what is left now, what it takes to end the budget's hold, and when that is expected.

    `forecast` says when, where there is one; else the rate of the last hour does.
    """
    stays = f" for {duration_text(opening.dwell)}" if opening.dwell else ""
    if not opening.lacking:
        return markup(
            "Enough of the budget has been left since {}. It opens {} if that stays so.",
            when(opening.since or now), _expected(opening.expected_at or now, now),
        )  # fmt: skip
    lines = [_lacking(lack, stays) for lack in opening.lacking[:_MOST_MISSING]]
    more = len(opening.lacking) - len(lines)
    if forecast:
        expected = forecast
    elif opening.expected_at is not None:
        expected = markup("Expected {} at the rate of the last hour.", _expected(opening.expected_at, now))
    elif all(lack.budget.is_known for lack in opening.lacking):
        expected = Markup("At the rate of the last hour that does not come within one window.")
    else:
        expected = NOTHING
    return join("\n", [*lines, f"and {counted(more, 'more budget')}" if more else "", expected])


def _lacking(lack: LackingBudget, stays: str) -> Markup:
    slo = lack.budget.slo.name
    if not lack.budget.is_known:
        return markup("{}: {}. It opens once enough is known to be left.", slo, remaining_text(lack.budget))
    return markup(
        "Now: {} of the {} budget is left. It opens at {} or more{}.",
        budget_text(lack.budget.remaining), slo, percent_text(lack.level), stays,
    )  # fmt: skip


def _expected(at: datetime, now: datetime) -> Markup:
    return markup("{} ({})", from_now_text(at, now), when(at))


def data_problem(budget: Budget) -> Markup:
    """Return what is wrong with a budget's data; empty if nothing is."""
    why = markup(": {}", budget.problem) if budget.problem else Markup(".")
    match budget.state:
        case SloState.OK:
            return Markup("")
        case SloState.NO_TRAFFIC:
            return Markup("No traffic in the window, so nothing was spent.")
        case SloState.TOO_LITTLE_TRAFFIC:
            return _too_little_traffic(budget)
        case SloState.NO_DATA:
            return join("", [Markup("Nothing has been counted yet"), why])
        case SloState.INVALID:
            return join("", [Markup("It cannot be measured"), why])
        case SloState.STALE:
            last = when(budget.as_of) if budget.as_of else Markup("unknown")
            return join("", [markup("Last counted {}", last), why])


def _too_little_traffic(budget: Budget) -> Markup:
    """Return on how few events nobody can decide: `1 of 3 events was bad, and …`."""
    if budget.events is None:
        return Markup("")
    bad, total = round(budget.events.bad), round(budget.events.total)
    return markup(
        "{} of {} {} in the window {} bad. That may be chance: it freezes nothing and lifts nothing. "
        "Next: a longer window or a lower objective.",
        f"{bad:,}", f"{total:,}", "event" if total == 1 else "events", "was" if bad == 1 else "were",
    )  # fmt: skip


def hold_owner(hold: Hold) -> Markup:
    """Return who placed a hold, with its kind unless it is a person's or the budget's."""
    if hold.kind in {HoldKind.PERSON, HoldKind.BUDGET}:
        return mention(hold.by)
    return markup("{} ({})", mention(hold.by), str(hold.kind))


def hold_term(hold: Hold) -> Markup:
    """Return who placed a hold, since when and until when."""
    until = markup(", until {}", when(hold.until)) if hold.until else ""
    return join("", [markup("{} since {}", hold_owner(hold), when(hold.since)), until])


def hold_text(hold: Hold) -> Markup:
    """Return a hold in a line: who placed it, since when, until when, why."""
    return markup("{}: {}", hold_term(hold), naming(hold.reason))


def hold_owners(holds: Sequence[Hold]) -> Markup:
    """Return who holds a service, each once."""
    return Markup(listed(list(dict.fromkeys(hold_owner(hold) for hold in holds))))


def people_holding(holds: Sequence[Hold]) -> Markup:
    """Return which people hold a service, each once; empty where the bot alone does."""
    return hold_owners([hold for hold in holds if hold.by != GOVERNOR])


def spending_text(spending: Spending | None) -> Markup:
    """Return in a line which incidents spent the budget, and what to work on first."""
    if spending is None:
        return Markup("")
    if not spending.incidents:
        return Markup("Where it went: outside incidents.")
    first, more = spending.incidents[0], len(spending.incidents) > 1
    share = percent_text(round(spending.share, 2))
    where = f"{len(spending.incidents)} incidents" if more else f"incident {first}"
    if spending.cause is not None:
        why = markup(
            "{} {}: {} first.", ", most to" if more else ", put down to", spending.cause, spending.work
        )
    elif spending.is_open:
        why = markup(
            ", {} still open: help there first.", f"most in incident {first}," if more else "which is"
        )
    else:
        why = markup(
            ", {} not classified yet: {} first.",
            f"most in incident {first}," if more else "which is", code(f"/postmortem {first}"),
        )  # fmt: skip
    return markup("Where it went: {} in {}{}", share, where, why)


def unmet_requirements_text(missing: Sequence[UnmetRequirement], service: str) -> Markup:
    """Return which P0 actions keep a service held, and what each needs; empty if none does."""
    if not missing:
        return Markup("")
    lines = [_unmet_requirement(requirement) for requirement in missing[:_MOST_MISSING]]
    more = len(missing) - len(lines)
    rest = markup("• and {} more: {}", more, code(f"/action list {service}")) if more else ""
    return join("\n", [Markup("It stays until these P0 actions have an owner and a date:"), *lines, rest])


def _unmet_requirement(requirement: UnmetRequirement) -> Markup:
    return markup(
        "• {} — needs {}: {}",
        action_name(requirement.action, requirement.text),
        listed(requirement.lacks),
        code(own_action_command(requirement.action, requirement.lacks)),
    )


def action_name(action: int, text: str | None) -> Markup:
    """Return an action by its number and its text, which is None if it follows from a private incident."""
    shown = Markup("of a private incident") if text is None else cut(naming(text), _LONGEST_ACTION)
    return markup("{}. {}", action, shown)


def own_action_command(action: int, lacks: Sequence[str]) -> str:
    """Return the command that gives an action what it lacks."""
    arguments = {"an owner": "@OWNER", "a due date": "due friday"}
    return " ".join([f"/action change {action}", *(arguments[lack] for lack in lacks)])


def slo_name(budget: Budget) -> Markup:
    """Return an SLO's name in bold."""
    return bold(budget.slo.name)
