"""What is posted to a `response_url`, and what becomes of its answers."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bot.slack.blockkit.mrkdwn import Markup
from bot.slack.command_prefix import CommandPrefix
from bot.slack.interactions import Reply
from bot.slack.response_url import ReplyTarget, Responder, ResponseRefusedError
from bot.slack.webapi.client import SlackClient


@dataclass(slots=True)
class Receiver:
    """Takes what is posted, and answers `answer` with `status`; `to` are the addresses as they were asked."""

    url: str = ""
    status: int = 200
    answer: bytes = b"ok"
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    to: list[str] = field(default_factory=list)

    async def take(self, request: web.BaseRequest) -> web.Response:
        """Answer a post."""
        self.bodies.append(json.loads(await request.read()))
        self.headers.append({name.title(): value for name, value in request.headers.items()})
        self.to.append(request.raw_path if "://" in request.raw_path else str(request.url))
        return web.Response(status=self.status, body=self.answer)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Run a receiver that takes posts to any address."""
    receiver = Receiver()
    runner = web.ServerRunner(web.Server(receiver.take))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/commands/T1/1/a"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def responding() -> AsyncIterator[tuple[Receiver, Callable[[Reply], Any]]]:
    """Yield a receiver, and what sends a reply to it."""
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(receiving())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        responder = Responder(SlackClient(session=session), CommandPrefix())
        yield receiver, lambda reply: responder.send(ReplyTarget(receiver.url, "C1", "U1"), reply)


async def test_the_body_is_json_of_the_text_and_the_blocks() -> None:
    block = {"type": "section", "text": {"type": "mrkdwn", "text": Markup("*été* → 99.9%")}}
    async with responding() as (receiver, send):
        await send(Reply(Markup("*été*"), (block,)))
        assert receiver.bodies == [
            {
                "response_type": "ephemeral",
                "replace_original": False,
                "text": "*été*",
                "blocks": [block],
                "unfurl_links": False,
                "unfurl_media": False,
            }
        ]
        assert receiver.headers[0]["Content-Type"] == "application/json; charset=utf-8"
        assert "slackclient/" in receiver.headers[0]["User-Agent"]


async def test_half_a_character_does_not_cost_the_reply() -> None:
    async with responding() as (receiver, send):
        await send(Reply(Markup("no service named \ud83d"), ()))
        assert receiver.bodies[0]["text"] == "no service named \ud83d"


async def test_a_refusal_is_told_whatever_its_bytes() -> None:
    async with responding() as (receiver, send):
        receiver.status, receiver.answer = 400, b"invalid_\xff\xfe"
        with pytest.raises(ResponseRefusedError, match="Slack refused an answer: invalid_"):
            await send(Reply(Markup("text"), ()))


async def test_a_reply_goes_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/commands/T1/1/a"))
        async with responding() as (receiver, send):
            await send(Reply(Markup("text"), ()))
            assert proxy.to == [receiver.url]
            assert receiver.bodies == []
