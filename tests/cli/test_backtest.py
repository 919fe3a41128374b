"""`governor backtest`: what it replays from a database, and its exit codes."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.pushed_events import PushedEvent
from bot.catalog.catalog import Catalog
from bot.deployments import records
from bot.deployments.deployment import Deployment, DeploymentState
from bot.policy.loader import load
from bot.store.database import Database
from bot.store.migrate import migrate
from tests.stories.test_command_line import governor
from tests.support.clock import DAY, HOUR, MINUTE
from tests.support.paths import ROOT

SHOP = ROOT / "bot" / "sandbox" / "shop"
TODAY = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
OUTAGE = TODAY - 20 * DAY
STRICT = """
apiVersion: governor/v1
kind: ErrorBudgetPolicy
metadata: {name: standard}
spec: {freezeAt: 50%, unfreezeAt: 60%, dwell: 15m, warnAt: [80%]}
"""


async def _fill(url: str, catalog: Catalog) -> None:
    """Count 70 days of checkout, of whose budget an hour of one day spent 70%, and deploy soon after."""
    async with Database(url) as database:
        await migrate(database)
        ledger = Ledger(database)
        slo = next(slo for slo in catalog.services["checkout"].slos if slo.name == "availability")
        events = []
        for hour in range(70 * 24):
            at = TODAY - 70 * DAY + hour * HOUR
            failed = 36_000 * 0.7 * 0.72 if at == OUTAGE else 1.0
            events.append(PushedEvent(slo, 36_000 - failed, failed, at + 30 * MINUTE))
        for first in range(0, len(events), 500):
            await ledger.push(events[first : first + 500], TODAY)
        deployment = Deployment(
            "1", "production", "3f1c2ab9", "dana", DeploymentState.SUCCEEDED,
            OUTAGE + 2 * HOUR, OUTAGE + 2 * HOUR + 5 * MINUTE,
        )  # fmt: skip
        async with database.transaction() as connection:
            await records.add(database, connection, "checkout", deployment)


@pytest.fixture
async def url(tmp_path: Path) -> str:
    url = f"sqlite+aiosqlite:///{tmp_path}/governor.db"
    await _fill(url, load(SHOP))
    return url


def test_a_stricter_policy_stands_beside_the_one_in_force(url: str, tmp_path: Path) -> None:
    new = tmp_path / "new.yaml"
    new.write_text(STRICT)
    environ = {"DATABASE_URL": url, "POLICIES_DIR": str(SHOP)}
    before = Path(url.split("///")[1]).read_bytes()
    done = governor("backtest", "--policy", str(new), "--since", "30d", "--json", **environ)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    now, strict = found["runs"]
    assert (now["policies"], strict["policies"]) == ("now", "new")
    (checkout,) = now["services"]
    assert (checkout["service"], checkout["freezes"], checkout["held"]) == ("checkout", 0, [])
    (changed,) = strict["services"]
    assert (changed["freezes"], changed["flaps"], changed["warnings"]) == (1, 0, 1)
    (freeze,) = changed["frozen"]
    began = datetime.fromisoformat(freeze["from"])
    assert OUTAGE < began < OUTAGE + HOUR
    assert freeze["to"] is None
    assert freeze["remaining"] <= 0.5
    assert [held["commit"] for held in changed["held"]] == ["3f1c2ab9"]
    assert [step["kind"] for step in changed["transitions"]] == ["burn_alert", "warned", "frozen"]
    left_out = {(out["service"], out["slo"]) for out in strict["left_out"]}
    assert left_out >= {("checkout", "latency"), ("search", "latency")}
    assert Path(url.split("///")[1]).read_bytes() == before

    table = governor("backtest", "--policy", str(new), "--since", "30d", **environ | {"COLUMNS": "80"})
    assert "would be held" in table.stdout
    assert max(len(line) for line in table.stdout.splitlines()) <= 80


def test_what_cannot_be_replayed_is_said(url: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": url, "POLICIES_DIR": str(SHOP)}
    longer = governor("backtest", "--since", "90d", **environ)
    assert longer.returncode == 0
    assert "no window is known whole" in " ".join(longer.stdout.split())
    nothing = governor("backtest", "--service", "search", **environ)
    assert nothing.returncode == 2
    assert "nothing could be replayed" in nothing.stderr
    assert "the ledger holds nothing of it" in " ".join(nothing.stdout.lower().split())
    typo = governor("backtest", "--service", "chekout", **environ)
    assert (typo.returncode, "did you mean checkout?" in typo.stderr) == (2, True)
    never = governor("backtest", "--since", "soon", **environ)
    assert (never.returncode, "such as 90d" in never.stderr) == (2, True)
    assert governor("backtest", "--since", "1m", **environ).returncode == 2


def test_faults_of_new_policies_are_printed_and_nothing_is_replayed(url: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(STRICT.replace("freezeAt: 50%", "freezAt: 50%"))
    done = governor("backtest", "--policy", str(broken), DATABASE_URL=url, POLICIES_DIR=str(SHOP))
    assert done.returncode == 1
    assert "did you mean `freezeAt`?" in done.stdout
    gone = governor("backtest", "--policy", str(tmp_path / "gone"), DATABASE_URL=url, POLICIES_DIR=str(SHOP))
    assert (gone.returncode, "no such file" in gone.stdout) == (1, True)
    assert timedelta(0) < datetime.now(UTC) - OUTAGE
