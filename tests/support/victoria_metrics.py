"""A real VictoriaMetrics for tests, started from the installed program (see `servers.py`)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import aiohttp

from tests.support.servers import Server, find_program, free_port


class VictoriaMetrics(Server):
    """One node. `url` is where it answers."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [
            find_program("victoria-metrics"),
            f"-storageDataPath={folder / 'data'}",
            f"-httpListenAddr=127.0.0.1:{port}",
            "-retentionPeriod=10y",
            "-loggerLevel=WARN",
        ]
        super().__init__(command, folder, self._answers)

    async def take_in(self, openmetrics: str) -> None:
        """Write history, whose times are in seconds, and make it visible."""
        samples = (line.rsplit(" ", 1) for line in openmetrics.splitlines() if not line.startswith("#"))
        text = "\n".join(f"{sample} {float(at) * 1_000:.0f}" for sample, at in samples)
        address = f"{self.url}/api/v1/import/prometheus"
        async with (
            aiohttp.ClientSession() as session,
            session.post(address, data=BytesIO(text.encode())) as response,
        ):
            assert response.status == 204, await response.text()
        await self.flush()

    async def flush(self) -> None:
        """Make what was written visible to queries."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/internal/force_flush") as response,
        ):
            assert response.status == 200

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
async def running_victoria_metrics(folder: Path) -> AsyncIterator[VictoriaMetrics]:
    """Run one with its data in `folder`."""
    home = folder / "victoria-metrics"
    home.mkdir()
    server = VictoriaMetrics(home)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()
