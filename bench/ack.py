"""How long Slack waits for the ack of `/budget`, against a bare slack-bolt app that only acknowledges."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from bench.load import Commands, Timing, saturating, steady
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.manifest import manifest
from tests.support.running import running_governor
from tests.support.servers import free_port

SECRET = "sandbox-signing-secret"
SERVICES = 100
RATE, SECONDS, AT_ONCE = 200.0, 30.0, 32


def shop(services: int, window: str = "30d") -> str:
    """Write policies of so many services with pushed events, one SLO each."""
    documents = [
        """apiVersion: governor/v1
kind: Workspace
metadata: {name: acme}
spec: {channels: {announcements: "#releases"}}"""
    ]
    documents += [
        f"""apiVersion: governor/v1
kind: Service
metadata: {{name: service-{number}}}
spec:
  channel: "#checkout"
  slos: [{{name: orders, objective: 99, window: {window}, sli: {{events: {{}}}}}}]"""
        for number in range(services)
    ]
    return "\n---\n".join(documents)


@asynccontextmanager
async def answers_elsewhere() -> AsyncIterator[str]:
    """Take what is sent to `response_url`."""

    async def take(_request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application(client_max_size=2**22)
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running_peer(module: str) -> AsyncIterator[str]:
    """Run a peer; return its address."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, str(port), SECRET, stdout=asyncio.subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(20):
            while True:
                try:
                    async with session.get(url):
                        break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)
        yield url
    finally:
        process.kill()
        await process.wait()


async def measure(
    folder: Path, *, every: str = "60s", peer: str = "bench.bare_bolt", seconds: float = SECONDS
) -> dict[str, tuple[Timing, Timing]]:
    """Return for `steady` and `saturated` our timing and the peer's, taken in turn.

    All budgets are evaluated at the interval `every`; `peer` is the module that serves beside.
    """
    folder = Path(tempfile.mkdtemp(prefix="ack-", dir=folder))
    policies = folder / "policies"
    policies.mkdir()
    channels = 'announcements: "#releases"}'
    text = shop(SERVICES).replace(channels, f"{channels}, evaluateEvery: {every}")
    (policies / "all.yaml").write_text(text)
    async with AsyncExitStack() as stack:
        response_url = await stack.enter_async_context(answers_elsewhere())
        slack = await stack.enter_async_context(FakeSlackServer(manifest=manifest("https://bench.example")))
        ours = await stack.enter_async_context(
            running_governor(policies=policies, slack=slack, folder=folder, LOG_LEVEL="error")
        )
        theirs = await stack.enter_async_context(running_peer(peer))
        us, them = (Commands(url, SECRET, response_url) for url in (ours.url, theirs))
        for warm in (us, them):
            await steady(warm, per_second=50, seconds=2)
        results = {
            "steady": (
                await steady(us, per_second=RATE, seconds=seconds),
                await steady(them, per_second=RATE, seconds=seconds),
            )
        }
        await asyncio.sleep(3)
        results["saturated"] = (
            await saturating(us, at_once=AT_ONCE, seconds=seconds / 3),
            await saturating(them, at_once=AT_ONCE, seconds=seconds / 3),
        )
        return results
