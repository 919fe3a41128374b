"""The page's HTTP API: `/`, its files, and JSON under `/sandbox/`.

The page loads a snapshot and then follows `/sandbox/changes` (server-sent events).
Changes need a JSON body, so that the form of another site cannot make any.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import structlog
from aiohttp import web

from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.methods.history import message_json
from bot.sandbox.fake_slack.model import Channel, Json, Message
from bot.sandbox.fake_slack.person import Person
from bot.sandbox.fake_slack.pins_and_reactions import pin, react, unpin, unreact
from bot.sandbox.fake_slack.seed import PEOPLE
from bot.sandbox.fake_slack.server import FakeSlack
from bot.sandbox.fake_slack.workspace import BOT_USER_ID, WorkspaceChange

log = structlog.get_logger(__name__)

PAGE: Final = Path(__file__).parent / "page"
_CONTENT_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_HEARTBEAT_S: Final = 15.0
_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)
_ACTOR_COUNT: Final = 4
"""How many of `seed.PEOPLE` a visitor can act as: developer, SRE, manager, one without rights."""
_OTHER_ACTORS: Final = ("U0KIM", "U1LENA")
"""Besides a guest and a member of another organisation, of `seed.OTHERS`."""

Handler = Callable[[Json], Awaitable[Json]]


class PageApi:
    """Serves the page of one fake Slack. `extra` adds to the snapshot, such as the shop's state.

    `acknowledged` has the slash commands that people typed and the bot took.
    """

    def __init__(self, slack: FakeSlack, extra: Callable[[], Json] = dict) -> None:
        self._slack = slack
        self._extra = extra
        self._started = secrets.token_hex(8)  # differs after each start of the program
        self._since = slack.workspace.now()
        self.acknowledged: set[str] = set()
        self._queues: set[asyncio.Queue[Json | None]] = set()
        slack.workspace.listeners.append(self._on_change)
        self._actions: dict[str, Handler] = {
            "act": self._act,
            "close": self._close,
            "details": self._details,
            "direct": self._direct,
            "faults": self._faults,
            "home": self._home,
            "join": self._join,
            "options": self._options,
            "pin": self._pin,
            "react": self._react,
            "say": self._say,
            "shortcut": self._shortcut,
            "submit": self._submit,
        }

    def add_routes(self, app: web.Application) -> None:
        """Serve the page and its API."""
        app.on_shutdown.append(self._end_streams)
        app.router.add_get("/", self._file)
        app.router.add_get("/page/{name:.+}", self._file)
        app.router.add_get("/archives/{channel}/{message}", self._permalink)
        app.router.add_get("/sandbox/state", self._state)
        app.router.add_get("/sandbox/changes", self._changes)
        app.router.add_get("/sandbox/files/{file}", self._uploaded)
        app.router.add_post("/sandbox/{action}", self._run_action)

    def add_action(self, name: str, handler: Handler) -> None:
        """Serve one more `POST /sandbox/{name}`."""
        self._actions[name] = handler

    def broadcast(self, kind: str, **data: object) -> None:
        """Send an event to every open page."""
        for queue in self._queues:
            queue.put_nowait({"kind": kind, **data})

    # -- reading -------------------------------------------------------------

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = (PAGE / request.match_info.get("name", "index.html")).resolve()
        if not path.is_relative_to(PAGE.resolve()) or not path.is_file():
            raise web.HTTPNotFound
        return web.Response(
            body=path.read_bytes(),
            content_type=_CONTENT_TYPES.get(path.suffix, "application/octet-stream"),
            charset="utf-8",
            headers={"Content-Security-Policy": _CONTENT_SECURITY_POLICY, "Cache-Control": "no-cache"},
        )

    async def _permalink(self, request: web.Request) -> web.StreamResponse:
        channel, message = request.match_info["channel"], request.match_info["message"]
        digits = message.removeprefix("p")
        raise web.HTTPFound(f"/#{channel}/{digits[:-6]}.{digits[-6:]}")

    async def _uploaded(self, request: web.Request) -> web.StreamResponse:
        file = self._slack.workspace.files.get(request.match_info["file"])
        if file is None:
            raise web.HTTPNotFound
        disposition = {"Content-Disposition": "attachment"}
        return web.Response(body=file.content, content_type="text/plain", headers=disposition)

    async def _state(self, _request: web.Request) -> web.Response:
        slack = self._slack
        workspace = slack.workspace
        return web.json_response(
            {
                "bot": BOT_USER_ID,
                "people": [*(user_id for user_id, *_ in PEOPLE[:_ACTOR_COUNT]), *_OTHER_ACTORS],
                "users": {u.id: u.as_json() for u in workspace.users.values()},
                "groups": {g.id: g.as_json(with_users=True) for g in workspace.groups.values()},
                "channels": [_channel_json(c) for c in workspace.channels.values()],
                "messages": {
                    c.id: [_message_json(c, m) for m in (*c.messages, *c.ephemerals)]
                    for c in workspace.channels.values()
                },
                "shortcuts": slack.manifest.get("features", {}).get("shortcuts", []),
                "commands": slack.manifest.get("features", {}).get("slash_commands", []),
                "stacks": {user: self._stack(user) for user in slack.views.stacks},
                "homes": {u: slack.views.as_json(v) for u, v in slack.views.homes.items()},
                "faults": slack.faults.as_json(),
                "now": workspace.now().timestamp(),
                "started": self._started,
                "since": self._since.timestamp(),
                **self._extra(),
            }
        )

    def _stack(self, user: str) -> list[Json]:
        return [self._slack.views.as_json(v) for v in self._slack.views.stacks.get(user, [])]

    async def _changes(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        queue: asyncio.Queue[Json | None] = asyncio.Queue()
        self._queues.add(queue)
        try:
            await response.write(b"retry: 1000\n\n")
            while event := await _next_event(queue):
                await response.write(event)
        except ConnectionResetError:
            log.debug("page_disconnected")
        finally:
            self._queues.discard(queue)
        return response

    async def _end_streams(self, _app: web.Application) -> None:
        for queue in self._queues:
            queue.put_nowait(None)

    def _on_change(self, change: WorkspaceChange) -> None:
        if not self._queues:
            return
        channel = self._slack.workspace.channels.get(change.channel or "")
        self.broadcast(change.kind, **self._change_json(change, channel))

    def _change_json(self, change: WorkspaceChange, channel: Channel | None) -> Json:
        user = change.data.get("user")
        if change.kind == "views":
            return {"user": user, "stack": self._stack(str(user))}
        if change.kind == "home":
            home = self._slack.views.homes[str(user)]
            return {"user": user, "view": self._slack.views.as_json(home)}
        if channel is None:
            return dict(change.data)
        message = change.data.get("message")
        if isinstance(message, Message):
            parent = channel.message(message.thread_ts or "") if message.is_reply else None
            change_json: Json = {"channel": channel.id, "message": _message_json(channel, message)}
            return change_json | ({"parent": _message_json(channel, parent)} if parent else {})
        return {"channel": channel.id, "about": _channel_json(channel), **change.data}

    # -- actions -------------------------------------------------------------

    async def _run_action(self, request: web.Request) -> web.Response:
        handler = self._actions.get(request.match_info["action"])
        if handler is None:
            raise web.HTTPNotFound
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType
        try:
            return web.json_response(await handler(await request.json()))
        except FakeSlackError as refusal:
            return web.json_response(refusal.answer())
        except (LookupError, TypeError, ValueError) as error:
            return web.json_response({"ok": False, "error": str(error)}, status=400)

    def _person(self, body: Json) -> Person:
        return self._slack.person(str(body["as"]))

    async def _say(self, body: Json) -> Json:
        person, thread_ts = self._person(body), body.get("thread_ts")
        channel = self._slack.workspace.channel(body["channel"], viewer=person.id)
        ack = await person.says(body["text"], channel.id, thread_ts=thread_ts)
        if ack is not None and ack.error is None:
            self.acknowledged.add(body["text"].split(maxsplit=1)[0])
        return {"ok": ack is None or ack.error is None, "error": ack.error if ack else None}

    def _surface(self, body: Json) -> tuple[Any, Message | None]:
        """Return the view or the message that an action concerns."""
        if body.get("view_id"):
            return self._slack.views.find(body["view_id"]), None
        channel = self._slack.workspace.channel(body["channel"])
        for message in (*channel.messages, *channel.ephemerals):
            if message.ts == body["ts"]:
                return None, message
        raise FakeSlackError("message_not_found")

    async def _act(self, body: Json) -> Json:
        view, message = self._surface(body)
        chosen = {**body.get("chosen", {}), "values": body.get("values")}
        if body.get("block_id"):
            chosen["block_id"] = body["block_id"]
        person = self._person(body)
        if message is not None:
            ack = await person.acts(message, body["channel"], body["action_id"], **chosen)
        else:
            ack = await person.acts_in_view(view, body["action_id"], **chosen)
        return {"ok": ack.error is None, "error": ack.error}

    async def _shortcut(self, body: Json) -> Json:
        message = self._surface(body)[1] if body.get("ts") else None
        ack = await self._person(body).uses_shortcut(
            body["callback_id"], message=message, channel=body.get("channel", "")
        )
        return {"ok": ack.error is None, "error": ack.error}

    async def _options(self, body: Json) -> Json:
        view, message = self._surface(body)
        options = await self._person(body).asks_options(
            body["action_id"], body["query"], view=view, message=message
        )
        return {"ok": True, **options}

    async def _submit(self, body: Json) -> Json:
        return {"ok": True, "errors": await self._person(body).submits(body.get("values"))}

    async def _close(self, body: Json) -> Json:
        await self._person(body).closes(everything=bool(body.get("all")))
        return {"ok": True}

    async def _details(self, body: Json) -> Json:
        message = self._surface(body)[1]
        if message is not None:
            self._person(body).opens_details(message, body["channel"], body["url"])
        return {"ok": True}

    async def _home(self, body: Json) -> Json:
        self._person(body).opens_home()
        return {"ok": True}

    async def _join(self, body: Json) -> Json:
        workspace, person = self._slack.workspace, self._person(body)
        workspace.add_member(workspace.channel(body["channel"], viewer=person.id), person.id)
        return {"ok": True}

    async def _pin(self, body: Json) -> Json:
        workspace = self._slack.workspace
        user = self._person(body).id
        channel = workspace.channel(body["channel"], viewer=user)
        is_pinned = any(ts == body["ts"] for ts, _ in channel.pins)
        (unpin if is_pinned else pin)(workspace, channel, body["ts"], user)
        return {"ok": True}

    async def _react(self, body: Json) -> Json:
        workspace = self._slack.workspace
        user = self._person(body).id
        channel = workspace.channel(body["channel"], viewer=user)
        message = workspace.message(channel, body["ts"])
        has_reacted = user in message.reactions.get(body["name"], [])
        (unreact if has_reacted else react)(workspace, channel, body["ts"], body["name"], user)
        return {"ok": True}

    async def _direct(self, body: Json) -> Json:
        """Return the direct message of a person with the bot, begun if need be."""
        channel = self._slack.workspace.open_direct(self._person(body).id, BOT_USER_ID)
        return {"ok": True, "channel": _channel_json(channel)}

    async def _faults(self, body: Json) -> Json:
        self._slack.faults.change(body)
        settings = self._slack.faults.as_json()
        self.broadcast("faults", faults=settings)
        return {"ok": True, "faults": settings}


async def _next_event(queue: asyncio.Queue[Json | None]) -> bytes:
    """Return the next server-sent event: a change, a heartbeat, or nothing at the end."""
    try:
        async with asyncio.timeout(_HEARTBEAT_S):
            change = await queue.get()
    except TimeoutError:
        return b": still here\n\n"
    if change is None:
        return b""
    return f"data: {json.dumps(change)}\n\n".encode()


def _channel_json(channel: Channel) -> Json:
    return {
        **channel.as_json(""),
        "members": channel.members,
        "pins": [ts for ts, _ in channel.pins],
        "bookmarks": [{"title": b.title, "link": b.link, "emoji": b.emoji} for b in channel.bookmarks],
    }


def _message_json(channel: Channel, message: Message) -> Json:
    body = message_json(channel, message)
    return body | ({"ephemeral_to": message.ephemeral_to} if message.ephemeral_to else {})
