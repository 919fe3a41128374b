"""No secret appears in logs, in what a command prints, or in what is left of a crash."""

import os
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.settings import Settings
from bot.slack.manifest import manifest
from tests.stories.conftest import POLICIES
from tests.support.paths import ROOT
from tests.support.running import eventually, running_governor
from tests.support.socket_mode_server import open_gateway

MARK = "MARKED"
SECRET_SETTINGS = [
    name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
]


def marked(name: str) -> str:
    """Return a secret that is found wherever it appears; in the form of a key, which suits all others."""
    secret = f"{MARK}{name.replace('_', '')}".ljust(43, "x") + "="
    if name == "github_app_private_key":
        return f"-----BEGIN RSA PRIVATE KEY-----\n{secret}\n-----END RSA PRIVATE KEY-----\n"
    return secret


SECRETS = {name.upper(): marked(name) for name in SECRET_SETTINGS} | {
    "PROMETHEUS_TOKEN": marked("prometheus")
}
SOURCE = "  sources: {prometheus: {url: 'http://127.0.0.1:9', bearerToken: '${PROMETHEUS_TOKEN}'}}\n"


def write_policies(folder: Path) -> Path:
    folder.mkdir()
    marked = POLICIES.replace("  evaluateEvery: 1s\n", f"  evaluateEvery: 1s\n{SOURCE}")
    (folder / "all.yaml").write_text(marked)
    return folder


def governor(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "COLUMNS": "300", **environ}
    command = [sys.executable, "-m", "bot", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, check=False)


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_a_running_bot_that_meets_every_fault_logs_no_secret(tmp_path: Path, log_format: str) -> None:
    policies = write_policies(tmp_path / "policies")
    async with (
        FakeSlackServer(
            manifest=manifest("https://governor.example"),
            bot_token=SECRETS["SLACK_BOT_TOKEN"],
            signing_secret=SECRETS["SLACK_SIGNING_SECRET"],
        ) as slack,
        open_gateway(slack.api_url) as gateway,
    ):
        gateway.token = SECRETS["SLACK_APP_TOKEN"]
        # The id is no secret, and belongs to the client secret.
        environ = {
            **SECRETS,
            "SLACK_CLIENT_ID": "111.222",
            "SLACK_API_URL": gateway.api_url,
            "LOG_LEVEL": "debug",
            "LOG_FORMAT": log_format,
        }
        async with running_governor(policies=policies, slack=slack, folder=tmp_path, **environ) as bot:
            shown: list[str] = []
            headers = {"Authorization": f"Bearer {MARK}-of-a-stranger", "X-Slack-Signature": f"v0={MARK}"}
            async with aiohttp.ClientSession(headers=headers) as session:
                for path in ("/api/v1/services", "/slack/events", "/readyz", "/metrics"):
                    async with session.post(bot.url + path, data="{") as answer:
                        shown.append(await answer.text())
            await gateway.until_connected(1)
            gateway.connections[0].drop()
            for fault in (InjectedFault.SERVER_ERROR, InjectedFault.RATE_LIMITED, InjectedFault.CUT):
                slack.faults.once(fault, "chat.postMessage")
            (policies / "all.yaml").write_text("apiVersion: governor/v1\nkind: Nothing\n")
            await eventually(
                lambda: bot.get("/readyz"), lambda body: bool(body["checks"]["policies"]["faults"])
            )
            headers = {"Authorization": f"Bearer {SECRETS['GOVERNOR_API_TOKEN']}"}
            async with aiohttp.ClientSession(headers=headers) as session:
                for path in ("services/nothing", "gate/nothing", "audit?since=x", "incidents/x"):
                    async with session.get(f"{bot.url}/api/v1/{path}") as answer:
                        assert answer.status in {400, 404, 422}
                        shown.append(await answer.text())
            shown += [await bot.text(path) for path in ("/readyz", "/metrics")]
            await bot.terminate()
        log = bot.log.read_text()
    assert "policies_broken" in log
    assert MARK not in "".join([log, *shown])


def test_doctor_and_check_print_no_secret(tmp_path: Path) -> None:
    policies = write_policies(tmp_path / "policies")
    database = f"postgresql+asyncpg://governor:{MARK}-password@127.0.0.1:9/governor"
    environ = {
        **SECRETS,
        "SLACK_API_URL": "http://127.0.0.1:9/",
        "POLICIES_DIR": str(policies),
        "DATABASE_URL": database,
    }
    for arguments in (
        ("doctor",),
        ("doctor", "--json"),
        ("check",),
        ("token", "list"),
        ("migrate",),
        ("run",),
    ):
        ended = governor(*arguments, **environ)
        assert MARK not in ended.stdout + ended.stderr, arguments
        if arguments[0] == "doctor":
            assert ended.returncode == 1
            assert "prometheus" in ended.stdout


@pytest.mark.parametrize("name", [*SECRET_SETTINGS, "database_url"])
def test_a_crash_leaves_no_secret_behind(tmp_path: Path, name: str) -> None:
    crash = (
        "import bot.cli.main, bot.settings, typer\n"
        "cli = typer.Typer()\n"
        "@cli.command()\n"
        "def crash():\n"
        f"    held = bot.settings.read_settings().{name}\n"
        "    held = getattr(held, 'get_secret_value', lambda: held)()\n"
        "    raise RuntimeError(f'could not do it with {held}')\n"
        "bot.cli.main.cli = cli\n"
        "bot.cli.main.main()\n"
    )
    database = f"postgresql+asyncpg://governor:{marked('database')}@127.0.0.1:9/governor"
    env = {**SECRETS, "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATABASE_URL": database}
    ended = subprocess.run(
        [sys.executable, "-c", crash], capture_output=True, text=True, env=env, cwd=tmp_path, check=False
    )
    assert ended.returncode == 2
    assert "could not do it with" in ended.stderr
    assert "***" in ended.stderr
    assert MARK not in ended.stderr


def test_every_secret_of_the_settings_is_known_to_be_one() -> None:
    settings = Settings.model_validate({name: marked(name) for name in SECRET_SETTINGS})
    assert {marked(name) for name in SECRET_SETTINGS} <= set(settings.secrets)
    assert MARK not in repr(settings)
