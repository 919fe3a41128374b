"""The incident workflow on both stores."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.incidents import IncidentsSetup, run_incidents


@pytest.fixture
async def incidents_setup(tmp_path: Path, url: str) -> AsyncIterator[IncidentsSetup]:
    async with run_incidents(tmp_path, url=url) as incidents_setup:
        yield incidents_setup
