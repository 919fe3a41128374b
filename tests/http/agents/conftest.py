"""A running bot, and tokens of agents and pipelines for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.deployments.actor import Actor
from tests.http.agents.callers import Callers
from tests.support.running_bot import start_bot


@pytest.fixture
async def callers(tmp_path: Path) -> AsyncIterator[Callers]:
    async with start_bot(tmp_path) as bot:
        callers = Callers(bot)
        callers.agent = await callers.token("coder", Actor.AGENT)
        callers.pipeline = await callers.token("ci", Actor.PIPELINE)
        yield callers
