"""The checks behind `/readyz`."""

import asyncio
import itertools
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from bot.app.flag_readiness import FlagReadiness
from bot.app.hold_readiness import HoldReadiness
from bot.app.parts import Parts
from bot.app.task_readiness import ImportReadiness, TaskReadiness
from bot.budgets.budget import Budget, SloState
from bot.budgets.ledger.lateness import LATE
from bot.http.health import Probe, ReadinessCheck
from bot.pacing import Pacer
from bot.store.health.errors import unavailable_reason
from bot.store.health.sqlite_wal import WalDamage

_SHOWN_SLOS = 50
_UNMEASURED = {SloState.NO_DATA, SloState.STALE, SloState.INVALID}
_SHOWN_FAULTS = 20


class ReadinessChecks:
    """Readiness checks. Only the database and the loop are vital: restarting cures nothing else."""

    def __init__(self, parts: Parts, wal_damage: WalDamage | None) -> None:
        resources, budgets = parts.resources, parts.budgets
        self._database = resources.database
        self._write_probe = parts.write_probe
        self._wal_damage = wal_damage
        self._watcher = parts.watcher
        self._discovery = parts.discovery
        self._evaluator = budgets.evaluator
        self._collector = budgets.collector
        self._slack = parts.slack
        self._holds = HoldReadiness(budgets.hold_registry, resources.current, resources.clock)
        self._flags = FlagReadiness(resources.database)
        self._tasks = TaskReadiness(parts.tasks)
        self._imports = ImportReadiness(parts.deployments.imports, resources.current, resources.clock)
        self._webhooks = parts.webhooks
        self._clock = resources.clock

    @property
    def all(self) -> Sequence[Probe]:
        """The checks, in the order in which they are shown."""
        return (
            self.database,
            self.database_log,
            self.evaluation,
            self.policies,
            self.sources,
            self.delivery,
            self.slack,
            self._holds.holds,
            self._flags.flags,
            self._tasks.tasks,
            self._imports.imports,
            self._webhooks.readiness,
        )

    async def database(self) -> ReadinessCheck:
        """Whether the database answers, and takes what is to be kept."""
        problem = self._write_probe.problem
        if problem is None:
            try:
                async with self._database.reading() as connection:
                    await connection.execute(select(1))
            except (SQLAlchemyError, OSError) as error:
                problem = unavailable_reason(error) or type(error).__name__
        return ReadinessCheck("database", ok=problem is None, detail={"problem": problem} if problem else {})

    async def database_log(self) -> ReadinessCheck:
        """Whether SQLite's write-ahead log was whole at the start; what was in it is lost until a restore."""
        await asyncio.sleep(0)
        damage = self._wal_damage
        detail = {"problem": str(damage)} if damage else {}
        return ReadinessCheck("database_log", ok=damage is None, vital=False, detail=detail)

    async def policies(self) -> ReadinessCheck:
        """Whether the policy folder is good and what it stands for is known; else the last good set stays."""
        faults, catalog = self._watcher.faults, self._watcher.current.catalog
        refused, unfound = self._watcher.refused_values, self._discovery.problems
        detail = {
            "services": len(catalog.services),
            "slos": len(catalog.slos),
            "digest": catalog.digest[:12],
            "faults": [str(fault) for fault in faults[:_SHOWN_FAULTS]],
            "refused_values": [str(fault) for fault in refused[:_SHOWN_FAULTS]],
            "values_not_found": dict(unfound),
        }
        return ReadinessCheck("policies", ok=not (faults or refused or unfound), vital=False, detail=detail)

    async def evaluation(self) -> ReadinessCheck:
        """Whether the loop ticks and keeps up, what cannot be measured, and how far back-filling has come."""
        every = self._watcher.current.workspace.evaluate_every
        last = self._evaluator.last_tick
        late = last is None or self._clock.now() - last > 3 * every + timedelta(seconds=5)
        unmeasured = await self._unmeasured()
        progress = self._collector.progress
        filling = {
            key: {"done": step.done, "total": step.total}
            for key, step in itertools.islice(list(progress.items()), _SHOWN_SLOS)
        }
        return ReadinessCheck(
            "evaluation",
            ok=not late,
            detail={
                "last_tick": last.isoformat() if last else None,
                "behind_seconds": round(self._evaluator.behind(self._clock.now()).total_seconds()),
                "evaluated_slos": sum(map(len, list(self._evaluator.latest.values()))),
                "unmeasured_slos": len(unmeasured),
                "unmeasured": {
                    budget.slo.key: {"state": str(budget.state), "problem": budget.problem}
                    for budget in unmeasured[:_SHOWN_SLOS]
                },
                "filling_slos": len(progress),
                "filling": filling,
            },
        )

    async def sources(self) -> ReadinessCheck:
        """Whether every SLO can be measured now."""
        failing = sorted(budget.slo.key for budget in await self._unmeasured())
        late = await self._late()
        detail = {
            "failing_slos": len(failing),
            "failing": failing[:_SHOWN_SLOS],
            "late_slos": len(late),
            "late": dict(itertools.islice(late.items(), _SHOWN_SLOS)),
        }
        return ReadinessCheck("sources", ok=not failing, vital=False, detail=detail)

    async def _late(self) -> dict[str, dict[str, object]]:
        """Return the SLOs whose figures are minutes old, though they are read: their events come late."""
        now = self._clock.now()
        before = now - self._watcher.current.workspace.evaluate_every - LATE
        late: dict[str, dict[str, object]] = {}
        pace = Pacer()
        for budgets in list(self._evaluator.latest.values()):
            await pace()
            for budget in budgets:
                if budget.as_of is not None and budget.as_of < before and budget.is_known:
                    late[budget.slo.key] = {
                        "as_of": budget.as_of.isoformat(),
                        "late_seconds": round((now - budget.as_of).total_seconds()),
                        "problem": budget.problem,
                    }
        return late

    async def _unmeasured(self) -> list[Budget]:
        unmeasured: list[Budget] = []
        pace = Pacer()
        for budgets in list(self._evaluator.latest.values()):
            await pace()
            unmeasured += [budget for budget in budgets if budget.state in _UNMEASURED]
        return unmeasured

    async def delivery(self) -> ReadinessCheck:
        """Whether messages reach their channels, and none waits for minutes."""
        await asyncio.sleep(0)
        health = self._slack.dispatcher.health
        failing = {
            channel: {"error": fault.error, "messages": fault.messages, "since": fault.since.isoformat()}
            for channel, fault in health.failing.items()
        }
        late = {
            channel: {
                "error": health.delayed.get(channel),
                "messages": one.messages,
                "since": one.since.isoformat(),
            }
            for channel, one in health.late.items()
        }
        return ReadinessCheck(
            "delivery",
            ok=not (failing or late),
            vital=False,
            detail={
                "failing": failing,
                "late": late,
                "delayed": dict(health.delayed),
                "waiting": health.waiting,
                "oldest": health.oldest_at.isoformat() if health.oldest_at else None,
            },
        )

    async def slack(self) -> ReadinessCheck:
        """Whether Slack knows the bot."""
        detail = await self._slack.status()
        return ReadinessCheck("slack", ok=detail.get("problem") is None, vital=False, detail=detail)
