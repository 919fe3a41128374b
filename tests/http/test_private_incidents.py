"""Private incidents over HTTP: a right of their own, `incidents:read-private`."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.http.rights import read_rights
from bot.store import api_tokens
from tests.support.clock import NOW
from tests.support.incidents import IncidentsSetup, run_incidents

INCIDENTS = "/api/v1/incidents"
OPENING = {
    "title": "Leaked keys",
    "severity": "sev2",
    "services": ["checkout"],
    "key": "leak",
    "private": True,
}
READS = ("/1", "/1/postmortem.md", "?open=1", "?service=checkout", "/report")


@pytest.fixture
async def scene(tmp_path: Path, url: str) -> AsyncIterator[IncidentsSetup]:
    async with run_incidents(tmp_path, url=url) as scene:
        status, opened = await scene.api("POST", INCIDENTS, json=OPENING)
        assert (status, opened["private"]) == (201, True)
        yield scene


class Reader:
    """A caller with a token of certain rights."""

    def __init__(self, scene: IncidentsSetup, token: str) -> None:
        self._scene = scene
        self._token = token

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {self._token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, f"{self._scene.url}{INCIDENTS}{path}", **options) as answer,
        ):
            return answer.status, await answer.text()


async def reader(scene: IncidentsSetup, rights: str, name: str = "reader") -> Reader:
    async with scene.database.transaction() as connection:
        return Reader(scene, await api_tokens.create(connection, name, read_rights(rights), 600, NOW))


async def test_a_token_that_reads_incidents_does_not_read_private_ones(scene: IncidentsSetup) -> None:
    ordinary = await reader(scene, "incidents:read,incidents:write")
    for path in READS:
        status, text = await ordinary.call("GET", path)
        assert "Leaked keys" not in text
        assert status == (404 if path.startswith("/1") else 200)
    _, text = await ordinary.call("GET", "/1")
    assert "private ones need the right incidents:read-private" in text
    _, text = await ordinary.call("GET", "")
    assert text == '{"incidents": []}'
    _, text = await ordinary.call("GET", "/report")
    assert '"incidents": 0' in text


async def test_a_token_with_the_right_reads_them(scene: IncidentsSetup) -> None:
    trusted = await reader(scene, "incidents:read,incidents:read-private")
    for path in READS:
        status, text = await trusted.call("GET", path)
        assert status == 200
        assert "Leaked keys" in text or '"incidents": 1' in text
    alone = await reader(scene, "incidents:read-private", "alone")
    status, text = await alone.call("GET", "/1")
    assert (status, "does not have the right incidents:read" in text) == (403, True)


async def test_who_writes_incidents_cannot_reach_a_private_one_by_its_number_or_key(
    scene: IncidentsSetup,
) -> None:
    writer = await reader(scene, "incidents:write")
    status, text = await writer.call("PATCH", "/1", json={"status": "resolved"})
    assert (status, "Leaked keys" in text) == (404, False)
    status, text = await writer.call("POST", "", json=OPENING)
    assert (status, "Leaked keys" in text) == (403, False)
    assert "does not have the right incidents:read-private" in text
    _, opened = await scene.api("GET", f"{INCIDENTS}/1")
    assert opened["status"] == "investigating"


async def test_the_token_that_opened_a_private_incident_goes_on_with_it(scene: IncidentsSetup) -> None:
    pager = await reader(scene, "incidents:write,incidents:read", "pager")
    own = OPENING | {"key": "own"}
    assert (await pager.call("POST", "", json=own))[0] == 201
    assert (await pager.call("POST", "", json=own))[0] == 200
    assert (await pager.call("PATCH", "/2", json={"status": "resolved"}))[0] == 200
    assert (await pager.call("GET", "/2"))[0] == 200
    assert (await pager.call("GET", "/1"))[0] == 404


async def test_private_incidents_take_no_place_in_the_list_of_others(scene: IncidentsSetup) -> None:
    ordinary = await reader(scene, "incidents:read")
    public = OPENING | {"key": "public", "title": "Checkout 500s", "private": False}
    await scene.api("POST", INCIDENTS, json=public)
    status, text = await ordinary.call("GET", "?open=1")
    assert (status, text.count('"id": 2,')) == (200, 1)
