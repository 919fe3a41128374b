"""The real Alertmanager posts a group of alerts: one incident, whose impact ends when they do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
import yaml

from bot.incidents.incident import Severity, Status
from tests.support.incidents import TOKEN, IncidentsSetup
from tests.support.servers import Server, find_program, free_port


@asynccontextmanager
async def alertmanager(folder: Path, webhook: str, token: str = TOKEN) -> AsyncIterator[str]:
    """Run Alertmanager with the bot as its receiver; give its address."""
    program, port = find_program("prometheus-alertmanager"), free_port()
    receiver = {
        "url": webhook,
        "send_resolved": True,
        "http_config": {"authorization": {"credentials": token}},
    }
    config = {
        "route": {
            "receiver": "governor",
            "group_by": ["service"],
            "group_wait": "100ms",
            "group_interval": "1s",
            "repeat_interval": "1s",
        },
        "receivers": [{"name": "governor", "webhook_configs": [receiver]}],
    }
    home = folder / "alertmanager"
    home.mkdir()
    (home / "config.yml").write_text(yaml.safe_dump(config))
    url = f"http://127.0.0.1:{port}"

    async def is_ready() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{url}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    options = [f"--config.file={home}/config.yml", f"--storage.path={home}/data", "--cluster.listen-address="]
    server = Server([program, *options, f"--web.listen-address=127.0.0.1:{port}"], home, is_ready)
    await server.start()
    try:
        yield url
    finally:
        await server.kill()


async def fire(url: str, *alerts: dict[str, object]) -> None:
    """Send alerts as Prometheus does."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/api/v2/alerts", json=alerts) as answer,
    ):
        assert answer.status == 200, await answer.text()


def alert(
    incidents_setup: IncidentsSetup, name: str, ended_minutes_ago: float | None = None
) -> dict[str, object]:
    """Describe an alert that fires since ten minutes, over since so many."""
    ends = timedelta(minutes=60 if ended_minutes_ago is None else -ended_minutes_ago)
    return {
        "labels": {"alertname": name, "service": "checkout", "severity": "critical"},
        "annotations": {"summary": f"{name} on checkout"},
        "startsAt": incidents_setup.started.isoformat(),
        "endsAt": (incidents_setup.clock.now() + ends).isoformat(),
    }


@pytest.mark.timeout(240)
async def test_a_group_of_alerts_lives_and_ends_as_one_incident(
    incidents_setup: IncidentsSetup, tmp_path: Path
) -> None:
    async with alertmanager(tmp_path, f"{incidents_setup.url}/webhooks/alertmanager") as url:
        await fire(url, alert(incidents_setup, "HighErrors"), alert(incidents_setup, "SlowCheckout"))
        async with asyncio.timeout(60):
            while not incidents_setup.channels():  # noqa: ASYNC110 - another process works
                await asyncio.sleep(0.05)
        view = await incidents_setup.complete(1)
        assert (view.incident.severity, view.incident.services) == (Severity.SEV2, ("checkout",))
        assert {one.text.partition(":")[0] for one in view.timeline if one.kind == "alert"} == {
            "HighErrors fires",
            "SlowCheckout fires",
        }
        await fire(url, alert(incidents_setup, "HighErrors", 1), alert(incidents_setup, "SlowCheckout", 1))
        async with asyncio.timeout(60):
            while (await incidents_setup.incidents.snapshots.of(1)).incident.status is not Status.MITIGATED:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        view = await incidents_setup.complete(1)
    assert view.incident.ended_at is not None
    assert (
        timedelta(minutes=1) <= incidents_setup.clock.now() - view.incident.ended_at <= timedelta(minutes=2)
    )
    incidents_setup.assert_one_complete_incident(people={"U0DANA", "U0SAM"})
