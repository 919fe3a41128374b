"""Budgets before and after an adjustment that is asked for, approved or reversed."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.budgets.adjustments.adjustment import Adjustment
from bot.budgets.adjustments.figures import BudgetChange
from bot.budgets.adjustments.requests import affected
from bot.budgets.assessment import AssessmentRequest, assess_all
from bot.budgets.budget import Budget
from bot.budgets.ledger.adjusted_sums import AS_IT_IS, Supposition
from bot.budgets.ledger.exact_sums import finest_width
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.rollups import ceil, floor, instant, seconds
from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.slo import DowntimeSli
from bot.catalog.window import Span

_MINUTE = timedelta(minutes=1)


class AdjustmentPreview:
    """Assesses budgets as they would be, from the ledger."""

    def __init__(self, ledger: Ledger, current: CurrentCatalog) -> None:
        self._ledger = ledger
        self._current = current

    async def adding(self, service: Service, asked: Adjustment, now: datetime) -> list[BudgetChange]:
        """Return what the budgets are and what they would be if this counted."""
        return await self._changes(service, asked, AS_IT_IS, Supposition(also=(asked,)), now)

    async def removing(self, service: Service, reversed_: Adjustment, now: datetime) -> list[BudgetChange]:
        """Return what the budgets are and what they would be without one that counts."""
        supposed = Supposition(without=frozenset({reversed_.id}))
        return await self._changes(service, reversed_, AS_IT_IS, supposed, now)

    async def countable(self, service: Service, slo: str | None, span: Span, now: datetime) -> Span:
        """Return a span in whole minutes, or in whole hours where no shorter times are kept any more."""
        counted = [each for each in affected(service, slo) if not isinstance(each.sli, DowntimeSli)]
        start, end = span.start, span.end
        states = await self._ledger.states(counted)
        widths = [(finest_width(each, start, now), finest_width(each, end, now)) for each in states]
        widths.append((_MINUTE, _MINUTE))
        first, last = (max(each) // timedelta(seconds=1) for each in zip(*widths, strict=True))
        return Span(instant(floor(seconds(start), first)), instant(ceil(seconds(end), last)))

    async def _changes(
        self,
        service: Service,
        about: Adjustment,
        before: Supposition,
        after: Supposition,
        now: datetime,
    ) -> list[BudgetChange]:
        requests = [
            AssessmentRequest(slo, policy=service.policy_for(slo)) for slo in affected(service, about.slo)
        ]
        every = self._current.catalog.workspace.evaluate_every
        ledgers = [self._ledger.supposing(supposition) for supposition in (before, after)]
        assessed: list[Sequence[Budget]] = [
            await assess_all(ledger, requests, now, every) for ledger in ledgers
        ]
        return [BudgetChange(*pair) for pair in zip(*assessed, strict=True)]
