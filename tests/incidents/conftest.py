"""A stage on which incidents are played."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.incidents.staging import Scene, staged


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with staged(tmp_path) as scene:
        yield scene
