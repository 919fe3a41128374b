"""The sandbox answers only to hosts that no web page of another site can claim."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bot.clock import SimulatedClock
from bot.sandbox.sandbox import Sandbox
from bot.slack.manifest import manifest

OTHERS = ("evil.example:3000", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.5", "", "[")
LOCAL = "http://127.0.0.1:3000"


async def status(host: str, path: str = "/", base_url: str = LOCAL, hosts: tuple[str, ...] = ()) -> int:
    """Return the status of the answer to a request with this `Host`."""
    sandbox = Sandbox(
        manifest=manifest(None, socket=True),
        clock=SimulatedClock(speed=1),
        base_url=base_url,
        bot_token="xoxb-1",
        signing_secret="secret",
        api_token="token",
        shop=False,
        hosts=hosts,
    )
    app = web.Application()
    sandbox.add_routes(app)
    async with (
        TestClient(TestServer(app)) as client,
        client.get(path, headers={"Host": host}) as response,
    ):
        return response.status


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:3000", "localhost.:3000", "127.0.0.1:3000", "127.8.8.8", "[::1]:3000"]
)
async def test_this_machine_is_answered(host: str) -> None:
    assert await status(host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:3000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.0.0.5",
        "",
        "[",
    ],
)
@pytest.mark.parametrize("path", ["/", "/sandbox/state", "/slack-api/auth.test", "/nothing"])
async def test_every_other_host_is_refused_on_every_path(host: str, path: str) -> None:
    assert await status(host, path) == 421


async def test_the_address_it_listens_on_and_further_names_are_answered() -> None:
    assert await status("box.lan:3000", base_url="http://box.lan:3000") == 200
    assert await status("box.lan", hosts=("box.lan",)) == 200
    assert await status("192.0.2.7:3000", base_url="http://0.0.0.0:3000") == 200
    assert await status("evil.example:3000", base_url="http://0.0.0.0:3000") == 421
