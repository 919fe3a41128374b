"""`response_url`s: each takes five responses within 30 minutes of real time."""

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

MAX_USES: Final = 5
LIFETIME_S: Final = 30 * 60.0


@dataclass(slots=True)
class _IssuedUrl:
    channel: str
    user: str
    message: Message | None
    issued_at: float
    uses: int = 0


class ResponseUrls:
    """Issues the URLs and carries out what is posted to them."""

    def __init__(self, workspace: FakeWorkspace, wall: Callable[[], float]) -> None:
        self._workspace = workspace
        self._wall = wall
        self._urls: dict[str, _IssuedUrl] = {}
        self.base_url = ""
        self.refusals: list[Json] = []

    @property
    def unused(self) -> int:
        """How many of the URLs nothing was posted to."""
        return sum(not issued.uses for issued in self._urls.values())

    def new(self, channel: Channel, user: str, message: Message | None = None) -> str:
        """Issue a URL for a user's command, or for an interaction with `message`."""
        key = self._workspace.new_id("R")
        self._urls[key] = _IssuedUrl(channel.id, user, message, self._wall())
        return f"{self.base_url}/slack-response/{key}"

    def add_routes(self, app: web.Application) -> None:
        """Serve the URLs."""
        app.router.add_post("/slack-response/{key}", self._receive)

    async def _receive(self, request: web.Request) -> web.Response:
        try:
            issued = self._count_use(request.match_info["key"])
        except FakeSlackError as refusal:
            return self._refuse(refusal, status=404)
        try:
            body = _parse_object(await request.text())
            self.respond(issued.channel, issued.user, body, issued.message)
        except FakeSlackError as refusal:
            return self._refuse(refusal, status=400)
        return web.Response(text="ok")

    def _refuse(self, refusal: FakeSlackError, *, status: int) -> web.Response:
        log.info("response_url_refused", error=refusal.code, faults=refusal.messages)
        self.refusals.append(refusal.answer())
        return web.json_response(refusal.answer(), status=status)

    def _count_use(self, key: str) -> _IssuedUrl:
        issued = self._urls.get(key)
        if issued is None or self._wall() - issued.issued_at > LIFETIME_S:
            raise FakeSlackError("expired_url")
        if issued.uses >= MAX_USES:
            raise FakeSlackError("used_url")
        issued.uses += 1
        return issued

    def respond(
        self, channel_id: str, user: str, body: Json, source: Message | None = None
    ) -> Message | None:
        """Post, replace or delete a message as the response says; `source` is the message acted on."""
        channel = self._workspace.channels[channel_id]
        if _is_true(body, "delete_original") and source is not None:
            self._workspace.delete(channel, source)
            return None
        blocks = checked_blocks(self._workspace, body["blocks"]) if body.get("blocks") else []
        text = str(body.get("text") or "")
        if not text and not blocks:
            raise FakeSlackError("no_text")
        if len(text) > LIMITS["message"]["text"]:
            raise FakeSlackError("msg_too_long")
        if _is_true(body, "replace_original") and source is not None:
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


def _is_true(body: Json, name: str) -> bool:
    return body.get(name) in (True, "true")


def _parse_object(text: str) -> Json:
    try:
        body = json.loads(text)
    except json.JSONDecodeError as cause:
        raise FakeSlackError("invalid_payload") from cause
    if not isinstance(body, dict):
        raise FakeSlackError("invalid_payload")
    return body
