"""Checks an installation: environment, policies, database, Slack, sources and flag backend.

Each part is checked through its own interface. Nothing is changed, and no secret is shown.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import aiohttp
from sqlalchemy.exc import SQLAlchemyError

from bot.budgets.measurement import Measurement, measure
from bot.budgets.source import SourceError
from bot.budgets.sources.registry import SourceRegistry
from bot.catalog.catalog import Catalog
from bot.clock import Clock, SystemClock
from bot.diagnostics.cluster_checks import cluster_findings
from bot.diagnostics.database_file import file_damage, wal_damage, writing
from bot.diagnostics.findings import Finding, fault, ok, skipped
from bot.diagnostics.flag_guards import guard_findings
from bot.diagnostics.github_gate_checks import github_gate_findings
from bot.diagnostics.issue_checks import issue_findings
from bot.diagnostics.paging_checks import paging_findings
from bot.diagnostics.slack_workspaces import WorkspaceChecks
from bot.flags.backend import FlagError
from bot.flags.registry import BackendContext, open_backend
from bot.formatting import counted
from bot.logs import mask_secrets
from bot.policy.discovery import discover_and_expand
from bot.policy.faults import PolicyError
from bot.policy.loader import read
from bot.policy.secrets import secrets_of
from bot.settings import Settings
from bot.store.database import Database
from bot.store.health.unusable import why_unusable
from bot.store.migrate import is_too_new, newest_version, version

_TIMEOUT = timedelta(seconds=20)
_MAX_FAULTS = 20
_COPY = "copy it from the app's page at api.slack.com/apps"
_FIXES = {"GOVERNOR_ENCRYPTION_KEY": "`governor key` makes one"}


async def examine(settings: Settings, clock: Clock | None = None) -> list[Finding]:
    """Check everything that the settings and the policies name; return the findings in that order."""
    clock = clock or SystemClock()
    findings = [*_environment(settings)]
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        catalog = await _load(settings, session, clock, findings)
        database = await stack.enter_async_context(Database(settings.database_url))
        findings += await _with_timeout("database", _database(database))
        findings += await _with_timeout("issues", issue_findings(settings, database, session, clock))
        workspaces = WorkspaceChecks(
            settings, catalog, database=database, session=session, clock=clock, with_timeout=_with_timeout
        )
        findings += await workspaces.examine()
        if catalog is not None:
            findings += await _with_timeout("sources", _sources(catalog, session, clock))
            findings += await _with_timeout("paging", paging_findings(catalog, session))
            github = github_gate_findings(settings, catalog, session, clock)
            findings += await _with_timeout("github", github)
            findings += await _with_timeout("kubernetes", cluster_findings(settings, catalog))
            context = BackendContext(
                session,
                database,
                clock,
                lambda: [environment.name for environment in catalog.workspace.flags.environments],
                lambda: [flag for service in catalog.services.values() for flag in service.flags],
            )
            findings += await _with_timeout("flags", _flags(catalog, context))
    secrets = (*settings.secrets, *(secrets_of(catalog) if catalog else ()))
    return [
        replace(finding, detail=mask_secrets(finding.detail, secrets), fix=mask_secrets(finding.fix, secrets))
        for finding in findings
    ]


def _environment(settings: Settings) -> list[Finding]:
    missing = [
        fault("environment", name, "not set", _FIXES.get(name, _COPY))
        for name in settings.missing_credentials
    ]
    api = settings.governor_api_token
    token = ok("environment", "GOVERNOR_API_TOKEN", "set") if api else None
    unset = skipped(
        "environment", "GOVERNOR_API_TOKEN", "not set: the API takes `governor token` tokens only"
    )
    return [*missing, token or unset, _github(settings)]


def _github(settings: Settings) -> Finding:
    """Return whether GitHub can be asked what deployments carried."""
    if settings.github_token is not None:
        return ok("environment", "GITHUB_TOKEN", "set")
    return skipped(
        "environment",
        "GITHUB_TOKEN",
        "not set: what deployments carried stays unknown, and no history is imported; "
        "make a fine-grained token that reads contents, deployments and issues",
    )


async def _load(
    settings: Settings, session: aiohttp.ClientSession, clock: Clock, findings: list[Finding]
) -> Catalog | None:
    folder = str(settings.policies_dir)
    fix = "`governor check` explains each"
    try:
        policies = read(settings.policies_dir)
    except PolicyError as error:
        findings += [
            fault("policies", folder, str(policy_fault), fix) for policy_fault in error.faults[:_MAX_FAULTS]
        ]
        return None
    sources = SourceRegistry(session)
    sources.follow(policies.expanded({}).catalog.workspace)
    expanded, problems = await discover_and_expand(policies, sources, clock.now(), within=_TIMEOUT)
    catalog = expanded.catalog
    findings.append(
        ok(
            "policies",
            folder,
            f"{counted(len(catalog.services), 'service')}, {counted(len(catalog.slos), 'SLO')}",
        )
    )
    findings += [
        fault("policies", folder, str(policy_fault), fix) for policy_fault in expanded.faults[:_MAX_FAULTS]
    ]
    for title, count in expanded.counts.items():
        if title in problems:
            fix = "check its `forEach`, and whether the source can be reached from this machine"
            findings.append(fault("policies", title, f"its services are not known: {problems[title]}", fix))
        else:
            findings.append(ok("policies", title, f"makes {counted(count, 'service')}"))
    return catalog


async def _database(database: Database) -> list[Finding]:
    damage = await wal_damage(database)
    try:
        current, newest = await version(database), newest_version()
        damage += await file_damage(database)
    except (SQLAlchemyError, OSError) as error:
        fix = (
            "correct the path, or make the folder writable for this user"
            if database.is_sqlite
            else "check that it runs and that this user may connect"
        )
        return [fault("database", "DATABASE_URL", why_unusable(database.url, error), fix)]
    if is_too_new(current):
        detail = f"at version {current}, newer than this program, which has {newest}"
        return [*damage, fault("database", "migrations", detail, "install the program that upgraded it")]
    if current != newest:
        detail = f"at version {current or 'none'}, this program has {newest}"
        return [*damage, fault("database", "migrations", detail, "run `governor migrate`")]
    return [*damage, *await writing(database), ok("database", "migrations", f"at version {current}")]


async def _sources(catalog: Catalog, session: aiohttp.ClientSession, clock: Clock) -> list[Finding]:
    sources = SourceRegistry(session)
    sources.follow(catalog.workspace)
    findings: list[Finding] = []
    for name, source in sources.items():
        try:
            await source.check()
        except SourceError as error:
            fix = (
                f"see `sources.{name}` in the workspace's policy, and whether it can be reached "
                "from this machine"
            )
            findings.append(fault("sources", name, str(error), fix))
        else:
            findings.append(ok("sources", name, "answers"))
    return findings + await _slos(catalog, sources, clock)


async def _slos(catalog: Catalog, sources: SourceRegistry, clock: Clock) -> list[Finding]:
    """Name the SLOs that cannot be measured now; a source that does not answer is a finding by itself."""
    measurement = await measure(catalog.slos, sources, clock.now(), within=_TIMEOUT / 2)
    fix = "check its `sli` in the policy, and that the metric still exists and is scraped"
    problems = sorted(measurement.problems.items())
    findings = [fault("slos", key, problem, fix) for key, problem in problems[:_MAX_FAULTS]]
    if len(problems) > _MAX_FAULTS:
        more = f"{len(problems) - _MAX_FAULTS} more cannot be measured"
        findings.append(fault("slos", "others", more, "`governor check` names them all"))
    if measurement.measured:
        findings.append(ok("slos", "measured", f"{measurement.measured} of {len(catalog.slos)} by a source"))
    return findings + await _guards(catalog, sources, clock, measurement)


async def _guards(
    catalog: Catalog, sources: SourceRegistry, clock: Clock, measurement: Measurement
) -> list[Finding]:
    """Name the SLOs by which the guard of flags cannot tell what an increase does."""
    answering = {name: source for name, source in sources.items() if name not in measurement.silent}
    found = await guard_findings(
        catalog, answering, clock.now(), within=_TIMEOUT / 4, unmeasured=measurement.problems
    )
    findings = [
        fault("guard", each.slo, each.words, each.fix)
        if each.is_fault
        else skipped("guard", each.slo, each.words)
        for each in found[:_MAX_FAULTS]
    ]
    if len(found) > _MAX_FAULTS:
        more = f"{len(found) - _MAX_FAULTS} more cannot tell"
        findings.append(fault("guard", "others", more, "`governor check` names them all"))
    return findings


async def _flags(catalog: Catalog, context: BackendContext) -> list[Finding]:
    settings = catalog.workspace.flags
    try:
        await open_backend(settings.backend, settings.backend_settings, context).check()
    except FlagError as error:
        return [fault("flags", settings.backend, str(error), "see `flags.backend` in the workspace's policy")]
    except (SQLAlchemyError, OSError):
        fix = "fix the database first, as described above"
        return [fault("flags", settings.backend, "the database that holds the flags cannot be read", fix)]
    return [ok("flags", settings.backend, "answers")]


async def _with_timeout(check: str, work: Awaitable[list[Finding]]) -> list[Finding]:
    try:
        async with asyncio.timeout(_TIMEOUT.total_seconds()):
            return await work
    except TimeoutError:
        detail = f"no answer within {_TIMEOUT.total_seconds():g} s"
        return [fault(check, "all", detail, "check that it can be reached from this machine")]
