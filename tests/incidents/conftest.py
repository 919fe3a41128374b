"""A stage on which incidents are played, on both stores."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.incidents import Scene, staged


@pytest.fixture
async def scene(tmp_path: Path, url: str) -> AsyncIterator[Scene]:
    async with staged(tmp_path, url=url) as scene:
        yield scene
