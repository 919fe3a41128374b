"""A second Slack for tests: `emulate`'s Slack service, run by the Node that the virtualenv holds.

    async with running_emulator() as emulator:
        client = AsyncWebClient(token=emulator.token, base_url=emulator.api_url)

Its workspace has the channels, the people and the app of the sandbox's own. It reads only form
bodies and knows channels only by id, so a small server stands before it, turns query strings and
JSON into forms, and looks `#names` up. The program
is installed once into `.cache/`; without it (no network, no Node) the test is skipped, or fails
under `CI=true`.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from bot.sandbox.fake_slack.seed import CHANNELS, PEOPLE
from bot.sandbox.fake_slack.web_api import read_arguments
from tests.support.npm import installed
from tests.support.servers import free_port

VERSION = "0.12.2"
TOKEN = "xoxb-emulated"
_READY_WITHIN_S = 30.0


@dataclass(frozen=True)
class Emulator:
    api_url: str
    """The base for Web API clients, ending in a slash."""
    token: str
    origin: str
    """The emulator itself, which reads only forms."""


@asynccontextmanager
async def running_emulator() -> AsyncIterator[Emulator]:
    """Run the emulator with a fresh workspace for the time of an `async with`."""
    node, cache = await asyncio.to_thread(installed, f"emulate@{VERSION}")
    program = cache / "node_modules" / "emulate" / "dist" / "index.js"
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    with TemporaryDirectory() as folder:
        seed = Path(folder) / "seed.yaml"
        seed.write_text(yaml.safe_dump(_seed()))
        command = [str(node), str(program), "start", "--service", "slack"]
        process = await asyncio.create_subprocess_exec(
            *command,
            "--port",
            str(port),
            "--seed",
            str(seed),
            cwd=folder,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with aiohttp.ClientSession() as session:
                await _until_ready(session, origin, process)
                async with _shim(session, origin) as api_url:
                    yield Emulator(api_url, TOKEN, origin)
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


def _seed() -> dict[str, Any]:
    people = [
        {"name": name, "real_name": real_name, "email": f"{name}@acme.example"}
        for _, name, real_name, _ in PEOPLE
    ]
    app = {"name": "governor", "real_name": "Governor", "email": "governor@acme.example"}
    token = {"token": TOKEN, "user": "governor", "scopes": ["chat:write"]}
    return {
        "slack": {
            "team": {"name": "Acme", "domain": "acme"},
            "users": [app, *people],
            "channels": [{"name": name, "topic": purpose} for name, purpose in CHANNELS.items()],
            "bots": [{"name": "governor"}],
            "tokens": [token],
        }
    }


async def _until_ready(
    session: aiohttp.ClientSession, origin: str, process: asyncio.subprocess.Process
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with asyncio.timeout(_READY_WITHIN_S):
        while process.returncode is None:
            with suppress(aiohttp.ClientError):
                async with session.post(f"{origin}/api/auth.test", headers=headers) as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.1)
    pytest.fail(f"the emulator ended with {process.returncode}")


@asynccontextmanager
async def _shim(session: aiohttp.ClientSession, origin: str) -> AsyncIterator[str]:
    """Serve an address that takes what Slack takes and asks the emulator in forms."""

    async def channel_id(name: str, headers: dict[str, str]) -> str:
        url, form = f"{origin}/api/conversations.list", {"limit": "1000"}
        async with session.post(url, data=form, headers=headers) as response:
            channels = (await response.json()).get("channels", [])
        return next((row["id"] for row in channels if row["name"] == name), "C0UNKNOWN")

    async def forward(request: web.Request) -> web.Response:
        arguments = await read_arguments(request)
        token = arguments.pop("token", "")
        form = {name: _as_field(value) for name, value in arguments.items() if value is not None}
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if form.get("channel", "").startswith("#"):
            form["channel"] = await channel_id(form["channel"].removeprefix("#"), headers)
        url = f"{origin}/api/{request.match_info['method']}"
        async with session.post(url, data=form, headers=headers) as response:
            body = await response.read()
            return web.Response(body=body, status=response.status, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/api/{method}", forward)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
    finally:
        await runner.cleanup()


def _as_field(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
