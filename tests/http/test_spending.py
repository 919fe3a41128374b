"""What spent a budget, over HTTP and in a terminal: rows that add up, and who reads an incident's name."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.budgets.ledger.pushed_events import PushedEvent
from bot.catalog.current import CurrentCatalog
from bot.cli.where import spending_lines
from bot.deployments import records as deployment_records
from bot.http.rights import read_rights
from bot.incidents.incident import Severity
from bot.incidents.lifecycle import IncidentLifecycle, NewIncident
from bot.store import api_tokens
from tests.http.conftest import ApiServer
from tests.spending.happenings import deployed
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.running_bot import TOKEN, start_bot

PATH = "/api/v1/services/checkout/spending"


async def spend(server: ApiServer) -> None:
    """Spend checkout's 600 events: 400 in an incident, 150 after a deployment, 50 at another time."""
    slo = server.catalog.services["checkout"].slos[0]
    times = {400: NOW - HOUR / 2, 150: NOW - 3 * DAY + HOUR, 50: NOW - 10 * DAY}
    await server.ledger.push([PushedEvent(slo, 1_000, bad, at) for bad, at in times.items()], NOW)
    async with server.database.transaction() as connection:
        deployment = deployed("3f1c2ab", NOW - 3 * DAY, url="https://ci.example/42")
        await deployment_records.add(server.database, connection, "checkout", deployment)
    opening = NewIncident(
        "k", "Payments time out", Severity.SEV3, ("checkout",), "U0DANA", started_at=NOW - HOUR, private=True
    )
    await IncidentLifecycle(server.database, CurrentCatalog(server.catalog)).open(opening, NOW - 50 * MINUTE)


def slo_of(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    (found,) = (slo for slo in body["slos"] if slo["name"] == name)
    return found  # type: ignore[no-any-return]


async def test_the_rows_add_up_to_what_is_counted(api_server: ApiServer) -> None:
    await spend(api_server)
    status, body = await api_server.get(PATH, slo="Availability")
    assert status == 200
    (found,) = [slo_of(body, "availability")]
    assert (found["spent"], found["budget"], found["percent"], found["unit"]) == ("600", "1000", 60, "events")
    incident, deployment, rest = found["rows"]
    assert (incident["kind"], incident["incident"], incident["title"]) == ("incident", 1, "Payments time out")
    assert (deployment["kind"], deployment["url"]) == ("deployment", "https://ci.example/42")
    assert [row["spent"] for row in found["rows"]] == ["400", "150", "50"]
    assert [row["percent"] for row in found["rows"]] == [40, 15, 5]
    assert sum(row["share"] for row in found["rows"]) == pytest.approx(1)
    assert (rest["kind"], rest["at"]) == ("rest", None)


async def test_what_was_deployed_to_production_under_another_name_is_a_cause(api_server: ApiServer) -> None:
    slo = api_server.catalog.services["checkout"].slos[0]
    await api_server.ledger.push([PushedEvent(slo, 1_000, 150, NOW - 2 * DAY)], NOW)
    shipped = replace(
        deployed("3f1c2ab", NOW - 2 * DAY - HOUR), environment="Production – shop", is_production=True
    )
    async with api_server.database.transaction() as connection:
        await deployment_records.add(api_server.database, connection, "checkout", shipped)
    _, body = await api_server.get(PATH, slo="availability")
    row = slo_of(body, "availability")["rows"][0]
    assert (row["kind"], row["spent"]) == ("deployment", "150")


async def test_what_a_terminal_prints_adds_up_and_fits_it(api_server: ApiServer) -> None:
    await spend(api_server)
    _, body = await api_server.get(PATH, slo="availability")
    lines = list(spending_lines(body))
    assert lines[:2] == ["checkout/availability", "   60.0%  spent: 600 of 1000 bad events in 30d"]
    assert lines[2] == "   40.0%  incident 1, from 2026-11-23 08:00 UTC: Payments time out"
    assert lines[-2] == "    5.0%  the rest"
    assert max(map(len, lines)) <= 80
    assert list(spending_lines({"service": "search", "slos": []})) == ["search: nothing is counted yet"]


async def test_unknown_services_and_slos_are_404_with_the_nearest(api_server: ApiServer) -> None:
    status, body = await api_server.get("/api/v1/services/chekout/spending")
    assert (status, body["near"]) == (404, ["checkout"])
    status, body = await api_server.get(PATH, slo="availabilty")
    assert (status, body["near"]) == (404, ["availability"])


@pytest.mark.parametrize(
    ("rights", "title"),
    [
        ("services:read", None),
        ("services:read,incidents:read", None),
        ("services:read,incidents:read,incidents:read-private", "Payments time out"),
    ],
)
async def test_an_incident_is_named_to_tokens_that_may_read_it(
    tmp_path: Path, rights: str, title: str | None
) -> None:
    async with start_bot(tmp_path) as bot:
        now = bot.governor.clock.now()
        opening = {
            "title": "Payments time out", "severity": "sev3", "services": ["checkout"], "key": "k",
            "private": True, "started_at": (now - HOUR).isoformat(),
        }  # fmt: skip
        async with bot.governor.database.transaction() as connection:
            token = await api_tokens.create(connection, "reader", read_rights(rights), 600, now)
        async with aiohttp.ClientSession(bot.url, headers={"Authorization": f"Bearer {TOKEN}"}) as session:
            async with session.get("/api/v1/services/checkout") as answer:
                slo = (await answer.json())["slos"][0]["name"]
            async with session.post("/api/v1/incidents", json=opening) as answer:
                assert answer.status == 201
            at = (now - HOUR / 2).isoformat()
            event = {"service": "checkout", "slo": slo, "good": 9_000, "bad": 7, "at": at}
            async with session.post("/api/v1/events", json=event) as answer:
                assert answer.status == 202
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession(bot.url, headers=headers) as session,
            session.get(PATH, params={"slo": slo}) as answer,
        ):
            (found,) = (await answer.json())["slos"]
        (row,) = found["rows"]
        assert (row["kind"], row["spent"]) == ("incident", "7")
        assert (row["hidden"], row["title"]) == (title is None, title)
