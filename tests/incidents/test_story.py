"""The real program: an outage that a machine reports spends the budget, holds the service, and is told."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.incidents.messages import CARD, NOTICE, POSTMORTEM_OPENED
from bot.slack.manifest import manifest
from tests.support.running import running_governor, write_policies

POLICIES = """
apiVersion: governor/v1
kind: Workspace
metadata: {name: acme}
spec:
  channels: {announcements: "#releases", incidents: "#incidents"}
  evaluateEvery: 1s
---
apiVersion: governor/v1
kind: ErrorBudgetPolicy
metadata: {name: standard}
spec: {dwell: 0s, burnAlerts: [], warnAt: []}
---
apiVersion: governor/v1
kind: Service
metadata: {name: checkout}
spec:
  description: Takes the customer's money.
  channel: "#checkout"
  teams: {development: "@checkout-devs", reliability: "@sre"}
  errorBudgetPolicy: standard
  slos:
    - {name: uptime, objective: 99.9, window: 7d, sli: {downtime: {}}}
"""


@pytest.mark.timeout(120)
async def test_an_outage_without_monitoring(tmp_path: Path) -> None:
    folder = write_policies(tmp_path, POLICIES)
    now = datetime.now(UTC)
    opening = {
        "title": "Checkout is down",
        "severity": "sev1",
        "services": ["checkout"],
        "key": "call-1",
        "started_at": (now - timedelta(minutes=15)).isoformat(),
    }
    async with (
        FakeSlackServer(manifest=manifest("https://governor.example")) as slack,
        running_governor(policies=folder, slack=slack, folder=tmp_path) as bot,
    ):
        status, made = await bot.api("POST", "incidents", json=opening)
        assert (status, made["channel"]["name"]) == (201, f"inc-{now:%Y-%m-%d}-checkout-is-down")
        standing = await bot.until_state("checkout", "frozen")
        assert "incident" in {hold["kind"] for hold in standing["holds"]}
        await slack.until(lambda: len(_told(slack, "#incidents", NOTICE)) == 1)
        await slack.until(lambda: len(_told(slack, made["channel"]["id"], CARD)) == 1)
        change = {"status": "resolved", "ended_at": now.isoformat()}
        status, over = await bot.api("PATCH", f"incidents/{made['id']}", json=change)
        assert (status, over["cost"]) == (200, {"checkout/uptime": pytest.approx(15 / 10.08)})
        (uptime,) = (await bot.state("checkout"))["slos"]
        assert uptime["remaining_minutes"] == pytest.approx(-4.92)
        await slack.until(lambda: len(_told(slack, made["channel"]["id"], POSTMORTEM_OPENED)) == 1)
        _, shown = await bot.api("GET", f"incidents/{made['id']}")
        assert shown["postmortem_channel"]["name"] == f"pm-{now:%Y-%m-%d}-checkout-is-down"
        assert slack.refused == []


def _told(slack: FakeSlackServer, channel: str, kind: str) -> list[str]:
    return [m.ts for m in slack.messages(channel) if (m.metadata or {}).get("event_type") == kind]
