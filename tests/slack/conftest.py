"""The office that the Slack tests work in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.slack_app import Office, open_office, shop
from tests.support.slack_incidents import IncidentScene, incident_scene


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """Three services, one of them nearly out of budget; nothing that Slack would refuse is sent."""
    async with open_office(tmp_path, shop()) as office:
        yield office
        assert not office.slack.refused


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[IncidentScene]:
    """An office in which incidents are opened."""
    async with incident_scene(tmp_path) as scene:
        yield scene
