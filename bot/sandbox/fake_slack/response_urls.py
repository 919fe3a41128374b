"""`response_url`s: answers to what a person did, five times within 30 minutes of real time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import web

from bot.sandbox.fake_slack.api_call import checked_blocks
from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.model import Channel, Json, Message
from bot.sandbox.fake_slack.slack_facts import LIMITS
from bot.sandbox.fake_slack.workspace import APP_ID, BOT_ID, BOT_USER_ID, FakeWorkspace

log = structlog.get_logger(__name__)

USES: Final = 5
LIFE_S: Final = 30 * 60.0


@dataclass(slots=True)
class _IssuedUrl:
    channel: str
    user: str
    message: Message | None
    at: float
    uses: int = 0


class ResponseUrls:
    """Issues the addresses and carries out what is posted to them."""

    def __init__(self, workspace: FakeWorkspace, wall: Callable[[], float]) -> None:
        self._workspace = workspace
        self._wall = wall
        self._addresses: dict[str, _IssuedUrl] = {}
        self.base_url = ""
        self.refusals: list[Json] = []

    def new(self, channel: Channel, user: str, message: Message | None = None) -> str:
        """Return an address for a person's command, or for what they did with `message`."""
        key = self._workspace.new_id("R")
        self._addresses[key] = _IssuedUrl(channel.id, user, message, self._wall())
        return f"{self.base_url}/slack-response/{key}"

    def add_routes(self, app: web.Application) -> None:
        """Serve the addresses."""
        app.router.add_post("/slack-response/{key}", self._answer)

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            address = self._use(request.match_info["key"])
        except FakeSlackError as refusal:
            return self._refused(refusal, status=404)
        try:
            body = _object(await request.text())
            self.respond(address.channel, address.user, body, address.message)
        except FakeSlackError as refusal:
            return self._refused(refusal, status=400)
        return web.Response(text="ok")

    def _refused(self, refusal: FakeSlackError, *, status: int) -> web.Response:
        log.info("response_url_refused", error=refusal.code, faults=refusal.messages)
        self.refusals.append(refusal.answer())
        return web.json_response(refusal.answer(), status=status)

    def _use(self, key: str) -> _IssuedUrl:
        address = self._addresses.get(key)
        if address is None or self._wall() - address.at > LIFE_S:
            raise FakeSlackError("expired_url")
        if address.uses >= USES:
            raise FakeSlackError("used_url")
        address.uses += 1
        return address

    def respond(
        self, channel_id: str, user: str, body: Json, source: Message | None = None
    ) -> Message | None:
        """Post, replace or delete as a response asks; `source` is what the person acted on."""
        channel = self._workspace.channels[channel_id]
        if _says_yes(body, "delete_original") and source is not None:
            self._workspace.delete(channel, source)
            return None
        blocks = checked_blocks(self._workspace, body["blocks"]) if body.get("blocks") else []
        text = str(body.get("text") or "")
        if not text and not blocks:
            raise FakeSlackError("no_text")
        if len(text) > LIMITS["message"]["text"]:
            raise FakeSlackError("msg_too_long")
        if _says_yes(body, "replace_original") and source is not None:
            self._workspace.edit(channel, source, {"text": text, "blocks": blocks})
            return source
        in_channel = body.get("response_type") == "in_channel"
        message = Message(
            self._workspace.new_ts(),
            BOT_USER_ID,
            text,
            blocks=blocks,
            bot_id=BOT_ID,
            app_id=APP_ID,
            thread_ts=body.get("thread_ts"),
            metadata=body.get("metadata"),
            ephemeral_to=None if in_channel else user,
        )
        return self._workspace.post(channel, message)


def _says_yes(body: Json, name: str) -> bool:
    return body.get(name) in (True, "true")


def _object(text: str) -> Json:
    try:
        body = json.loads(text)
    except json.JSONDecodeError as cause:
        raise FakeSlackError("invalid_payload") from cause
    if not isinstance(body, dict):
        raise FakeSlackError("invalid_payload")
    return body
