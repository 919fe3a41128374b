"""Each backend on its system, the real one where there is one to start."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.flags.backends.flag_systems import (
    FlagSystem,
    documented_flag_system,
    flagd_flag_system,
    flagsmith_flag_system,
    launchdarkly_flag_system,
    local_flag_system,
    unleash_flag_system,
)
from tests.support.unleash_server import UnleashServer, running_unleash


@pytest.fixture(scope="session")
def unleash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UnleashServer]:
    """One Unleash for the whole session."""
    # A loop of its own: this runs between the loops of the tests.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        running = running_unleash(tmp_path_factory.mktemp("unleash"))
        server = runner.run(running.__aenter__())
        yield server
        runner.run(running.__aexit__(None, None, None))


SYSTEMS = ("local", "flagd", "unleash", "launchdarkly", "flagsmith", "flagsmith-versioned", "documented")


@pytest.fixture(params=SYSTEMS)
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> AbstractAsyncContextManager[FlagSystem]:
    match request.param:
        case "local":
            return local_flag_system(tmp_path)
        case "flagd":
            return flagd_flag_system(tmp_path)
        case "unleash":
            return unleash_flag_system(tmp_path, request.getfixturevalue("unleash"))
        case "documented":
            return documented_flag_system()
        case "launchdarkly":
            return launchdarkly_flag_system()
        case kind:
            return flagsmith_flag_system(versioned=kind == "flagsmith-versioned")


@pytest.fixture
async def flag_system(opening: AbstractAsyncContextManager[FlagSystem]) -> AsyncIterator[FlagSystem]:
    async with opening as flag_system:
        yield flag_system
