"""`governor doctor` says where changes at GitHub are not held, and how to hold them."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bot.clock import SystemClock
from bot.diagnostics.findings import FindingState
from bot.diagnostics.github_gate_checks import github_gate_findings
from bot.policy.loader import load
from bot.settings import Settings
from tests.gates.github.server import APP_ID, REPOSITORY, GitHubServer, private_key, serving_github
from tests.gates.github.test_gate import policies


class Doctor:
    """Asks a GitHub server what `governor doctor` asks."""

    def __init__(self, github: GitHubServer, folder: Path) -> None:
        self.github = github
        self._folder = folder

    async def faults(self, text: str | None = None, **settings: object) -> dict[str, str]:
        (self._folder / "all.yaml").write_text(text or policies())
        values = {
            "github_api_url": self.github.url,
            "github_app_id": APP_ID,
            "github_app_private_key": private_key(),
            "github_app_webhook_secret": "s",
        } | settings
        async with aiohttp.ClientSession() as session:
            found = await github_gate_findings(
                Settings.model_validate(values), load(self._folder, {}), session, SystemClock()
            )
        assert all(each.fix for each in found if each.state is FindingState.FAULT)
        return {each.subject: each.detail for each in found if each.state is FindingState.FAULT}


@pytest.fixture
async def doctor(tmp_path: Path) -> AsyncIterator[Doctor]:
    clock = SystemClock()
    github = GitHubServer(now=clock.now)
    github.environments = [
        {"id": 1, "name": "production", "can_admins_bypass": False},
        {"id": 2, "name": "staging", "can_admins_bypass": True},
    ]
    github.rules = {"production": ["other", "governor"]}
    checks = {"required_status_checks": [{"context": "Governor", "integration_id": int(APP_ID)}]}
    github.branch_rules = [
        {"type": "merge_queue", "parameters": {}},
        {"type": "required_status_checks", "parameters": checks},
    ]
    async with serving_github(github):
        yield Doctor(github, tmp_path)


async def test_an_app_that_holds_everything_has_no_faults(doctor: Doctor) -> None:
    assert await doctor.faults() == {}


async def test_environments_that_administrators_may_bypass_are_named(doctor: Doctor) -> None:
    doctor.github.environments[0]["can_admins_bypass"] = True
    doctor.github.rules["staging"] = ["governor"]
    assert await doctor.faults() == {
        f"{REPOSITORY} production": "administrators may bypass the rule",
        f"{REPOSITORY} staging": "administrators may bypass the rule",
    }


async def test_environments_without_the_rule_are_named(doctor: Doctor) -> None:
    doctor.github.rules = {"production": ["other"]}
    missing = "the rule is not enabled: deployments are not held"
    assert await doctor.faults() == {f"{REPOSITORY} production": missing}
    place = f"{{repository: {REPOSITORY}, environments: [staging], services: [checkout]}}"
    named = policies(f"  gates: {{github: {{repositories: [{place}]}}}}\n")
    assert await doctor.faults(named) == {f"{REPOSITORY} staging": missing}


async def test_a_merge_queue_that_does_not_need_the_check_is_named(doctor: Doctor) -> None:
    doctor.github.branch_rules.pop()
    detail = "no ruleset requires the check Governor: the merge queue is not held"
    assert await doctor.faults() == {f"{REPOSITORY} main": detail}
    # Without a merge queue it is the team's choice.
    doctor.github.branch_rules.clear()
    assert await doctor.faults() == {}


async def test_what_the_app_lacks_is_named(doctor: Doctor) -> None:
    del doctor.github.permissions["checks"]
    doctor.github.permissions["deployments"] = "read"
    assert await doctor.faults() == {"governor": "lacks the permissions checks: write, deployments: write"}


async def test_a_repository_without_the_app_is_named(doctor: Doctor) -> None:
    text = policies().replace(REPOSITORY, "acme/other")
    assert await doctor.faults(text) == {"acme/other": "the App is not installed there"}


async def test_settings_that_are_missing_or_wrong_are_named(doctor: Doctor) -> None:
    assert await doctor.faults(github_app_webhook_secret=None) == {"GITHUB_APP_WEBHOOK_SECRET": "not set"}
    broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"
    assert await doctor.faults(github_app_private_key=broken) == {
        "the App": "GITHUB_APP_PRIVATE_KEY is not a private key"
    }
    unset = {"github_app_id": None, "github_app_private_key": None, "github_app_webhook_secret": None}
    assert await doctor.faults(**unset) == {}
