"""Checks the GitHub App that holds changes: its rights, its rules in environments, its required check.

https://docs.github.com/en/rest/deployments/environments
https://docs.github.com/en/rest/deployments/protection-rules
https://docs.github.com/en/rest/repos/rules#get-rules-for-a-branch
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from bot.catalog.catalog import Catalog
from bot.clock import Clock
from bot.diagnostics.findings import Finding, fault, ok, skipped
from bot.formatting import counted
from bot.gates.github.adapter import github_app
from bot.gates.github.client import GitHubApp, Purpose, RepositoryAccess
from bot.gates.github.webhook import EVENTS
from bot.gates.waits.answerer import PlatformGoneError, WaitError
from bot.settings import Settings

_CHECK: Final = "github"
_MOST_REPOSITORIES: Final = 50
_PERMISSIONS: Final = {
    "actions": "read",
    "checks": "write",
    "contents": "read",
    "deployments": "write",
    "pull_requests": "read",
}
_BY_ITSELF: Final = "check_run"
"""The event that each App with checks gets without a subscription."""
_FIXES: Final = {
    "GITHUB_APP_ID": "copy it from the App's page at GitHub",
    "GITHUB_APP_PRIVATE_KEY": "generate one on the App's page at GitHub, and set it to the file's text",
    "GITHUB_APP_WEBHOOK_SECRET": "set it to the webhook secret that you chose on the App's page at GitHub",
}


async def github_gate_findings(
    settings: Settings, catalog: Catalog, session: aiohttp.ClientSession, clock: Clock
) -> list[Finding]:
    """Return what keeps changes at GitHub from being held; nothing where no App is set up."""
    given = (settings.github_app_id, settings.github_app_key, settings.github_app_webhook_secret)
    if not any(given):
        return []
    missing = [name for name, value in zip(_FIXES, given, strict=True) if not value]
    app = github_app(settings, session, clock)
    faults = [fault(_CHECK, name, "not set", _FIXES[name]) for name in missing]
    if app is None:
        return faults
    try:
        described = await app.call_as_app("GET", "/app")
    except WaitError as error:
        fix = "see GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY and GITHUB_API_URL"
        return [*faults, fault(_CHECK, "the App", str(error), fix)]
    app_slug = str(_of(described, "slug") or "")
    faults += _app_findings(described, app_slug, needs_members=bool(catalog.workspace.gates.github.labels))
    survey = _Survey(app, app_slug, catalog)
    for name in _repositories(catalog)[:_MOST_REPOSITORIES]:
        faults += await survey.of_repository(name)
    return faults


def _app_findings(described: Any, app_slug: str, *, needs_members: bool) -> list[Finding]:
    needed = _PERMISSIONS | ({"members": "read"} if needs_members else {})
    granted = _of(described, "permissions")
    has = granted if isinstance(granted, dict) else {}
    lacking = [f"{name}: {level}" for name, level in needed.items() if has.get(name) not in {level, "write"}]
    listed = _of(described, "events")
    events = set(listed) if isinstance(listed, list) else set()
    unheard = [event for event in EVENTS if event not in events and event != _BY_ITSELF]
    found = []
    if lacking:
        fix = "grant them in the App's settings, and accept that where it is installed"
        found.append(fault(_CHECK, app_slug, f"lacks the permissions {', '.join(lacking)}", fix))
    if unheard:
        fix = "subscribe to them in the App's settings"
        found.append(fault(_CHECK, app_slug, f"does not get the events {', '.join(unheard)}", fix))
    return found or [ok(_CHECK, app_slug, "has the permissions and events that it needs")]


class _Survey:
    """Looks at the repositories of the policies."""

    def __init__(self, app: GitHubApp, app_slug: str, catalog: Catalog) -> None:
        self._app = app
        self._slug = app_slug
        self._catalog = catalog

    async def of_repository(self, name: str) -> list[Finding]:
        """Return what is wrong with the environments and the branch of a repository."""
        try:
            access = await self._app.find_access(name)
        except PlatformGoneError:
            return [
                fault(_CHECK, name, "the App is not installed there", "install the App in the repository")
            ]
        except WaitError as error:
            return [skipped(_CHECK, name, str(error))]
        try:
            return [*await self._environments(access), *await self._branch(access)]
        except WaitError as error:
            fix = "let the App read *Actions*, and see whether GitHub can be reached from this machine"
            return [fault(_CHECK, name, str(error), fix)]

    async def _environments(self, access: RepositoryAccess) -> list[Finding]:
        listed = await self._get(access, "environments?per_page=100")
        found: list[Finding] = []
        held = 0
        for environment in _objects(_of(listed, "environments")):
            name = str(environment.get("name", ""))
            path = f"environments/{quote(name, safe='')}/deployment_protection_rules"
            rules = _objects(_of(await self._get(access, path), "custom_deployment_protection_rules"))
            has_rule = any(
                rule.get("enabled") and _of(rule.get("app"), "slug") == self._slug for rule in rules
            )
            subject = f"{access.full_name} {name}"
            if not has_rule and self._is_to_be_held(access.full_name, name):
                fix = "enable the App's deployment protection rule in the environment's settings"
                found.append(fault(_CHECK, subject, "the rule is not enabled: deployments are not held", fix))
            if has_rule and environment.get("can_admins_bypass", True):
                fix = "take “Allow administrators to bypass configured protection rules” away there"
                found.append(fault(_CHECK, subject, "administrators may bypass the rule", fix))
            held += has_rule
        if not found:
            found.append(ok(_CHECK, access.full_name, f"{counted(held, 'environment')} held"))
        return found

    def _is_to_be_held(self, repository: str, environment: str) -> bool:
        """Return whether the policies name it; where they name none, whether it counts as production."""
        folded = environment.casefold()
        named = [
            name.casefold()
            for each in self._catalog.workspace.gates.github.repositories
            if each.repository.casefold() == repository.casefold()
            for name in each.environments
        ]
        return folded in named if named else self._catalog.workspace.flags.is_production(folded)

    async def _branch(self, access: RepositoryAccess) -> list[Finding]:
        repository = await self._get(access, "")
        branch = str(_of(repository, "default_branch") or "main")
        rules = _objects(await self._get(access, f"rules/branches/{quote(branch, safe='')}?per_page=100"))
        wanted = self._catalog.workspace.gates.github.check_name
        required = {str(_of(check, "context")) for rule in rules for check in _required(rule)}
        subject = f"{access.full_name} {branch}"
        has_queue = any(rule.get("type") == "merge_queue" for rule in rules)
        if wanted in required:
            return [ok(_CHECK, subject, f"the check {wanted} is required")]
        held = "the merge queue is" if has_queue else "pull requests are"
        detail = f"no ruleset requires the check {wanted}: {held} not held"
        if not has_queue:
            return [skipped(_CHECK, subject, detail)]
        return [fault(_CHECK, subject, detail, f"require the check {wanted} in the branch's ruleset")]

    async def _get(self, access: RepositoryAccess, path: str) -> Any:
        address = path or f"/repos/{access.full_name}"
        return await self._app.call(access, Purpose.SETTINGS, "GET", address)


def _repositories(catalog: Catalog) -> Sequence[str]:
    """Return the repositories that the policies name, each once."""
    named = [each.repository for each in catalog.workspace.gates.github.repositories]
    built = [service.repository for service in catalog.services.values() if service.repository is not None]
    return list({name.casefold(): name for name in (*named, *built)}.values())


def _required(rule: dict[str, Any]) -> Iterable[dict[str, Any]]:
    if rule.get("type") != "required_status_checks":
        return ()
    return _objects(_of(rule.get("parameters"), "required_status_checks"))


def _of(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
