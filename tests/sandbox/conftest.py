from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.sandbox.page_api import PAGE
from tests.sandbox import bolt_app
from tests.sandbox.bolt_app import Json


@pytest.fixture
def page_source() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(PAGE.rglob("*.js")))


@pytest.fixture
def received() -> list[Json]:
    """What the bot under test has received."""
    return []


@pytest.fixture
async def slack(received: list[Json]) -> AsyncIterator[FakeSlackServer]:
    """A fake Slack with a small bot."""
    async with FakeSlackServer(
        manifest=bolt_app.MANIFEST, ack_s=1.0, retry_delays_s=(0.0, 0.0, 0.0)
    ) as server:
        app = bolt_app.build(
            token=server.bot_token,
            api_url=server.api_url,
            secret=server.signing_secret,
            received=received,
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.bot_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
        await server.sender.close()
        await runner.cleanup()
