"""Examines an installation: environment, policies, database, Slack, sources and the flag system.

Every room is asked through its own door; nothing is changed, and nothing secret is said.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from bot.budgets.source import SourceError
from bot.budgets.sources.registry import SourceRegistry
from bot.catalog.catalog import Catalog
from bot.clock import Clock, SystemClock
from bot.diagnostics.findings import Finding, fault, ok, skipped
from bot.diagnostics.slack_workspaces import WorkspaceChecks
from bot.flags.backend import FlagError
from bot.flags.registry import BackendContext, open_backend
from bot.logs import masked
from bot.policy.discovery import discover_and_expand
from bot.policy.faults import PolicyError
from bot.policy.loader import read
from bot.policy.secrets import secrets_of
from bot.settings import Settings
from bot.store.database import Database
from bot.store.migrate import newest_version, version

_TIMEOUT = timedelta(seconds=20)
_MOST_FAULTS = 20


async def examine(settings: Settings, clock: Clock | None = None) -> list[Finding]:
    """Look at everything that the settings and the policies name; return what was found, in that order."""
    time = clock or SystemClock()
    found = [*_environment(settings)]
    async with AsyncExitStack() as doors:
        session = await doors.enter_async_context(aiohttp.ClientSession())
        catalog = await _load(settings, session, time, found)
        database = await doors.enter_async_context(Database(settings.database_url))
        found += await _bounded("database", _database(database))
        workspaces = WorkspaceChecks(
            settings, catalog, database=database, session=session, clock=time, bounded=_bounded
        )
        found += await workspaces.examine()
        if catalog is not None:
            found += await _bounded("sources", _sources(catalog, session))
            around = BackendContext(
                session,
                database,
                time,
                lambda: [environment.name for environment in catalog.workspace.flags.environments],
                lambda: [flag for service in catalog.services.values() for flag in service.flags],
            )
            found += await _bounded("flags", _flags(catalog, around))
    secrets = (*settings.secrets, *(secrets_of(catalog.workspace) if catalog else ()))
    return [replace(one, detail=masked(one.detail, secrets), fix=masked(one.fix, secrets)) for one in found]


def _environment(settings: Settings) -> list[Finding]:
    missing = [
        fault("environment", name, "not set", "copy it from the app's page at api.slack.com/apps")
        for name in settings.missing_credentials
    ]
    api = settings.governor_api_token
    token = ok("environment", "GOVERNOR_API_TOKEN", "set") if api else None
    unset = skipped(
        "environment", "GOVERNOR_API_TOKEN", "not set: the API takes `governor token` tokens only"
    )
    return [*missing, token or unset]


async def _load(
    settings: Settings, session: aiohttp.ClientSession, clock: Clock, found: list[Finding]
) -> Catalog | None:
    folder = str(settings.policies_dir)
    fix = "`governor check` explains each"
    try:
        policies = read(settings.policies_dir)
    except PolicyError as error:
        found += [fault("policies", folder, str(one), fix) for one in error.faults[:_MOST_FAULTS]]
        return None
    sources = SourceRegistry(session)
    sources.follow(policies.expanded({}).catalog.workspace)
    expanded, unfound = await discover_and_expand(policies, sources, clock.now(), within=_TIMEOUT)
    catalog = expanded.catalog
    found.append(ok("policies", folder, f"{len(catalog.services)} services, {len(catalog.slos)} SLOs"))
    found += [fault("policies", folder, str(one), fix) for one in expanded.faults[:_MOST_FAULTS]]
    for title, count in expanded.counts.items():
        if title in unfound:
            mend = "see its `forEach`, and whether the source answers from here"
            found.append(fault("policies", title, f"for whom it stands is not known: {unfound[title]}", mend))
        else:
            found.append(ok("policies", title, f"stands for {count} services"))
    return catalog


async def _database(database: Database) -> list[Finding]:
    file = make_url(database.url).database if database.is_sqlite else None
    if file is not None and not Path(file).parent.is_dir():
        words = f"there is no folder {Path(file).parent}"
        return [fault("database", "DATABASE_URL", words, "make the folder, or name another file")]
    try:
        has, wants = await version(database), newest_version()
    except (SQLAlchemyError, OSError) as error:
        words = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        return [fault("database", "DATABASE_URL", words, "see whether it runs and lets this user in")]
    if has != wants:
        detail = f"at version {has or 'none'}, this program has {wants}"
        return [fault("database", "migrations", detail, "run `governor migrate`")]
    return [ok("database", "migrations", f"at version {has}")]


async def _sources(catalog: Catalog, session: aiohttp.ClientSession) -> list[Finding]:
    sources = SourceRegistry(session)
    sources.follow(catalog.workspace)
    found: list[Finding] = []
    for name, source in sources.items():
        try:
            await source.check()
        except SourceError as error:
            fix = f"see `sources.{name}` in the workspace's policy, and whether it answers from here"
            found.append(fault("sources", name, str(error), fix))
        else:
            found.append(ok("sources", name, "answers"))
    return found


async def _flags(catalog: Catalog, around: BackendContext) -> list[Finding]:
    settings = catalog.workspace.flags
    try:
        await open_backend(settings.backend, settings.backend_settings, around).check()
    except FlagError as error:
        return [fault("flags", settings.backend, str(error), "see `flags.backend` in the workspace's policy")]
    except (SQLAlchemyError, OSError):
        fix = "mend what is said of the database first"
        return [fault("flags", settings.backend, "the database that keeps the flags cannot be read", fix)]
    return [ok("flags", settings.backend, "answers")]


async def _bounded(check: str, asking: Awaitable[list[Finding]]) -> list[Finding]:
    try:
        async with asyncio.timeout(_TIMEOUT.total_seconds()):
            return await asking
    except TimeoutError:
        words = f"no answer within {_TIMEOUT.total_seconds():g} s"
        return [fault(check, "all", words, "see whether it is reachable from this machine")]
