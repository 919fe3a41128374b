"""Running Slack apps."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.slack_app import RunningSlackApp, run_slack_app, shop
from tests.support.slack_incidents import RunningIncidentApp, run_incident_app


@pytest.fixture
async def slack_app(tmp_path: Path) -> AsyncIterator[RunningSlackApp]:
    """Three services, one of them nearly out of budget; nothing that Slack would refuse is sent."""
    async with run_slack_app(tmp_path, shop()) as slack_app:
        yield slack_app
        assert not slack_app.slack.refused


@pytest.fixture
async def incident_app(tmp_path: Path) -> AsyncIterator[RunningIncidentApp]:
    """A Slack app with teams and incidents."""
    async with run_incident_app(tmp_path) as incident_app:
        yield incident_app
