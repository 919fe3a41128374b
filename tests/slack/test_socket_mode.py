"""Socket Mode against a server that speaks the published protocol: nothing is lost, nothing done twice."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.web.async_client import AsyncWebClient

from bot.app.governor import Governor
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.settings import Settings
from bot.slack.manifest import manifest
from bot.slack.socket_mode import CONNECTIONS, SocketMode
from bot.slack.webapi.errors import NotPermittedError
from bot.store import audit
from tests.stories.conftest import POLICIES
from tests.support.running import write_policies
from tests.support.servers import free_port
from tests.support.socket_mode_server import APP_TOKEN, Gateway, open_gateway


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with open_gateway() as gateway:
        yield gateway


def bolt(heard: list[str]) -> AsyncApp:
    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id="T1", bot_token="xoxb-1")

    app = AsyncApp(signing_secret="secret", authorize=authorize, process_before_response=True)

    @app.command("/budget")
    async def budget(ack: AsyncAck, body: dict[str, Any]) -> None:
        heard.append(body["text"])
        await ack()

    return app


def asks(number: int) -> dict[str, Any]:
    return {"command": "/budget", "text": str(number), "team_id": "T1", "user_id": "U1"}


@asynccontextmanager
async def serving(gateway: Gateway, heard: list[str], token: str = APP_TOKEN) -> AsyncIterator[list[float]]:
    """Serve with connections that never wait; give the pauses that they would have made, in seconds."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0.01)

    client = AsyncWebClient(token="xoxb-1", base_url=gateway.api_url)
    mode = SocketMode(bolt(heard), token, client, pause=pause)
    running = asyncio.create_task(mode.run())
    try:
        await gateway.until_connected(CONNECTIONS)
        yield pauses
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_a_connection_that_slack_will_close_is_replaced_before_it_goes(
    gateway: Gateway, reason: str
) -> None:
    heard: list[str] = []
    async with serving(gateway, heard):
        old = gateway.connections[0]
        for number in range(50):
            await gateway.send(asks(number))
        await old.says_goodbye(reason)
        await gateway.until_connected(CONNECTIONS + 1)
        assert old in gateway.connections
        for number in range(50, 100):
            await gateway.send(asks(number))
        await old.says_goodbye("refresh_requested")
        await gateway.until_acked(100)
        await old.socket.close()
        for number in range(100, 150):
            await gateway.send(asks(number))
        await gateway.until_acked(150)
        assert len(gateway.ever) == CONNECTIONS + 1
    assert sorted(map(int, heard)) == list(range(150))


async def test_a_url_that_opens_nothing_is_not_used_again(gateway: Gateway) -> None:
    heard: list[str] = []
    gateway.bad_addresses = 3
    async with serving(gateway, heard) as pauses:
        await gateway.send(asks(1))
        await gateway.until_acked(1)
    assert gateway.refused_links == 3
    assert max(pauses) <= 7


async def test_a_connection_that_is_cut_is_opened_again_and_its_envelopes_come_on_the_other(
    gateway: Gateway,
) -> None:
    heard: list[str] = []
    async with serving(gateway, heard):
        for connection in list(gateway.connections):
            connection.drop()
            await gateway.send(asks(len(gateway.ever)))
        await gateway.until_acked(2)
        await gateway.until_ever(CONNECTIONS * 2)
    assert len(heard) == 2


async def test_too_many_connections_make_room_before_one_more_is_asked_for(gateway: Gateway) -> None:
    async with serving(gateway, []) as pauses:
        await gateway.connections[0].says_goodbye("too_many_websockets")
        await gateway.until_ever(CONNECTIONS + 1)
    assert max(pauses) >= 30


async def test_what_comes_again_is_acknowledged_again_and_done_once(gateway: Gateway) -> None:
    heard: list[str] = []
    async with serving(gateway, heard):
        gateway.losing_acks = True
        id_ = await gateway.send(asks(7))
        await gateway.until_lost(1)
        gateway.losing_acks = False
        for attempt in (1, 2, 3):
            await gateway.again(id_, asks(7), attempt)
        await gateway.until_acked(1)
        await gateway.send(asks(8))
        await gateway.until_acked(2)
    assert heard == ["7", "8"]


async def test_what_makes_no_sense_ends_no_connection(gateway: Gateway) -> None:
    heard: list[str] = []
    async with serving(gateway, heard):
        for text in ("{", "[]", "null", '{"type":"events_api","envelope_id":"x"}', '{"type":"nonsense"}'):
            await gateway.connections[0].socket.send_str(text)
        for number in range(4):
            await gateway.send(asks(number))
        await gateway.until_acked(4)
        assert len(gateway.ever) == CONNECTIONS


async def test_a_wrong_app_token_is_an_error_of_slacks(gateway: Gateway) -> None:
    client = AsyncWebClient(token="xoxb-1", base_url=gateway.api_url)
    with pytest.raises(NotPermittedError, match="invalid_auth"):
        await SocketMode(bolt([]), "xapp-wrong", client).run()


async def test_a_token_that_is_revoked_later_ends_it_as_well(gateway: Gateway) -> None:
    client = AsyncWebClient(token="xoxb-1", base_url=gateway.api_url)
    running = asyncio.create_task(SocketMode(bolt([]), APP_TOKEN, client).run())
    await gateway.until_connected(CONNECTIONS)
    gateway.token = "xapp-2"
    gateway.connections[0].drop()
    with pytest.raises(NotPermittedError, match="invalid_auth"):
        await asyncio.wait_for(running, 20)


@dataclass
class SocketModeBot:
    """The whole bot in Socket Mode, between the gateway and the stand-in for Slack."""

    governor: Governor
    slack: FakeSlackServer
    gateway: Gateway

    def exempts(self, number: int) -> dict[str, Any]:
        channel = self.slack.workspace.channel("#general")
        return {
            "command": "/freeze",
            "text": f"exempt checkout PR-{number} for 2h needed",
            "team_id": "T0ACME",
            "user_id": "U0SAM",
            "channel_id": channel.id,
            "channel_name": channel.name,
            "trigger_id": f"13345224609.{number}.8088930838d88f008e0",
            "response_url": self.slack.responses.new(channel, "U0SAM"),
        }

    async def exempted(self) -> list[str]:
        async with self.governor.database.reading() as connection:
            rows = await audit.read(connection, limit=5_000)
        return [str(row.entry.after and row.entry.after.get("change")) for row in rows]


@pytest.fixture
async def running_bot(tmp_path: Path) -> AsyncIterator[SocketModeBot]:
    (tmp_path / "all.yaml").write_text(POLICIES.replace('freeze: ["@sre"]', 'exempt: ["@sre"]'))
    async with (
        FakeSlackServer(manifest=manifest(None, socket=True)) as slack,
        open_gateway(slack.api_url) as gateway,
    ):
        slack.rates.enabled = False
        settings = Settings.model_validate(
            {
                "slack_bot_token": slack.bot_token,
                "slack_app_token": APP_TOKEN,
                "slack_api_url": gateway.api_url,
                "policies_dir": str(tmp_path),
                "database_url": f"sqlite+aiosqlite:///{tmp_path}/governor.db",
                "port": 0,
            }
        )
        async with Governor(settings) as governor:
            running = asyncio.create_task(governor.run())
            try:
                await gateway.until_connected(CONNECTIONS)
                yield SocketModeBot(governor, slack, gateway)
            finally:
                governor.stop()
                await running


async def test_a_thousand_envelopes_over_two_connections_are_each_acted_on_once(
    running_bot: SocketModeBot,
) -> None:
    """Cut a connection in the middle, later both after lost acks: what was not acknowledged comes again."""
    gateway = running_bot.gateway
    for number in range(1_000):
        payload = running_bot.exempts(number)
        id_ = await gateway.send(payload)
        gateway.losing_acks = 680 <= number <= 700
        if number == 500:
            gateway.connections[0].drop()
        if number == 700:
            await gateway.until_lost(10)
            for connection in list(gateway.connections):
                connection.drop()
        if number % 50 == 0:
            await gateway.again(id_, payload)
            await gateway.again(f"{id_}-under-another-id", payload, attempt=2)
    await gateway.until_acked(1_020)
    await running_bot.governor.parts.slack.app.drain(300)
    assert sorted(await running_bot.exempted()) == sorted(f"PR-{number}" for number in range(1_000))
    assert len(gateway.ever) >= CONNECTIONS + 2


async def test_the_operators_endpoints_answer_in_socket_mode_too(running_bot: SocketModeBot) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/healthz", "/readyz", "/metrics"):
            async with session.get(running_bot.governor.url + path) as answer:
                assert answer.status == 200


async def test_a_bad_app_token_ends_the_program_at_once_with_one_line(tmp_path: Path) -> None:
    policies = write_policies(tmp_path, POLICIES)
    async with (
        FakeSlackServer(manifest=manifest(None, socket=True)) as slack,
        open_gateway(slack.api_url) as gateway,
    ):
        environ = {
            "PATH": os.environ["PATH"],
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_APP_TOKEN": "xapp-wrong",
            "SLACK_API_URL": gateway.api_url,
            "POLICIES_DIR": str(policies),
            "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/governor.db",
            "PORT": str(free_port()),
            "LOG_LEVEL": "error",
        }
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "run", env=environ, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(60):
            _, said = await program.communicate()
    assert program.returncode == 1
    assert said.decode() == "governor: Slack does not accept SLACK_APP_TOKEN: invalid_auth\n"
