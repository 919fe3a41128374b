"""The pins of `constraints.txt` against known advisories, where somebody can be asked who knows them.

Package registries carry no current list of advisories, so this needs `api.osv.dev` or, by `ADVISORIES_URL`, a
mirror of it; elsewhere the check is skipped, also in CI.
"""

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.advisories import API, UnreachableError, advisories, pins_of
from tests.support.paths import ROOT

PINS = pins_of((ROOT / "constraints.txt").read_text())
ACCEPTED: dict[str, str] = {}
"""Advisories that do not concern Governor: their ids, and why."""


@pytest.fixture(name="osv")
async def fixture_osv() -> AsyncIterator[TestServer]:
    """One that knows of aiohttp 3.0.0 alone, and answers as OSV's documentation shows."""

    async def answer(request: web.Request) -> web.Response:
        queries: list[dict[str, Any]] = (await request.json())["queries"]
        known = {"package": {"name": "aiohttp", "ecosystem": "PyPI"}, "version": "3.0.0"}
        vuln = {"id": "GHSA-v6wp-4m6f-gcjg", "modified": "2023-11-08T04:05:12Z"}
        return web.json_response(
            {"results": [{"vulns": [vuln]} if each == known else {} for each in queries]}
        )

    app = web.Application()
    app.router.add_post("/v1/querybatch", answer)
    server = TestServer(app)
    async with server:
        yield server


async def test_a_pin_with_an_advisory_is_found(osv: TestServer) -> None:
    url = str(osv.make_url("")).rstrip("/")
    assert await advisories({**PINS, "aiohttp": "3.0.0"}, url) == {"aiohttp": ["GHSA-v6wp-4m6f-gcjg"]}
    assert await advisories({"aiohttp": "3.0.1"}, url) == {}


async def test_an_answer_that_says_nothing_is_not_taken_for_no_advisories(osv: TestServer) -> None:
    with pytest.raises(UnreachableError, match="404"):
        await advisories(PINS, str(osv.make_url("/elsewhere")))


async def test_no_pin_has_a_known_advisory() -> None:
    try:
        found = await advisories(PINS, os.environ.get("ADVISORIES_URL", API))
    except UnreachableError as error:
        pytest.skip(f"the pins were not compared with known advisories: {error}")
    unknown = {name: [each for each in ids if each not in ACCEPTED] for name, ids in found.items()}
    assert {name: ids for name, ids in unknown.items() if ids} == {}
