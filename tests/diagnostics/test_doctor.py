"""`governor doctor` names what is wrong with an installation, and how to fix it."""

import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr
from slack_sdk.web.async_client import AsyncWebClient

from bot.clock import SystemClock
from bot.diagnostics.doctor import examine
from bot.diagnostics.findings import Finding, FindingState
from bot.diagnostics.slack_checks import SlackChecks
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.sandbox.fake_slack.workspace import BOT_USER_ID
from bot.settings import Settings
from bot.slack.manifest import manifest
from bot.store.migrate import upgrade
from tests.stories.conftest import POLICIES
from tests.support.servers import free_port, running_exporter, running_prometheus


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlackServer]:
    async with FakeSlackServer(manifest=manifest("https://governor.example")) as slack:
        yield slack


@pytest.fixture
async def settings(slack: FakeSlackServer, tmp_path: Path) -> Settings:
    (tmp_path / "all.yaml").write_text(POLICIES)
    url = f"sqlite+aiosqlite:///{tmp_path}/governor.db"
    await upgrade(url)
    return Settings.model_validate(
        {
            "slack_bot_token": slack.bot_token,
            "slack_signing_secret": slack.signing_secret,
            "slack_api_url": slack.api_url,
            "policies_dir": str(tmp_path),
            "database_url": url,
        }
    )


def faults(findings: list[Finding]) -> list[tuple[str, str]]:
    assert all(finding.fix for finding in findings if finding.state is FindingState.FAULT)
    return [(finding.check, finding.subject) for finding in findings if finding.state is FindingState.FAULT]


async def test_a_whole_installation_has_no_faults(settings: Settings) -> None:
    findings = await examine(settings)
    assert faults(findings) == []
    checked = {finding.check for finding in findings if finding.state is FindingState.OK}
    assert {"policies", "database", "token", "scopes", "clock", "channels", "groups", "flags"} <= checked


async def test_a_wrong_token_is_one_fault_and_slack_is_asked_no_more(
    settings: Settings, slack: FakeSlackServer
) -> None:
    slack.web_api.token = "xoxb-another"
    findings = await examine(settings)
    assert faults(findings) == [("token", "SLACK_BOT_TOKEN")]
    assert "invalid_auth" in next(
        finding.detail for finding in findings if finding.state is FindingState.FAULT
    )


async def test_missing_credentials_are_named(settings: Settings) -> None:
    incomplete = settings.model_copy(update={"slack_bot_token": None, "slack_signing_secret": None})
    assert faults(await examine(incomplete)) == [
        ("environment", "SLACK_BOT_TOKEN"),
        ("environment", "SLACK_SIGNING_SECRET"),
    ]


async def test_a_missing_key_is_told_once_with_how_to_make_one(settings: Settings) -> None:
    installable = {"slack_client_id": "1.2", "slack_client_secret": SecretStr("secret")}
    findings = await examine(settings.model_copy(update=installable))
    (key,) = [finding for finding in findings if finding.subject == "GOVERNOR_ENCRYPTION_KEY"]
    assert (key.detail, key.fix) == ("not set", "`governor key` makes one")


async def test_a_message_that_slack_refuses_is_named(settings: Settings, slack: FakeSlackServer) -> None:
    accepted = next(finding for finding in await examine(settings) if finding.check == "blocks")
    assert (accepted.state, accepted.subject) == (FindingState.OK, "messages")
    for error in ("invalid_blocks", "invalid_arguments"):
        slack.faults.refuse("blocks.validate", error)
    findings = await examine(settings)
    assert faults(findings) == [("blocks", "help message"), ("blocks", "budgets message")]
    assert [finding.detail for finding in findings if finding.check == "blocks"] == [
        "invalid_blocks",
        "invalid_arguments",
    ]


async def test_what_slack_says_of_a_refused_message_is_shown(
    settings: Settings, slack: FakeSlackServer
) -> None:
    text, pointer = "unsupported type: invalid", "/blocks/0/text/type"
    error = {"code": "failed_constraint", "message": text, "pointer": pointer}
    body = {"ok": False, "error": "invalid_message", "errors": [error]}
    slack.faults.answer("blocks.validate", json.dumps(body))
    findings = [finding for finding in await examine(settings) if finding.check == "blocks"]
    assert {finding.detail for finding in findings} == {
        "invalid_message: unsupported type: invalid at /blocks/0/text/type (failed_constraint)"
    }
    assert "help message" in {finding.subject for finding in findings}


async def test_a_workspace_without_charts_or_tables_is_no_fault_of_the_messages(
    settings: Settings, slack: FakeSlackServer
) -> None:
    slack.workspace.plan.has_charts = slack.workspace.plan.has_tables = False
    findings = [finding for finding in await examine(settings) if finding.check == "blocks"]
    assert [(finding.subject, finding.state) for finding in findings] == [
        ("messages", FindingState.OK),
        ("tables", FindingState.SKIPPED),
        ("charts", FindingState.SKIPPED),
    ]


async def test_a_slack_that_throttles_or_knows_no_validation_is_no_fault_of_the_messages(
    settings: Settings, slack: FakeSlackServer
) -> None:
    slack.faults.refuse("blocks.validate", "unknown_method")
    (skipped,) = [finding for finding in await examine(settings) if finding.check == "blocks"]
    assert (skipped.state, skipped.detail) == (FindingState.SKIPPED, "this Slack has no blocks.validate")
    slack.faults.once(InjectedFault.RATE_LIMITED, "blocks.validate")
    (skipped,) = [finding for finding in await examine(settings) if finding.check == "blocks"]
    assert skipped.state is FindingState.SKIPPED
    assert "not checked" in skipped.detail


async def test_links_are_named_only_with_a_public_address(settings: Settings) -> None:
    assert "links" not in {finding.check for finding in await examine(settings)}
    for address in ("http://127.0.0.1:3000", "https://governor.example"):
        findings = await examine(settings.model_copy(update={"governor_url": address}))
        links = [finding for finding in findings if finding.check == "links"]
        assert [(finding.subject, finding.state) for finding in links] == (
            [("governor.example", FindingState.OK)] if address.startswith("https") else []
        )


async def test_links_without_their_scopes_are_no_fault_and_say_what_to_do(settings: Settings) -> None:
    async with FakeSlackServer(manifest=manifest(None, socket=True)) as slack:
        without = {
            "slack_bot_token": SecretStr(slack.bot_token),
            "slack_signing_secret": SecretStr(slack.signing_secret),
            "slack_api_url": slack.api_url,
            "governor_url": "https://governor.example",
        }
        findings = await examine(settings.model_copy(update=without))
    assert faults(findings) == []
    (links,) = [finding for finding in findings if finding.check == "links"]
    assert links.state is FindingState.SKIPPED
    assert "lacks links:read and links:write" in links.detail
    assert "`governor manifest --url https://governor.example`" in links.detail


async def test_missing_scopes_are_named(tmp_path: Path, settings: Settings) -> None:
    lean_manifest = manifest("https://governor.example")
    lean_manifest["oauth_config"]["scopes"]["bot"].remove("channels:join")
    async with FakeSlackServer(manifest=lean_manifest) as slack:
        changed = settings.model_copy(update={"slack_api_url": slack.api_url})
        slack.web_api.token = settings.slack_bot_token.get_secret_value()  # type: ignore[union-attr]
        findings = await examine(changed)
    assert faults(findings) == [("scopes", "bot")]
    assert "channels:join" in next(finding.detail for finding in findings if finding.check == "scopes")


async def test_channels_that_the_bot_is_not_in_are_named(settings: Settings, slack: FakeSlackServer) -> None:
    text = (settings.policies_dir / "all.yaml").read_text()
    (settings.policies_dir / "all.yaml").write_text(
        text.replace('"#releases"', '"#nowhere"').replace('"#checkout"', '"#general"')
    )
    assert faults(await examine(settings)) == [("channels", "#nowhere"), ("channels", "#general")]
    slack.workspace.channel("#general").is_archived = True
    archived = next(finding for finding in await examine(settings) if finding.subject == "#general")
    assert "archived" in archived.detail


async def test_a_large_workspace_is_advised_to_name_its_channels_by_their_ids(
    settings: Settings, slack: FakeSlackServer
) -> None:
    policies = settings.policies_dir / "all.yaml"
    workspace = slack.workspace
    workspace.plan.most_rows = 2
    for number in range(60):
        last = workspace.create_channel(f"team-{number}", "U0SAM")
    last.members.append(BOT_USER_ID)
    text = policies.read_text()
    policies.write_text(text.replace('"#checkout"', f'"#{last.name}"'))
    findings = await examine(settings)
    assert faults(findings) == []
    by_name = next(finding for finding in findings if finding.subject == f"#{last.name}")
    assert by_name.state is FindingState.SKIPPED
    assert "write its id (C…) into the policies" in by_name.detail
    advice = [each.detail for each in findings if (each.check, each.subject) == ("channels", "names")]
    assert "2 names" in advice[0]
    slack.rates.reset()
    policies.write_text(text.replace('"#checkout"', f'"{last.id}"'))
    by_id = next(finding for finding in await examine(settings) if finding.subject == last.id)
    assert by_id.state is FindingState.OK


async def test_groups_and_people_that_are_not_there_are_named(
    settings: Settings, slack: FakeSlackServer
) -> None:
    text = (settings.policies_dir / "all.yaml").read_text()
    (settings.policies_dir / "all.yaml").write_text(
        text.replace('freeze: ["@sre"]', 'freeze: ["@nobody", "U0NOBODY1"]')
    )
    next(group for group in slack.workspace.groups.values() if group.handle == "sre").users.clear()
    findings = faults(await examine(settings))
    assert findings == [("groups", "@nobody"), ("groups", "@sre"), ("people", "U0NOBODY1")]


async def test_a_plan_without_user_groups_is_told_apart_from_groups_that_are_not_there(
    settings: Settings, slack: FakeSlackServer
) -> None:
    slack.workspace.plan.is_free = True
    found = [each for each in await examine(settings) if each.check == "groups"]
    assert {(each.subject, each.state, each.detail) for each in found} == {
        (group, FindingState.FAULT, "plan_upgrade_required") for group in ("@checkout-devs", "@sre")
    }
    assert found[0].fix.startswith("this Slack plan has no user groups: name people")


async def test_channels_that_give_rights_are_read_as_the_bot_will_read_them(
    settings: Settings, slack: FakeSlackServer
) -> None:
    private_channel = slack.workspace.create_channel("oncall", "U0SAM", kind="private")
    text = (settings.policies_dir / "all.yaml").read_text()
    (settings.policies_dir / "all.yaml").write_text(
        text.replace('freeze: ["@sre"]', 'freeze: ["#oncall", "#general"]')
    )
    findings = await examine(settings)
    assert faults(findings) == [("members", "#oncall")]
    assert "/invite @Governor in #oncall" in next(
        finding.fix for finding in findings if finding.subject == "#oncall"
    )
    open_channel = next(
        finding for finding in findings if (finding.check, finding.subject) == ("members", "#general")
    )
    assert "anyone may join" in open_channel.detail
    private_channel.members.append(BOT_USER_ID)
    member_channel = next(finding for finding in await examine(settings) if finding.subject == "#oncall")
    assert (member_channel.state, member_channel.detail) == (FindingState.OK, "2 people")


async def test_sources_are_asked_once_each(settings: Settings) -> None:
    text = (settings.policies_dir / "all.yaml").read_text()
    source = f"  sources: {{prometheus: {{url: 'http://127.0.0.1:{free_port()}'}}}}\n"
    (settings.policies_dir / "all.yaml").write_text(
        text.replace("  evaluateEvery: 1s\n", f"  evaluateEvery: 1s\n{source}")
    )
    assert faults(await examine(settings)) == [("sources", "prometheus")]


async def test_slos_that_cannot_be_measured_are_named(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sli = "{prometheus: {total: renamed_total, bad: errors_total}}"
    folder = tmp_path_factory.mktemp("monitoring")
    async with running_exporter() as exporter, running_prometheus(folder, [exporter]) as prometheus:
        text = (settings.policies_dir / "all.yaml").read_text()
        source = f"  sources: {{prometheus: {{url: '{prometheus.url}'}}}}\n"
        (settings.policies_dir / "all.yaml").write_text(
            text.replace("  evaluateEvery: 1s\n", f"  evaluateEvery: 1s\n{source}").replace(
                "{events: {}}", sli
            )
        )
        findings = await examine(settings)
        assert faults(findings) == [("slos", "checkout/orders")]
        assert any(finding.detail == "no series match renamed_total" for finding in findings)
        await prometheus.stop()
        assert faults(await examine(settings)) == [("sources", "prometheus")]


async def test_a_document_for_many_services_is_named_while_nobody_knows_for_how_many(
    settings: Settings,
) -> None:
    text = (settings.policies_dir / "all.yaml").read_text()
    source = f"  sources: {{prometheus: {{url: 'http://127.0.0.1:{free_port()}'}}}}\n"
    (settings.policies_dir / "all.yaml").write_text(
        text.replace("  evaluateEvery: 1s\n", f"  evaluateEvery: 1s\n{source}").replace(
            "spec:\n  description:", "spec:\n  forEach: {label: service}\n  description:"
        )
    )
    findings = await examine(settings)
    assert faults(findings) == [("policies", "Service/checkout"), ("sources", "prometheus")]
    assert any(
        "cannot be reached" in finding.detail for finding in findings if finding.subject == "Service/checkout"
    )


async def test_a_database_that_was_not_migrated_is_named_with_the_command_that_mends_it(
    settings: Settings, tmp_path: Path
) -> None:
    unmigrated = settings.model_copy(update={"database_url": f"sqlite+aiosqlite:///{tmp_path}/other.db"})
    findings = await examine(unmigrated)
    assert ("database", "migrations") in faults(findings)
    assert any("governor migrate" in finding.fix for finding in findings)
    in_missing_folder = settings.model_copy(
        update={"database_url": f"sqlite+aiosqlite:///{tmp_path}/no/where.db"}
    )
    assert ("database", "DATABASE_URL") in faults(await examine(in_missing_folder))


async def test_broken_policies_are_named(settings: Settings) -> None:
    (settings.policies_dir / "all.yaml").write_text(POLICIES.replace("objective: 99", "objectve: 99"))
    findings = await examine(settings)
    assert {check for check, _ in faults(findings)} == {"policies"}


@pytest.mark.parametrize(
    ("ahead", "state"), [(5, FindingState.OK), (120, FindingState.FAULT), (-120, FindingState.FAULT)]
)
async def test_clocks_that_are_apart_are_a_fault(
    slack: FakeSlackServer, ahead: int, state: FindingState
) -> None:
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, session=session)
        findings = await SlackChecks(client).connection(SystemClock().now() + timedelta(seconds=ahead))
    assert next(finding.state for finding in findings if finding.check == "clock") is state


async def test_a_slack_that_is_away_is_a_finding(settings: Settings) -> None:
    unreachable = settings.model_copy(update={"slack_api_url": f"http://127.0.0.1:{free_port()}/"})
    assert faults(await examine(unreachable)) == [("token", "SLACK_BOT_TOKEN")]


def _copies(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.glob("*.damaged-*")]


async def test_a_damaged_log_is_named_and_kept(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "governor.db-wal").write_bytes(b"no log at all" * 1_000)
    findings = await examine(settings)
    assert faults(findings) == [("database", "governor.db-wal")]
    assert _copies(tmp_path) == [b"no log at all" * 1_000]


async def test_a_database_that_takes_no_write_is_named(settings: Settings, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "governor.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    findings = await examine(settings)
    other.close()
    assert faults(findings) == [("database", "DATABASE_URL")]
    assert "cannot be written: the database is locked by another program" in str(findings)
