"""Asks the verdict for each service, and says what of it the API server has to know. Decides nothing."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from bot.catalog.catalog import Catalog, Service
from bot.catalog.error_budget_policy import LaunchRequirement, PolicyMode
from bot.catalog.freeze_window import FreezeWindow
from bot.catalog.gates import GateUnavailable
from bot.freezes.calendar.occurrences import next_occurrence
from bot.freezes.calendar.schedules import read_windows
from bot.freezes.hold import Hold, HoldKind, current_holds, observed_holds
from bot.freezes.records import read_holds
from bot.freezes.status import (
    NotMeasuredYetError,
    StatusReader,
    barred_environments,
    environment_of,
)
from bot.freezes.verdict import Change, Verdict, bars
from bot.gates.kubernetes.release_holds import HeldService, digest_in, lapse
from bot.store.database import Database
from bot.store.tables.core import standings

_AHEAD = timedelta(days=1)
"""How long ahead freeze windows are written, so that they begin without Governor."""


@dataclass(frozen=True, slots=True)
class HeldServices:
    """The services that are held, those that would be if their policy were enforced, and the unknown ones."""

    enforced: tuple[HeldService, ...]
    observed: tuple[HeldService, ...]
    unknown: frozenset[str] = frozenset()
    """The names of services that were never judged: what was written of them stays."""


class HeldServiceReader:
    """Reads which services are held in an environment."""

    def __init__(self, status_reader: StatusReader, database: Database) -> None:
        self._status_reader = status_reader
        self._database = database

    async def read(self, catalog: Catalog, environment: str, now: datetime) -> HeldServices:
        """Return what is held in an environment, from what is committed now."""
        self._status_reader.gate_states.invalidate()
        environment = environment_of(catalog, environment)
        async with self._database.reading() as connection:
            with_holds = {hold.service for hold in current_holds(await read_holds(connection), now)}
            judged = frozenset((await connection.execute(select(standings.c.service))).scalars())
            windows = await read_windows(connection, catalog)
        enforced: list[HeldService] = []
        observed: list[HeldService] = []
        for service in catalog.services.values():
            # Most services have no hold: the verdict is asked where it may be no.
            if service.name in with_holds or _must_launch(service):
                held = await self._held(service, environment, now)
                would_be = None if held else await self._would_be_held(service, environment, now)
                enforced += [held] if held is not None else []
                observed += [would_be] if would_be is not None else []
                await asyncio.sleep(0)
            for coming, is_enforced in _coming(windows.values(), service, environment, now):
                (enforced if is_enforced else observed).append(coming)
        known = {each.service for each in enforced} | judged
        unknown = {name for name, service in catalog.services.items() if service.slos and name not in known}
        return HeldServices(tuple(enforced), tuple(observed), frozenset(unknown))

    async def _held(self, service: Service, environment: str, now: datetime) -> HeldService | None:
        try:
            verdict = await self._status_reader.verdict(service.name, Change(environment=environment))
        except NotMeasuredYetError:
            return None
        if verdict.allow:
            return None
        exempt = await self._exempt(service, environment, now)
        return HeldService(
            service.name, "; ".join(verdict.reasons), ends=_end(service, verdict, now), exempt=exempt
        )

    async def _exempt(self, service: Service, environment: str, now: datetime) -> tuple[str, ...]:
        """Return the digests that the verdict lets through, of those that anybody asked for."""
        state = await self._status_reader.gate_states.of(service, now)
        digests = []
        for exemption in state.exemptions:
            digest = digest_in(exemption.change) or digest_in(exemption.commit or "")
            if digest is None:
                continue
            change = Change(exemption.change, environment=environment, commit=exemption.commit)
            if (await self._status_reader.verdict(service.name, change)).allow:
                digests.append(digest)
        return tuple(digests)

    async def _would_be_held(self, service: Service, environment: str, now: datetime) -> HeldService | None:
        state = await self._status_reader.gate_states.of(service, now)
        barred = barred_environments(service)
        holds = [hold for hold in observed_holds(state.holds, now) if bars(hold, environment, barred)]
        if not holds:
            return None
        reason = "; ".join(f"{hold.kind} hold: {hold.reason}" for hold in holds)
        return HeldService(service.name, reason, ends=_last_end(holds) or lapse(now))


def _must_launch(service: Service) -> bool:
    return service.error_budget_policy.launch_requires is LaunchRequirement.READINESS


def _end(service: Service, verdict: Verdict, now: datetime) -> datetime | None:
    """Return when the API server may open the service by itself.

    Where the policy says that an outage of Governor stops nobody, a hold without an end lapses after a day
    in which Governor did not confirm it.
    """
    end = _last_end(verdict.holds) if verdict.launch is None else None
    if end is None and service.gate_unavailable is GateUnavailable.OPEN:
        return lapse(now)
    return end


def _last_end(holds: Sequence[Hold]) -> datetime | None:
    ends = [hold.until for hold in holds if hold.until is not None]
    return max(ends) if ends and len(ends) == len(holds) else None


def _coming(
    windows: Iterable[FreezeWindow], service: Service, environment: str, now: datetime
) -> Sequence[tuple[HeldService, bool]]:
    """Return the service's freeze windows of the next day, each with whether it is enforced."""
    found = []
    for window in windows:
        occurrence = next_occurrence(window, now) if service.name in window.services else None
        if occurrence is None or not now < occurrence.start <= now + _AHEAD:
            continue
        hold = Hold(0, service.name, HoldKind.CALENDAR, window.reason, "", occurrence.start, occurrence.end)
        if bars(hold, environment, barred_environments(service)):
            held = HeldService(
                service.name, f"calendar hold: {window.reason}", occurrence.start, occurrence.end
            )
            found.append((held, PolicyMode.OBSERVE not in {window.mode, service.mode}))
    return found
