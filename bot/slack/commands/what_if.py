"""`/budget what-if`: what an outage would cost, or what another objective would have meant."""

from collections.abc import Sequence

from bot.backtests.outage import (
    SupposedOutage,
    outage_outcome,
    supposed_budget,
)
from bot.backtests.runner import BacktestRunner
from bot.backtests.what_if import nearest_slo, objective_outcome
from bot.catalog.catalog import Service
from bot.catalog.slo import Slo
from bot.freezes.status import ServiceStatus, StatusReader
from bot.slack.arguments import UsageError, name, unknown
from bot.slack.blockkit.mrkdwn import code, markup
from bot.slack.commands.what_if_objective import objective_reply
from bot.slack.commands.what_if_outage import is_below, outage_reply
from bot.slack.interactions import Reply
from bot.slack.typed.suppositions import SupposedObjective, read_supposition, usage
from bot.suggestions import suggest


class WhatIf:
    """The `/budget what-if` command, which changes nothing."""

    def __init__(self, status_reader: StatusReader, runner: BacktestRunner) -> None:
        self._status_reader = status_reader
        self._runner = runner

    async def answer(self, words: Sequence[str]) -> Reply:
        """Return what the words suppose; the first names the service.

        Raises `UsageError` and `UnknownServiceError`.
        """
        if not words:
            raise UsageError(usage("SERVICE"))
        status = await self._status_reader.service(name(words[0]))
        supposed = read_supposition(status.service.name, words[1:])
        if not status.service.slos:
            raise UsageError(markup("{} has no SLO.", status.service.name))
        if isinstance(supposed, SupposedObjective):
            return await self._objective(status, supposed, " ".join(words))
        return await self._outage(status, supposed, " ".join(words))

    async def _outage(self, status: ServiceStatus, outage: SupposedOutage, typed: str) -> Reply:
        holds = (*status.holds, *status.observed)
        outcome = outage_outcome(status.service, status.budgets, holds, outage, status.as_of)
        spent = [cost for cost in outcome.costs if is_below(outcome, cost)]
        budgets = [supposed_budget(cost) for cost in spent]
        forecasts = await self._status_reader.forecasts(budgets) if budgets else {}
        return outage_reply(outcome, status, forecasts, typed)

    async def _objective(self, status: ServiceStatus, supposed: SupposedObjective, typed: str) -> Reply:
        slo = _slo(status.service, supposed)
        before = next(budget for budget in status.budgets if budget.slo == slo)
        outcome = await objective_outcome(
            self._runner, self._status_reader.catalog, before, supposed.objective, status.as_of
        )
        return objective_reply(outcome, typed)


def _slo(service: Service, supposed: SupposedObjective) -> Slo:
    if supposed.slo is None:
        nearest = nearest_slo(service, supposed.objective)
        assert nearest is not None  # noqa: S101 - the service has an SLO
        return nearest
    by_name = {slo.name.casefold(): slo for slo in service.slos}
    found = by_name.get(supposed.slo.casefold())
    if found is None:
        all_slos = markup("{} lists them.", code(f"/budget {service.name}"))
        raise unknown(
            "SLO", supposed.slo, suggest(supposed.slo, [slo.name for slo in service.slos]), all_slos
        )
    return found
