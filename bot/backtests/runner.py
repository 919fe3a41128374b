"""Runs backtests: reads the past of services from the ledger, replays it, and says what was held."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.backtests.backtest import (
    Backtest,
    LeftOut,
    ServiceBacktest,
    freezes_of,
    held_deployments,
)
from bot.backtests.notes import notes
from bot.backtests.past_reader import PastReader
from bot.backtests.replay import SloPast, replay
from bot.budgets.downtime import BadSeconds
from bot.catalog.catalog import Catalog, Service
from bot.catalog.slo import Slo
from bot.catalog.window import Span
from bot.deployments import records as deployment_records
from bot.deployments.deployment import Deployment
from bot.freezes.records import read_exemptions
from bot.store.database import Database

_SERVICES_AT_ONCE = 10

Progress = Callable[[int, int], None]
"""Is told how many services are done, of how many."""

_Deployed = Sequence[tuple[Deployment, str | None]]


def no_progress(_done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass
class _Findings:
    """What was found by now under one set of policies."""

    services: list[ServiceBacktest]
    left_out: list[LeftOut]


class BacktestRunner:
    """Replays what the ledger in `database` holds; `downtime` returns the downtime that was recorded."""

    def __init__(self, database: Database, downtime: BadSeconds) -> None:
        self._database = database
        self._downtime = downtime

    async def run(
        self,
        catalogs: Mapping[str, Catalog],
        span: Span,
        services: Collection[str] | None = None,
        progress: Progress = no_progress,
    ) -> list[Backtest]:
        """Return a backtest for each catalog, by its name, in their order.

        `services` are those to replay, all of them for None. A service that only one of the catalogs has is
        only in that one's backtest.
        """
        findings = {name: _Findings([], []) for name in catalogs}
        wanted = sorted(
            {
                service
                for catalog in catalogs.values()
                for service in catalog.services
                if services is None or service in services
            }
        )
        reader = PastReader(self._database, self._downtime, span.end)
        progress(0, len(wanted))
        for first in range(0, len(wanted), _SERVICES_AT_ONCE):
            names = wanted[first : first + _SERVICES_AT_ONCE]
            await self._replay(reader, catalogs, names, span, findings)
            progress(min(len(wanted), first + _SERVICES_AT_ONCE), len(wanted))
        return [
            Backtest(
                name,
                span,
                tuple(found.services),
                tuple(found.left_out),
                tuple(notes(span, found.services)),
            )
            for name, found in findings.items()
        ]

    async def _replay(
        self,
        reader: PastReader,
        catalogs: Mapping[str, Catalog],
        names: Sequence[str],
        span: Span,
        findings: Mapping[str, _Findings],
    ) -> None:
        """Replay some services under every catalog."""
        chosen = {
            name: [catalog.services[service] for service in names if service in catalog.services]
            for name, catalog in catalogs.items()
        }
        # SLOs that two catalogs have alike are read once.
        services = [service for each in chosen.values() for service in each]
        slos = list({slo: None for service in services for slo in service.slos})
        pasts = await reader.read(slos, span.start, _longest_burn(services))
        deployed = await self._deployed(names, span)
        for name, catalog in catalogs.items():
            for service in chosen[name]:
                found = findings[name]
                found.left_out += _left_out(service, pasts)
                # In a thread of its own: whoever asks from Slack must not keep the others waiting.
                tested = await asyncio.to_thread(
                    _tested, service, pasts, span, catalog, deployed.get(service.name, ())
                )
                found.services += [tested] if tested is not None else []

    async def _deployed(self, services: Sequence[str], span: Span) -> Mapping[str, _Deployed]:
        """Return the deployments that ended in the span, by their service, with the exemptions they had."""
        found: dict[str, list[tuple[Deployment, str | None]]] = {name: [] for name in services}
        async with self._database.reading() as connection:
            rows = await deployment_records.read(connection, services, span.start, span.end)
            for deployment, names in rows:
                for name in names:
                    found[name].append((deployment, await _exemption(connection, name, deployment)))
        return found


async def _exemption(connection: AsyncConnection, service: str, deployment: Deployment) -> str | None:
    granted = await read_exemptions(connection, service, deployment.started_at)
    return next((each.change for each in granted if deployment.is_called(each.change)), None)


def _longest_burn(services: Iterable[Service]) -> timedelta:
    """Return the longest time over which a policy of the services looks at a burn rate."""
    policies = (service.policy_for(slo) for service in services for slo in service.slos)
    return max((alert.long for policy in policies for alert in policy.burn_alerts), default=timedelta())


def _left_out(service: Service, pasts: Mapping[Slo, SloPast | str]) -> list[LeftOut]:
    return [
        LeftOut(service.name, slo.name, reason)
        for slo in service.slos
        if isinstance(reason := pasts[slo], str)
    ]


def _tested(
    service: Service,
    pasts: Mapping[Slo, SloPast | str],
    span: Span,
    catalog: Catalog,
    deployed: _Deployed,
) -> ServiceBacktest | None:
    """Return what one service would have met with; None where none of its SLOs can be replayed."""
    known = {slo.name: past for slo in service.slos if isinstance(past := pasts[slo], SloPast)}
    if not known:
        return None
    own = Span(max(span.start, min(past.since for past in known.values())), span.end)
    transitions = replay(service, known, own, catalog.workspace.evaluate_every)
    freezes = freezes_of(transitions)
    return ServiceBacktest(
        service,
        own,
        tuple(transitions),
        tuple(freezes),
        {name: past.since for name, past in known.items()},
        tuple(held_deployments(service, freezes, deployed, own.end, catalog.workspace.flags)),
        is_adjusted=any(past.is_adjusted for past in known.values()),
    )
