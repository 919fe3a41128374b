"""A running bot that judges one service by pushed events, and the stand-in that it talks to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.manifest import manifest
from tests.support.running import Bot, running_governor, write_policies
from tests.support.servers import Exporter, Prometheus, running_exporter, running_prometheus

POLICIES = """
apiVersion: governor/v1
kind: Workspace
metadata: {name: acme}
spec:
  channels: {announcements: "#releases"}
  evaluateEvery: 1s
  permissions: {freeze: ["@sre"]}
---
apiVersion: governor/v1
kind: ErrorBudgetPolicy
metadata: {name: standard}
spec: {freezeAt: 0%, unfreezeAt: 10%, dwell: 2s, burnAlerts: [], exemptions: [P0, security]}
---
apiVersion: governor/v1
kind: Service
metadata: {name: checkout}
spec:
  description: Takes the customer's money.
  channel: "#checkout"
  repository: acme/checkout
  teams: {development: "@checkout-devs", reliability: "@sre"}
  errorBudgetPolicy: standard
  slos:
    - {name: orders, objective: 99, window: 7d, sli: {events: {}}}
"""


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlackServer]:
    async with FakeSlackServer(manifest=manifest("https://governor.example")) as slack:
        yield slack


@pytest.fixture
async def exporter() -> AsyncIterator[Exporter]:
    async with running_exporter() as exporter:
        yield exporter


@pytest.fixture
async def prometheus(exporter: Exporter, tmp_path: Path) -> AsyncIterator[Prometheus]:
    async with running_prometheus(tmp_path, [exporter]) as prometheus:
        yield prometheus


@pytest.fixture
async def bot(tmp_path: Path, slack: FakeSlackServer, url: str) -> AsyncIterator[Bot]:
    policies = write_policies(tmp_path, POLICIES)
    async with running_governor(policies=policies, slack=slack, folder=tmp_path, DATABASE_URL=url) as bot:
        yield bot
