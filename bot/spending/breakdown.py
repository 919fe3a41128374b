"""Where a budget went: what each cause spent of it, adding up to the whole to the last event. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal

from bot.budgets.budget import Budget
from bot.budgets.exact import NOTHING, allowed, exact
from bot.catalog.slo import DowntimeSli, Slo
from bot.catalog.window import Span
from bot.incidents.incident import Incident
from bot.spending.attribution import THE_REST, Cause, CauseKind

_ARITHMETIC = Context(prec=50)
_TENTHS = 1_000


@dataclass(frozen=True, slots=True)
class SpentRow:
    """What one cause spent, in bad events or seconds. `causes` are several only where they are summed up.

    `is_hidden`: incidents that the reader may not know of, together.
    """

    kind: CauseKind
    causes: tuple[Cause, ...]
    spent: Decimal
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class SpendingBreakdown:
    """What spent an SLO's budget in its window, the largest row first, the rest last.

    The rows add up to `spent`, the bad events (or seconds) of the window. `budget` is how many may be bad;
    `within` is how long after a deployment or a flag's change spending is attributed to it.
    """

    slo: Slo
    window: Span
    spent: Decimal
    budget: Decimal
    rows: tuple[SpentRow, ...]
    within: timedelta

    @property
    def unit(self) -> str:
        """What is counted: `events`, or `seconds` of downtime."""
        return "seconds" if isinstance(self.slo.sli, DowntimeSli) else "events"

    @property
    def shares(self) -> tuple[Decimal, ...]:
        """Return each row's share of what was spent; they add up to 1 but for the last of fifty digits."""
        return tuple(_divided(row.spent, self.spent) for row in self.rows)

    @property
    def tenths(self) -> tuple[int, ...]:
        """Return each row in tenths of a percent of the budget, so rounded that they add up to the whole."""
        return apportioned([row.spent for row in self.rows], self.spent_tenths)

    @property
    def spent_tenths(self) -> int:
        """Return what was spent in tenths of a percent of the budget, as `/budget` rounds what is left."""
        if not self.budget or not self.spent:
            return 0
        tenths = _ARITHMETIC.multiply(_divided(self.spent, self.budget), Decimal(_TENTHS))
        return max(1, int(tenths.to_integral_value(ROUND_HALF_EVEN)))


def breakdown(
    budget: Budget,
    window: Span,
    divided: Sequence[tuple[Span, Cause]],
    spent_by: Sequence[float],
    within: timedelta,
) -> SpendingBreakdown:
    """Return what each cause spent, given the stretches of the window and what was spent by each one's end.

    What a stretch spent is the difference of two of these sums. They rise and end at the budget's own sum,
    so that the differences add up to it exactly.
    """
    events = budget.events
    if events is None:
        raise ValueError(f"nothing was counted for {budget.slo.key}")
    whole = exact(events.bad)
    totals: dict[int, tuple[Cause, Decimal]] = {}
    before = NOTHING
    for index, ((_, cause), sum_at_end) in enumerate(zip(divided, spent_by, strict=True)):
        is_last = index == len(divided) - 1
        until = whole if is_last else min(whole, max(before, exact(sum_at_end)))
        known = totals.get(id(cause), (cause, NOTHING))[1]
        totals[id(cause)] = (cause, _ARITHMETIC.add(known, _ARITHMETIC.subtract(until, before)))
        before = until
    rows = [SpentRow(cause.kind, (cause,), spent) for cause, spent in totals.values() if spent]
    order = list(CauseKind)
    rows.sort(key=lambda row: (row.kind is CauseKind.REST, -row.spent, order.index(row.kind)))
    size = allowed(events.total, budget.slo.objective)
    return SpendingBreakdown(budget.slo, window, whole, size, tuple(rows), within)


def as_seen(found: SpendingBreakdown, may_see: Callable[[Incident], bool]) -> SpendingBreakdown:
    """Return the same with the incidents that the reader may not know of summed up in one row."""
    open_rows = [row for row in found.rows if _is_seen(row, may_see)]
    hidden = [row for row in found.rows if not _is_seen(row, may_see)]
    return _with_last(found, open_rows, _summed(CauseKind.INCIDENT, hidden, is_hidden=True))


def shortened(found: SpendingBreakdown, most: int) -> tuple[SpendingBreakdown, int]:
    """Return the same with at most `most` rows named, and how many causes the row before the rest sums up.

    Those that are not named are one row of the kind `rest`, with their causes.
    """
    named = [row for row in found.rows if row.kind is not CauseKind.REST]
    if len(named) <= most:
        return found, 0
    others = named[most:]
    summed = _summed(CauseKind.REST, others, is_hidden=False)
    kept = [row for row in found.rows if row not in others]
    return _with_last(found, kept, summed), len(others)


def apportioned(parts: Sequence[Decimal], whole: int) -> tuple[int, ...]:
    """Return whole numbers in the proportions of the parts that add up to `whole` (largest remainder)."""
    total = sum(parts, NOTHING)
    if not total:
        return (0,) * len(parts)
    ideal = [_divided(_ARITHMETIC.multiply(part, Decimal(whole)), total) for part in parts]
    floors = [int(share) for share in ideal]
    order = sorted(range(len(parts)), key=lambda index: (floors[index] - ideal[index], index))
    for index in order[: whole - sum(floors)]:
        floors[index] += 1
    return tuple(floors)


def _is_seen(row: SpentRow, may_see: Callable[[Incident], bool]) -> bool:
    return all(may_see(cause.subject) for cause in row.causes if isinstance(cause.subject, Incident))


def _summed(kind: CauseKind, rows: Sequence[SpentRow], *, is_hidden: bool) -> SpentRow | None:
    if not rows:
        return None
    spent = sum((row.spent for row in rows), NOTHING)
    causes = () if is_hidden else tuple(cause for row in rows for cause in row.causes)
    return SpentRow(kind, causes, spent, is_hidden)


def _with_last(
    found: SpendingBreakdown, rows: Sequence[SpentRow], summed: SpentRow | None
) -> SpendingBreakdown:
    """Return the breakdown with these rows and, before the rest, a row that sums up others."""
    rest = [row for row in rows if row.causes == (THE_REST,)]
    named = [row for row in rows if row.causes != (THE_REST,)]
    all_rows = (*named, *((summed,) if summed else ()), *rest)
    return SpendingBreakdown(
        found.slo, found.window, found.spent, found.budget, tuple(all_rows), found.within
    )


def _divided(part: Decimal, whole: Decimal) -> Decimal:
    return _ARITHMETIC.divide(part, whole) if part and whole else NOTHING
