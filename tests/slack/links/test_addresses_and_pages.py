"""Addresses of incidents and services: written and read, and the pages there, which tell nothing."""

import aiohttp
import pytest
from aiohttp import web

from bot.slack.command_prefix import CommandPrefix
from bot.slack.links.pages import LinkPages
from bot.slack.typed.link_addresses import LinkAddresses, LinkedIncident, LinkedService

ADDRESSES = LinkAddresses("https://governor.example/bot/")


def test_what_is_written_is_read() -> None:
    assert ADDRESSES.incident(12) == "https://governor.example/bot/incidents/12"
    assert ADDRESSES.read(str(ADDRESSES.incident(12))) == LinkedIncident(12)
    assert ADDRESSES.service("a b/c") == "https://governor.example/bot/services/a%20b%2Fc"
    assert ADDRESSES.read(str(ADDRESSES.service("a b/c"))) == LinkedService("a b/c")


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("incidents/INC-12", LinkedIncident(12)),
        ("incidents/inc-12/?a=b#c", LinkedIncident(12)),
        ("api/v1/incidents/12", LinkedIncident(12)),
        ("api/v1/incidents/12/postmortem.md", LinkedIncident(12)),
        ("api/v1/services/checkout", LinkedService("checkout")),
        ("incidents", None),
        ("incidents/-1", None),
        ("incidents/1/2", None),
        ("incidents/١", None),
        (f"incidents/{'9' * 16}", None),
        ("services/", None),
        ("services/a/b", None),
    ],
)
def test_addresses_below_the_bots_own_are_read(
    path: str, what: LinkedIncident | LinkedService | None
) -> None:
    assert ADDRESSES.read(f"https://Governor.example:443/bot/{path}") == what


@pytest.mark.parametrize(
    "url",
    [
        "http://governor.example/bot/incidents/1",
        "https://governor.example/incidents/1",
        "https://governor.example:8443/bot/incidents/1",
        "https://governor.example.evil.example/bot/incidents/1",
        "https://[governor.example/bot/incidents/1",
        "https://governor.example:port/bot/incidents/1",
        "",
    ],
)
def test_other_addresses_are_not_read(url: str) -> None:
    assert ADDRESSES.read(url) is None


def test_without_a_public_address_there_are_none() -> None:
    assert LinkAddresses().incident(1) is None
    assert LinkAddresses().service("checkout") is None
    assert LinkAddresses().read("/incidents/1") is None


async def test_pages_say_the_same_of_every_incident_and_service() -> None:
    statuses = {
        "incidents/1": 200,
        "incidents/INC-1": 200,
        "services/checkout": 200,
        "incidents/x": 404,
        "services/<b>": 404,
    }
    app = web.Application()
    LinkPages(CommandPrefix("acme-")).add_routes(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        async with aiohttp.ClientSession(f"http://{host}:{port}") as browser:
            answers = {}
            for path in statuses:
                async with browser.get(f"/{path}") as response:
                    answers[path] = (response.status, await response.text())
    finally:
        await runner.cleanup()
    assert {path: status for path, (status, _) in answers.items()} == statuses
    assert answers["incidents/1"] == answers["incidents/INC-1"]
    assert "/acme-incident show 1" in answers["incidents/1"][1]
    assert "/acme-budget checkout" in answers["services/checkout"][1]
    assert "overflow-wrap: anywhere" in answers["services/checkout"][1], "a long name scrolls a phone's page"
