"""`governor doctor` asks each Slack workspace that installed the app, with that workspace's own token."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.diagnostics.doctor import examine
from bot.diagnostics.findings import Finding, FindingState
from bot.sandbox.fake_slack.oauth import CLIENT_ID, MultiWorkspaceServer
from bot.sandbox.fake_slack.workspace import BOT_USER_ID
from bot.settings import Settings
from bot.slack.manifest import manifest
from bot.store.database import Database
from bot.store.encryption import TokenCipher, new_key
from bot.store.installations import Installation, Installations
from bot.store.migrate import upgrade
from tests.stories.test_workspaces import ACME, GLOBEX, POLICIES

KEY = new_key()


@pytest.fixture
async def slack() -> AsyncIterator[MultiWorkspaceServer]:
    async with MultiWorkspaceServer(manifest=manifest("https://governor.example")) as slack:
        for team, names in ((ACME, ("releases", "checkout")), (GLOBEX, ("releases", "rockets"))):
            workspace = slack.team(team).workspace
            for name in names:
                channel = workspace.channel(f"#{name}")
                if BOT_USER_ID not in channel.members:
                    channel.members.append(BOT_USER_ID)
        yield slack


@pytest.fixture
async def settings(slack: MultiWorkspaceServer, tmp_path: Path, url: str) -> Settings:
    (tmp_path / "all.yaml").write_text(POLICIES)
    await upgrade(url)
    return Settings.model_validate(
        {
            "slack_client_id": CLIENT_ID,
            "slack_client_secret": slack.grants.client_secret,
            "governor_encryption_key": KEY,
            "slack_signing_secret": slack.signing_secret,
            "slack_api_url": slack.api_url,
            "policies_dir": str(tmp_path),
            "database_url": url,
        }
    )


async def save_installation(settings: Settings, team: str, token: str, key: str = KEY) -> None:
    installed_at = datetime(2026, 11, 1, tzinfo=UTC)
    async with Database(settings.database_url) as database:
        installation = Installation(
            team, team.removeprefix("T0").title(), "U0BOT", "U0SAM", installed_at, token
        )
        await Installations(database, TokenCipher(key), lambda: installed_at).save(installation)


def faults(findings: list[Finding]) -> list[tuple[str, str]]:
    assert all(finding.fix for finding in findings if finding.state is FindingState.FAULT)
    return [(finding.check, finding.subject) for finding in findings if finding.state is FindingState.FAULT]


async def test_each_workspace_is_asked_about_its_own_channels_and_people(
    settings: Settings, slack: MultiWorkspaceServer
) -> None:
    for team in (ACME, GLOBEX):
        await save_installation(settings, team, slack.install(team))
    findings = await examine(settings)
    assert faults(findings) == []
    passed = {(finding.check, finding.subject) for finding in findings if finding.state is FindingState.OK}
    assert {("channels", "Sandbox: #checkout"), ("channels", "Globex: #rockets")} <= passed
    assert ("groups", "Globex: @sre") in passed
    assert ("channels", "Globex: #checkout") not in passed


async def test_a_workspace_that_the_policies_name_but_that_did_not_install_is_named(
    settings: Settings, slack: MultiWorkspaceServer
) -> None:
    await save_installation(settings, ACME, slack.install(ACME))
    findings = await examine(settings)
    assert faults(findings) == [("token", f"globex ({GLOBEX})")]
    assert "/slack/install" in next(
        finding.fix for finding in findings if finding.state is FindingState.FAULT
    )


async def test_an_ended_token_and_one_that_no_key_opens_are_faults_of_their_workspace(
    settings: Settings, slack: MultiWorkspaceServer
) -> None:
    token = slack.install(ACME)
    slack.grants.revoke(token)
    await save_installation(settings, ACME, token)
    await save_installation(settings, GLOBEX, slack.install(GLOBEX), new_key())
    findings = await examine(settings)
    assert faults(findings) == [("token", f"Globex ({GLOBEX})"), ("token", "Sandbox: token")]
    assert not [finding for finding in findings if token in finding.detail + finding.fix]


async def test_an_installed_workspace_without_a_document_is_told_which_one_to_write(
    settings: Settings, slack: MultiWorkspaceServer
) -> None:
    text = POLICIES.replace(
        "metadata: {name: acme}\nspec:\n", f"metadata: {{name: acme}}\nspec:\n  team: {ACME}\n"
    )
    (settings.policies_dir / "all.yaml").write_text(text)
    await save_installation(settings, ACME, slack.install(ACME))
    await save_installation(settings, GLOBEX, slack.install(GLOBEX))
    assert faults(await examine(settings)) == []
    main, _, rest = text.partition("---\n")
    (settings.policies_dir / "all.yaml").write_text(
        main + "---\n" + rest.partition("---\n")[2].replace("  workspace: globex\n", "")
    )
    findings = await examine(settings)
    assert ("policies", f"Globex: {GLOBEX}") in faults(findings)


async def test_a_token_of_another_workspace_than_the_policies_say_is_a_fault(
    settings: Settings, slack: MultiWorkspaceServer
) -> None:
    text = POLICIES.replace(
        "metadata: {name: acme}\nspec:\n", "metadata: {name: acme}\nspec:\n  team: T0OTHER\n"
    )
    (settings.policies_dir / "all.yaml").write_text(text)
    single = {"slack_bot_token": slack.install(ACME), "slack_client_id": None, "slack_client_secret": None}
    chosen = Settings.model_validate(settings.model_dump() | single)
    findings = await examine(chosen)
    assert ("token", "SLACK_BOT_TOKEN") in faults(findings)
    assert "T0OTHER" in next(finding.detail for finding in findings if finding.subject == "SLACK_BOT_TOKEN")
