"""How a budget's figures are worked out, in words and numbers that anybody can check. Pure; no clock, no I/O.

Each figure is a `Calculation`: its formula, the same with the numbers put in, and the result. Where a result
has no end it is rounded to twelve decimals and marked with ≈, so that a calculator gives the same digits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from bot.budgets.adjustments.effects import AdjustedCounts
from bot.budgets.budget import SHOWN_BURN_WINDOWS, Budget, EventCounts, SloState
from bot.budgets.evidence import probability_spent, rests_on_evidence
from bot.budgets.exact import WHOLE, exact
from bot.budgets.ledger.state import LedgerState
from bot.budgets.source import Births, SentQuery
from bot.catalog.error_budget_policy import ErrorBudgetPolicy, OnMissingData
from bot.catalog.slo import DowntimeSli, Slo
from bot.catalog.window import CalendarWindow, Span
from bot.formatting import counted, duration_code, duration_text, percent_text
from bot.freezes.hold import Hold
from bot.freezes.tool_comparison import ToolComparison

_ARITHMETIC = Context(prec=50)
_LAST_DIGIT = Decimal("1e-12")
_MINUTE = timedelta(minutes=1)
_PRIMER = "error-budgets.md"


class Term(StrEnum):
    """What the primer explains, by its heading there."""

    SLI = "sli"
    OBJECTIVE = "objective"
    WINDOW = "window"
    ERROR_BUDGET = "error-budget"
    REMAINING = "remaining"
    REMAINING_MINUTES = "remaining-minutes"
    BURN_RATE = "burn-rate"
    STATE = "state"
    EVIDENCE = "evidence"
    ADJUSTMENT = "adjustment"
    LEDGER = "ledger"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Calculation:
    """A figure: its name, the formula in words, the same in numbers, and the result.

    `is_exact` is false where the result was rounded to twelve decimals.
    """

    name: str
    term: Term
    formula: str
    numbers: str
    result: str
    is_exact: bool

    @property
    def text(self) -> str:
        """The formula, the numbers put in, and the result in one line."""
        return f"{self.formula} = {self.numbers} {'=' if self.is_exact else '≈'} {self.result}"


@dataclass(frozen=True, slots=True)
class SourceReply:
    """What a source answered when it was asked for this explanation, about `span` in steps of `step`.

    `events` are None where it answered with an error, which `problem` then is.
    """

    name: str
    queries: tuple[SentQuery, ...]
    span: Span
    step: timedelta
    asked_at: datetime
    took: timedelta
    events: EventCounts | None
    series: int | None
    newest: datetime | None
    problem: str | None = None
    births: Births | None = None
    """Which series began in the SLO's window; None where there are none, or it took too long to find out."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that a budget's figures rest on, and what follows from them.

    `documentation` is the address of the folder of the documentation, without a slash at its end; `source`
    is None where the SLI has no source to ask, `origin` then says in words what is counted. `comparison` is
    with another tool, where that was asked for.
    """

    budget: Budget
    policy: ErrorBudgetPolicy
    window: Span | None
    calculations: tuple[Calculation, ...]
    decision: str
    rule: str
    ledger: LedgerState
    origin: str
    source: SourceReply | None
    now: datetime
    documentation: str = "docs"
    comparison: ToolComparison | None = None

    @property
    def slo(self) -> Slo:
        """The SLO that is explained."""
        return self.budget.slo

    @property
    def unit(self) -> str:
        """What is counted: `events`, or `seconds` of downtime."""
        return "seconds" if isinstance(self.slo.sli, DowntimeSli) else "events"

    @property
    def zone(self) -> str:
        """The time zone in which the window begins and ends."""
        return self.slo.window.time_zone if isinstance(self.slo.window, CalendarWindow) else "UTC"

    def primer(self, term: Term) -> str:
        """Return where the documentation explains a term."""
        return f"{self.documentation}/{_PRIMER}#{term}"

    def local(self, at: datetime) -> str:
        """Return a time in the window's zone, to the second, with the zone: `2026-11-23 09:00:00 UTC`."""
        return f"{at.astimezone(ZoneInfo(self.zone)):%Y-%m-%d %H:%M:%S} {self.zone}"


def births_text(births: Births) -> str:
    """Return which series began in an SLO's window, and what is not counted of them."""
    began = counted(births.series, "series", "series")
    if not births.uncounted:
        return f"{began} began in the window, and all that came with their first samples is counted"
    first = counted(births.uncounted, "first sample")
    return (
        f"{began} began in the window; {count_text(births.events)} events of {first} are not counted, since "
        "nothing proves when they happened"
    )


def number_text(number: Decimal) -> str:
    """Return a number with all its digits and nothing else: no exponent, no separators, a true minus."""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text.replace("-", "−")


def count_text(count: float) -> str:
    """Return a number of events or seconds with all its digits."""
    return number_text(exact(count))


def signed_text(count: float) -> str:
    """Return a difference with its sign and all its digits; 0 has none."""
    return f"+{count_text(count)}" if count > 0 else count_text(count)


def calculations(budget: Budget) -> tuple[Calculation, ...]:
    """Return every figure of a budget that is known, each from the counted events alone."""
    if budget.events is None or budget.as_of is None:
        return ()
    return tuple(_calculations(budget, budget.events, budget.as_of))


def _calculations(budget: Budget, events: EventCounts, as_of: datetime) -> Iterator[Calculation]:
    objective, total, bad = budget.slo.objective, exact(events.total), exact(events.bad)
    if isinstance(events, AdjustedCounts):
        yield from _adjusted(events)
    share = _ARITHMETIC.subtract(WHOLE, objective)
    whole = _ARITHMETIC.multiply(total, share)
    budget_numbers = f"{number_text(total)} × (1 − {number_text(objective)})"
    yield _calculation("Error budget", Term.ERROR_BUDGET, "total × (1 − objective)", budget_numbers, whole)
    if total <= 0:
        return
    yield _calculation(
        "SLI",
        Term.SLI,
        "(total − bad) ÷ total",
        f"({number_text(total)} − {number_text(bad)}) ÷ {number_text(total)}",
        _ARITHMETIC.divide(_ARITHMETIC.subtract(total, bad), total),
    )
    left = _ARITHMETIC.subtract(WHOLE, _ARITHMETIC.divide(bad, whole))
    left_numbers = f"1 − {number_text(bad)} ÷ ({budget_numbers})"
    yield _calculation("Remaining", Term.REMAINING, "1 − bad ÷ budget", left_numbers, left)
    minutes = exact(budget.slo.window.full_length(as_of) / _MINUTE)
    yield _calculation(
        "Remaining minutes",
        Term.REMAINING_MINUTES,
        "remaining × window in minutes × (1 − objective)",
        f"({left_numbers}) × {number_text(minutes)} × (1 − {number_text(objective)})",
        _ARITHMETIC.multiply(_ARITHMETIC.multiply(left, minutes), share),
    )
    for length in SHOWN_BURN_WINDOWS:
        recent = budget.recent.get(length)
        if recent is not None and recent.total > 0:
            yield _burn(duration_code(length), exact(recent.bad), exact(recent.total), objective)


def _adjusted(events: AdjustedCounts) -> Iterator[Calculation]:
    """Yield how the bad events and the total follow from what was counted, an addend for each adjustment."""
    for name, recorded, result, changes in (
        ("Bad events", events.recorded.bad, events.bad, [effect.bad for effect in events.effects]),
        ("Total", events.recorded.total, events.total, [effect.total for effect in events.effects]),
    ):
        addends = "".join(f" {'−' if change < 0 else '+'} {count_text(abs(change))}" for change in changes)
        yield _calculation(
            name,
            Term.ADJUSTMENT,
            f"{name.lower()} as counted and what each adjustment changes",
            f"{count_text(recorded)}{addends}",
            exact(result),
        )


def _burn(length: str, bad: Decimal, total: Decimal, objective: Decimal) -> Calculation:
    rate = _ARITHMETIC.divide(bad, _ARITHMETIC.multiply(total, _ARITHMETIC.subtract(WHOLE, objective)))
    return _calculation(
        f"Burn rate over {length}",
        Term.BURN_RATE,
        f"bad ÷ (total × (1 − objective)), of the last {length}",
        f"{number_text(bad)} ÷ ({number_text(total)} × (1 − {number_text(objective)}))",
        rate,
    )


def _calculation(name: str, term: Term, formula: str, numbers: str, result: Decimal) -> Calculation:
    rounded = result.quantize(_LAST_DIGIT, ROUND_HALF_EVEN, _ARITHMETIC)
    return Calculation(name, term, formula, numbers, number_text(rounded), rounded == result)


def decision_text(budget: Budget, policy: ErrorBudgetPolicy, hold: Hold | None) -> str:
    """Return what the policy makes of a budget and why; `hold` is the bot's own on the service, if any."""
    stop, go = _percent(policy.freeze_at), _percent(policy.unfreeze_at)
    held = f" The hold since {_utc(hold.since)} was placed because {hold.reason}." if hold else ""
    match budget.state:
        case SloState.OK if budget.remaining is not None and budget.remaining <= policy.freeze_at:
            left = _left(budget.remaining)
            does = "freezes" if policy.enforces else "would freeze, and only observes"
            text = f"{left} is at or below `freezeAt` {stop}: policy {policy.name} {does}."
        case SloState.OK if budget.remaining is not None and budget.remaining < policy.unfreeze_at:
            text = (
                f"{_left(budget.remaining)} is above `freezeAt` {stop} and below `unfreezeAt` {go}: "
                "nothing is frozen on its account, and a freeze that began before stays."
            )
        case SloState.OK if budget.remaining is not None:
            dwell = duration_text(policy.dwell, plain=True)
            text = (
                f"{_left(budget.remaining)} is at or above `unfreezeAt` {go}: "
                f"nothing is frozen on its account, and a freeze ends after {dwell} at that level."
            )
        case SloState.OK | SloState.NO_TRAFFIC:
            text = "There were no events in the window, so nothing was spent and nothing is frozen for it."
        case SloState.TOO_LITTLE_TRAFFIC:
            text = (
                f"The figure is at or below `freezeAt` {stop}, and so few events do not prove it: "
                "nothing is frozen, lifted or warned on its account."
            )
        case _:
            why = f" ({budget.problem})" if budget.problem else ""
            follows = (
                f"policy {policy.name} freezes then (`onMissingData: freeze`)."
                if policy.on_missing_data is OnMissingData.FREEZE
                else f"policy {policy.name} changes nothing then (`onMissingData: hold`)."
            )
            text = f"It cannot be measured now{why}: {follows}"
    return text + held


def rule_text(policy: ErrorBudgetPolicy, budget: Budget) -> str:
    """Return by which rule the policy decides on the figures."""
    events = budget.events
    if events is not None and rests_on_evidence(policy, budget.slo, events.total):
        likely = probability_spent(budget.slo, events.bad, events.total, policy.freeze_at)
        return (
            f"Evidence (`decideBy: {policy.decide_by}`): a level counts as crossed where at least "
            f"{policy.min_bad_events} events were bad and the error rate is above that level's with 95%. "
            f"It is above that of `freezeAt` with {likely:.2%} (Beta(½, ½) prior)."
        )
    return (
        "Plain arithmetic: what remains is compared with the levels of the policy as it is, "
        f"and warnings are sent at {_levels(policy.warn_at)}."
    )


def _levels(levels: Sequence[Decimal]) -> str:
    return ", ".join(map(_percent, levels)) or "no level"


def _left(remaining: Decimal) -> str:
    return f"{number_text(_ARITHMETIC.multiply(remaining, Decimal(100)).quantize(Decimal('1e-10')))}%"


def _percent(fraction: Decimal) -> str:
    return percent_text(fraction, plain=True).replace(" ", "")


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
