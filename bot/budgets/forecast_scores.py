"""Keeps each night's forecasts, and scores those that have come due: by Brier score and by coverage.

The calibration factor of a workspace follows from its scores, and widens or narrows its next forecasts. One
replica scores, every one reads the factors.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, func, select, tuple_, update

from bot.budgets import downtime
from bot.budgets.budget import Budget, EventCounts, SloState, remaining
from bot.budgets.forecaster import Forecaster
from bot.budgets.ledger.ledger import Ledger, fingerprint
from bot.budgets.statistics.forecast import HORIZONS, BudgetForecast
from bot.budgets.statistics.scoring import (
    ForecastScore,
    ScoredForecast,
    WorkspaceScore,
    calibration,
    score,
)
from bot.catalog.current import CurrentCatalog
from bot.catalog.slo import DowntimeSli, Slo
from bot.store.database import Database
from bot.store.leases import Lease
from bot.store.tables.forecasts import forecast_scores, forecasts

_NIGHT = timedelta(hours=2)
"""How long after midnight (UTC) forecasts are still kept: later they would be of less than whole days."""

_SCORED_OVER = timedelta(days=90)
_MOST_SCORED = 20_000
_NAMED_AT_ONCE = 1_000
"""How many SLOs a statement names: a database takes only so many parameters."""


class ForecastScores:
    """The forecasts that were kept, and their scores."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        forecaster: Forecaster,
        current: CurrentCatalog,
        lease: Lease,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._forecaster = forecaster
        self._current = current
        self._lease = lease

    async def update(self, budgets: Sequence[Budget], now: datetime) -> None:
        """Keep tonight's forecasts, score those that have come due, and follow the factors."""
        if await self._lease.acquire():
            await self._record_exhausted(budgets, now)
            scored = await self._score_due(now)
            if scored:
                await self._summarize(now)
            if now - _midnight(now) < _NIGHT:
                await self._keep(budgets, now)
        self._forecaster.scores = await self._newest()

    async def _newest(self) -> dict[str | None, WorkspaceScore]:
        last = select(forecast_scores.c.workspace, func.max(forecast_scores.c.day)).group_by(
            forecast_scores.c.workspace
        )
        columns = forecast_scores.c
        query = select(forecast_scores).where(tuple_(columns.workspace, columns.day).in_(last))
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        return {
            row.workspace or None: WorkspaceScore(
                ForecastScore(row.scored, row.brier, row.skill, row.coverage), row.spread
            )
            for row in rows
        }

    async def _keep(self, budgets: Sequence[Budget], now: datetime) -> None:
        """Keep the forecasts of all budgets that are not spent, once a night."""
        made_on = _midnight(now)
        async with self._database.reading() as connection:
            kept = select(forecasts.c.id).where(forecasts.c.made_on == made_on).limit(1)
            if (await connection.execute(kept)).first() is not None:
                return
        left = [budget for budget in budgets if budget.remaining is not None and budget.remaining > 0]
        made = await self._forecaster.forecast_all(left, with_fan=True)
        rows = [
            row
            for budget, found in zip(left, made, strict=True)
            if found is not None
            for row in self._rows(budget, found, made_on)
        ]
        if rows:
            async with self._database.transaction(in_turn=False) as connection:
                await connection.execute(self._database.insert(forecasts).on_conflict_do_nothing(), rows)

    def _rows(self, budget: Budget, found: BudgetForecast, made_on: datetime) -> list[dict[str, Any]]:
        rows = []
        for horizon in HORIZONS:
            if len(found.fan) >= horizon.days:
                # The first point of the fan is the midnight in a day's time.
                point = found.fan[horizon.days - 1]
                rows.append(
                    {
                        "service": budget.slo.service,
                        "slo": budget.slo.name,
                        "promise": _promise(budget.slo),
                        "made_on": made_on,
                        "horizon_days": horizon.days,
                        "due_at": point.at,
                        "probability": found.probability[horizon],
                        "low": point.low,
                        "middle": point.middle,
                        "high": point.high,
                        "spread": self._forecaster.spread(budget.slo.service),
                    }
                )
        return rows

    async def _record_exhausted(self, budgets: Sequence[Budget], now: datetime) -> None:
        """Note of forecasts that are not due yet that their budget was exhausted."""
        spent = [
            (budget.slo.service, budget.slo.name)
            for budget in budgets
            if budget.state is SloState.OK and budget.remaining is not None and budget.remaining <= 0
        ]
        if not spent:
            return
        columns = forecasts.c
        open_ones = columns.scored_at.is_(None) & columns.exhausted.is_(False) & (columns.due_at >= now)
        async with self._database.transaction(in_turn=False) as connection:
            for first in range(0, len(spent), _NAMED_AT_ONCE):
                named = tuple_(columns.service, columns.slo).in_(spent[first : first + _NAMED_AT_ONCE])
                await connection.execute(update(forecasts).where(open_ones & named).values(exhausted=True))

    async def _score_due(self, now: datetime) -> int:
        """Write down what was left of each budget when its forecast came due; return how many were due."""
        columns = forecasts.c
        query = select(forecasts).where(columns.scored_at.is_(None) & (columns.due_at <= now))
        async with self._database.reading() as connection:
            due = (await connection.execute(query)).all()
        if not due:
            return 0
        slos = {(slo.service, slo.name): slo for slo in self._current.catalog.slos}
        valid = [row for row in due if _is_same(slos.get((row.service, row.slo)), row)]
        left = await self._remaining([(slos[row.service, row.slo], row.due_at) for row in valid], now)
        outcomes = {row.id: each for row, each in zip(valid, left, strict=True) if each is not None}
        async with self._database.transaction(in_turn=False) as connection:
            for row in due:
                if row.id not in outcomes:
                    # The SLO has changed or had no traffic: nothing can be compared.
                    await connection.execute(delete(forecasts).where(columns.id == row.id))
                    continue
                outcome = outcomes[row.id]
                values = {"remaining": outcome, "scored_at": now, "exhausted": row.exhausted or outcome <= 0}
                await connection.execute(update(forecasts).where(columns.id == row.id).values(**values))
        return len(outcomes)

    async def _remaining(self, moments: Sequence[tuple[Slo, datetime]], now: datetime) -> list[float | None]:
        """Return what was left of each budget at a time."""
        counted = [(slo, at) for slo, at in moments if not isinstance(slo.sli, DowntimeSli)]
        found: dict[tuple[Slo, datetime], EventCounts] = {}
        # One sum for each time: the forecasts of a night come due together.
        by_time: dict[datetime, list[Slo]] = defaultdict(list)
        for slo, at in counted:
            by_time[at].append(slo)
        for at, slos in by_time.items():
            counts = await self._ledger.counts_of_many([(slo, [slo.window.span(at)]) for slo in slos], now)
            found |= {(slo, at): events for slo, (events,) in zip(slos, counts, strict=True)}
        for slo, at in moments:
            if (slo, at) not in found:
                found[slo, at], _ = await downtime.window_and_recent(
                    self._ledger.downtime_counts, slo, (), at
                )
        left = [remaining(found[slo, at], slo.objective) for slo, at in moments]
        return [None if each is None else float(each) for each in left]

    async def _summarize(self, now: datetime) -> None:
        """Write the score of each workspace, and the factor that follows."""
        columns = forecasts.c
        query = (
            select(forecasts)
            .where(columns.scored_at > now - _SCORED_OVER)
            .order_by(columns.id.desc())
            .limit(_MOST_SCORED)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        by_team: dict[str, list[ScoredForecast]] = defaultdict(list)
        for row in rows:
            team = self._current.workspace.of(row.service).elsewhere
            by_team[team or ""].append(_scored(row))
        summaries = [
            _summary(team, _midnight(now), found, calibration(scored))
            for team, scored in by_team.items()
            if (found := score(scored)) is not None
        ]
        async with self._database.transaction(in_turn=False) as connection:
            for summary in summaries:
                same = (forecast_scores.c.workspace == summary["workspace"]) & (
                    forecast_scores.c.day == summary["day"]
                )
                await connection.execute(delete(forecast_scores).where(same))
                await connection.execute(self._database.insert(forecast_scores), [summary])


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _promise(slo: Slo) -> str:
    text = f"{slo.objective.normalize()} {slo.window} {fingerprint(slo.sli)}"
    return hashlib.sha256(text.encode()).hexdigest()


def _is_same(slo: Slo | None, row: Row[Any]) -> bool:
    return slo is not None and _promise(slo) == row.promise


def _scored(row: Row[Any]) -> ScoredForecast:
    return ScoredForecast(
        row.probability, row.low, row.middle, row.high, row.spread, row.remaining, row.exhausted
    )


def _summary(team: str, day: datetime, found: ForecastScore, spread: float) -> Mapping[str, Any]:
    return {
        "workspace": team, "day": day, "scored": found.count, "brier": found.brier, "skill": found.skill,
        "coverage": found.coverage, "spread": spread,
    }  # fmt: skip
