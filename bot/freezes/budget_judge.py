"""Decides on budgets and carries the decisions out: freezes, warns, lifts, and remembers what it must.

What comes of a decision is written in one transaction: the hold, the audit rows, the announcements and the
`FreezeState`.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.adjustments.adjustment import Adjustment
from bot.budgets.budget import Budget, worst
from bot.budgets.statistics.forecast import BudgetForecast
from bot.catalog.catalog import Service
from bot.catalog.error_budget_policy import UnmetRequirement
from bot.catalog.slo import Slo
from bot.freezes.audit_entries import entry_of
from bot.freezes.burn import QUIET_AFTER, burn_of, is_quiet
from bot.freezes.decision import Decision, FreezeState
from bot.freezes.hold import GOVERNOR, Hold
from bot.freezes.hold_registry import ReadUnmet, nothing_unmet
from bot.freezes.hold_writer import Announce, Follow, HoldWriter, log_transitions, nothing_follows
from bot.freezes.records import read_freeze_states, read_holds
from bot.freezes.service_decision import budget_hold, decide_on_service, judged_budgets, placed_hold
from bot.freezes.transition import (
    Background,
    BudgetExhausted,
    BudgetRecovered,
    BudgetTransition,
    BudgetWarned,
    BurnAlertFired,
    DataMissing,
    EnforcementBegan,
    EnforcementEnded,
    HoldLifted,
    PrecedingDeployment,
    Spending,
)
from bot.pacing import Pacer
from bot.store.database import Database
from bot.store.tables.core import holds as hold_rows
from bot.store.tables.core import standings as freeze_state_rows
from bot.store.threads import end_threads, lasts

_SERVICES_PER_TRANSACTION = 10

AssessedService = tuple[Service, Sequence[Budget]]
"""A service with its budgets, as of one evaluation."""

ExplainSpending = Callable[[Service, Budget, datetime], Awaitable[Spending | None]]
"""Returns where a spent budget went, as far as that is known."""

ReadPreceding = Callable[
    [AsyncConnection, Collection[str], datetime], Awaitable[Mapping[str, PrecedingDeployment]]
]
"""Returns for each of the services which production deployment came last before a time, if one is known."""

Forecast = Callable[[Sequence[Budget]], Awaitable[Sequence[BudgetForecast | None]]]
"""Returns what will become of each budget; None where nothing can be said."""

FollowAlerts = Callable[
    [AsyncConnection, Service, Sequence[Budget], tuple[FreezeState, FreezeState], datetime], Awaitable[None]
]
"""Writes what follows from the burn alerts of a service, as they fired before and fire now."""

FindAdjustment = Callable[
    [Service, datetime, Callable[[Budget], bool], datetime], Awaitable[Adjustment | None]
]
"""Returns the adjustment without which some budget had not crossed its level, seen first at a time."""

_MAY_FOLLOW_A_DEPLOYMENT = (BudgetWarned, BurnAlertFired, BudgetExhausted, DataMissing, EnforcementBegan)
_FORESEEN = (BudgetWarned, BurnAlertFired, BudgetExhausted)


async def nothing_known(_service: Service, _budget: Budget, _now: datetime) -> Spending | None:
    """Return that nobody knows where a budget went."""
    return None


async def nothing_deployed(
    _connection: AsyncConnection, _services: Collection[str], _before: datetime
) -> Mapping[str, PrecedingDeployment]:
    """Return that no deployment is known."""
    return {}


async def nothing_foreseen(budgets: Sequence[Budget]) -> Sequence[BudgetForecast | None]:
    """Return that nothing can be said of any budget."""
    return [None] * len(budgets)


async def no_alerts_followed(
    _connection: AsyncConnection,
    _service: Service,
    _budgets: Sequence[Budget],
    _states: tuple[FreezeState, FreezeState],
    _now: datetime,
) -> None:
    """Write nothing."""


async def nothing_adjusted(
    _service: Service, _seen_at: datetime, _had_not_crossed: Callable[[Budget], bool], _now: datetime
) -> Adjustment | None:
    """Return that no adjustment moved a budget."""
    return None


class BudgetJudge:
    """Places and lifts the bot's own budget holds.

    `read_unmet` returns what else keeps a service's hold, `explain` where a spent budget went,
    `read_preceding` what was deployed last, `forecast` what will become of budgets; `follow` writes what
    follows where holds were placed or lifted.
    `follow_alerts` writes what else follows from burn alerts.
    """

    def __init__(
        self,
        database: Database,
        announce: Announce,
        read_unmet: ReadUnmet = nothing_unmet,
        *,
        explain: ExplainSpending = nothing_known,
        read_preceding: ReadPreceding = nothing_deployed,
        forecast: Forecast = nothing_foreseen,
        follow: Follow = nothing_follows,
        follow_alerts: FollowAlerts = no_alerts_followed,
        find_adjustment: FindAdjustment = nothing_adjusted,
    ) -> None:
        self._database = database
        self._writer = HoldWriter(database, announce, follow)
        self._read_unmet = read_unmet
        self._explain = explain
        self._read_preceding = read_preceding
        self._forecast = forecast
        self._find_adjustment = find_adjustment
        self._follow_alerts = follow_alerts

    async def judge(
        self, service: Service, budgets: Sequence[Budget], now: datetime
    ) -> Sequence[BudgetTransition]:
        """Decide on the service's budgets and carry it out; return what happened."""
        return (await self.judge_all([(service, budgets)], now)).get(service.name, ())

    async def judge_all(
        self, assessed: Sequence[AssessedService], now: datetime
    ) -> Mapping[str, Sequence[BudgetTransition]]:
        """Decide on the budgets of many services and carry it out; return what happened, by service.

        All are read in one go. Those that change are written some at a time, so that a person's freeze need
        not wait until hundreds are written.
        """
        decided = await self._decide_on_all(assessed, now)
        happened: dict[str, Sequence[BudgetTransition]] = {}
        for start in range(0, len(decided), _SERVICES_PER_TRANSACTION):
            happened |= await self._carry_out(decided[start : start + _SERVICES_PER_TRANSACTION], now)
        return happened

    async def _decide_on_all(
        self, assessed: Sequence[AssessedService], now: datetime
    ) -> list[tuple[AssessedService, Decision]]:
        """Decide on what the store shows now; leave out the services of which nothing is to be written."""
        names = {service.name for service, _ in assessed}
        decided = []
        first_judged = []
        async with self._database.reading() as connection:
            states = await read_freeze_states(connection, names)
            holds = await read_holds(connection)
            holds_of = defaultdict(list)
            for hold in holds:
                holds_of[hold.service].append(hold)
            pace = Pacer()
            for service, budgets in assessed:
                await pace()
                decision = await self._decide(
                    connection,
                    (service, budgets),
                    holds_of[service.name],
                    states.get(service.name, FreezeState()),
                    now,
                )
                if decision is not None:
                    decided.append(((service, budgets), decision))
                elif service.name not in states:
                    first_judged.append(service.name)
        if first_judged:
            await self._note_first(first_judged)
        return decided

    async def _note_first(self, services: Sequence[str]) -> None:
        """Note that services were judged, though nothing is to be written: the gate answers for them."""
        rows = [{"service": name, "alerts": []} for name in services]
        async with self._database.transaction() as connection:
            insertion = self._database.insert(freeze_state_rows).on_conflict_do_nothing()
            await connection.execute(insertion, rows)

    async def _carry_out(
        self, decided: Sequence[tuple[AssessedService, Decision]], now: datetime
    ) -> dict[str, Sequence[BudgetTransition]]:
        """Decide anew in one transaction, in which nobody else decides, and write what comes of it."""
        # Read before the transaction, so that nobody waits for it.
        backgrounds = await self._backgrounds(decided, now)
        happened: dict[str, Sequence[BudgetTransition]] = {}
        async with self._database.transaction() as connection:
            for (service, budgets), _ in decided:
                state = (await read_freeze_states(connection, [service.name])).get(
                    service.name, FreezeState()
                )
                holds = await read_holds(connection, service.name)
                decision = await self._decide(connection, (service, budgets), holds, state, now)
                if decision is None:
                    continue
                is_held = budget_hold(holds) is not None
                if is_quiet(state, held=is_held):
                    # A slow burn of which nothing was told for long: what comes now is another one.
                    await end_threads(connection, burn_of(service.name), now, quiet_since=now - QUIET_AFTER)
                for transition in decision.transitions:
                    await self._change_hold(connection, service, transition, now)
                    await self._writer.record(connection, service, transition, now, backgrounds[service.name])
                await self._store_state(connection, service.name, decision.state)
                if decision.state.alerts != state.alerts:
                    await self._follow_alerts(connection, service, budgets, (state, decision.state), now)
                if not decision.transitions and is_quiet(decision.state, held=is_held):
                    await self._end_burn(connection, service, budgets, decision.state, now)
                happened[service.name] = decision.transitions
        for name, transitions in happened.items():
            log_transitions(name, transitions)
        return happened

    async def _end_burn(
        self,
        connection: AsyncConnection,
        service: Service,
        budgets: Sequence[Budget],
        state: FreezeState,
        now: datetime,
    ) -> None:
        """Let the head of a burn's thread say that no alert fires, and end it where no warning stands."""
        lowest = worst(budgets)
        subject = burn_of(service.name)
        if lowest is not None and await lasts(connection, subject):
            await self._writer.record_burn_ended(connection, service, lowest, now)
            if state.warned is None:
                await end_threads(connection, subject, now)

    async def _decide(
        self,
        connection: AsyncConnection,
        assessed: AssessedService,
        holds: Sequence[Hold],
        state: FreezeState,
        now: datetime,
    ) -> Decision | None:
        """Decide; None where there is nothing to write."""
        service, budgets = assessed
        is_held = budget_hold(holds) is not None
        judged = judged_budgets(service, budgets)
        missing: Sequence[UnmetRequirement] = ()
        if is_held and any(policy.unfreeze_requires is not None for _, policy in judged):
            missing = await self._read_unmet(connection, service.name)
        decision = decide_on_service(service, budgets, holds, state, now, missing)
        return decision if decision.transitions or decision.state != state else None

    async def _backgrounds(
        self, decided: Sequence[tuple[AssessedService, Decision]], now: datetime
    ) -> Mapping[str, Background]:
        """Return what is known beside the transitions of each service."""
        names = [
            service.name
            for (service, _), decision in decided
            if any(isinstance(each, _MAY_FOLLOW_A_DEPLOYMENT) for each in decision.transitions)
        ]
        preceding: Mapping[str, PrecedingDeployment] = {}
        if names:
            async with self._database.reading() as connection:
                preceding = await self._read_preceding(connection, names, now)
        forecasts = await self._forecasts([decision for _, decision in decided])
        return {
            service.name: Background(
                spending=await self._explain_freeze(service, decision, now),
                deployment=preceding.get(service.name),
                forecasts=of_service,
                adjustment=await self._adjustment(service, decision, now),
            )
            for ((service, _), decision), of_service in zip(decided, forecasts, strict=True)
        }

    async def _adjustment(self, service: Service, decision: Decision, now: datetime) -> Adjustment | None:
        """Return the adjustment because of which a decision freezes or opens the service, if one did it."""
        for transition in decision.transitions:
            match transition:
                case BudgetExhausted(budget, policy):

                    def was_above(
                        other: Budget, slo: Slo = budget.slo, level: Decimal = policy.freeze_at
                    ) -> bool:
                        return other.slo == slo and (other.remaining is None or other.remaining > level)

                    return await self._find_adjustment(service, now, was_above, now)
                case BudgetRecovered(_, _, recovered_since):

                    def was_below(other: Budget) -> bool:
                        level = service.policy_for(other.slo).unfreeze_at
                        return other.remaining is not None and other.remaining < level

                    return await self._find_adjustment(service, recovered_since, was_below, now)
        return None

    async def _forecasts(self, decisions: Sequence[Decision]) -> list[Mapping[str, BudgetForecast]]:
        """Return what will become of the budgets that each decision tells of, by the name of the SLO."""
        told = [_told_budgets(decision) for decision in decisions]
        budgets = [budget for each in told for budget in each]
        found = iter(await self._forecast(budgets) if budgets else [])
        return [
            {budget.slo.name: forecast for budget in each if (forecast := next(found)) is not None}
            for each in told
        ]

    async def _explain_freeze(self, service: Service, decision: Decision, now: datetime) -> Spending | None:
        """Return where the budget went, for a decision that freezes because it is spent."""
        for transition in decision.transitions:
            if isinstance(transition, BudgetExhausted):
                return await self._explain(service, transition.budget, now)
        return None

    async def _change_hold(
        self, connection: AsyncConnection, service: Service, transition: BudgetTransition, now: datetime
    ) -> None:
        reason = entry_of(transition, service.name).reason
        if isinstance(transition, BudgetExhausted | DataMissing):
            hold = placed_hold(transition, service.name, now)
            await connection.execute(
                insert(hold_rows).values(
                    service=hold.service,
                    kind=str(hold.kind),
                    reason=hold.reason,
                    by=hold.by,
                    since=hold.since,
                    slo=hold.slo,
                    observed=hold.observed,
                )
            )
        elif isinstance(transition, EnforcementBegan | EnforcementEnded):
            await self._writer.switch(connection, transition, reason, now)
        elif isinstance(transition, BudgetRecovered | HoldLifted):
            await self._writer.end(connection, transition.hold, by=GOVERNOR, reason=reason, now=now)

    async def _store_state(self, connection: AsyncConnection, service: str, state: FreezeState) -> None:
        values: dict[str, Any] = {
            "warned": None if state.warned is None else float(state.warned),
            "recovered_since": state.recovered_since,
            "kept_at": state.retained_at,
            "alerts": sorted(state.alerts),
        }
        await connection.execute(
            self._database.insert(freeze_state_rows)
            .values(service=service, **values)
            .on_conflict_do_update(index_elements=["service"], set_=values)
        )


def _told_budgets(decision: Decision) -> Collection[Budget]:
    """Return the budgets that a decision tells of, one for each SLO."""
    told = [transition.budget for transition in decision.transitions if isinstance(transition, _FORESEEN)]
    told += [
        transition.cause.budget
        for transition in decision.transitions
        if isinstance(transition, EnforcementBegan) and transition.cause is not None
    ]
    return {budget.slo: budget for budget in told}.values()
