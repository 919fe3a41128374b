"""What a person does in Slack: type, click, submit, open the home tab.

A `Person` turns each action into the request that Slack sends to the bot, and carries out
the bot's response. The page's API and tests use the same class.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.event_subscriptions import EventSubscriptions
from bot.sandbox.fake_slack.input_state import (
    initial_state,
    input_errors,
    interactive_elements,
    merged,
    value_key,
)
from bot.sandbox.fake_slack.model import Channel, Json, Message, View
from bot.sandbox.fake_slack.request_sender import Ack, RequestSender
from bot.sandbox.fake_slack.response_urls import ResponseUrls
from bot.sandbox.fake_slack.shared_links import app_links, details_requested, link_shared
from bot.sandbox.fake_slack.views import OpenViews
from bot.sandbox.fake_slack.workspace import APP_ID, BOT_USER_ID, SLACKBOT_ID, FakeWorkspace

_REFERENCE: Final = re.compile(r"(?<![\w<])([@#])([a-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class PersonContext:
    """The parts of the fake Slack that a person's actions concern."""

    workspace: FakeWorkspace
    views: OpenViews
    responses: ResponseUrls
    sender: RequestSender
    events: EventSubscriptions
    manifest: Mapping[str, Any]


class Person:
    """A member of the workspace who uses Slack."""

    def __init__(self, context: PersonContext, user_id: str) -> None:
        self._context = context
        self.id = user_id

    @property
    def modal(self) -> View | None:
        """The person's topmost modal."""
        stack = self._context.views.stacks.get(self.id)
        return stack[-1] if stack else None

    @property
    def home(self) -> View | None:
        """The home tab that the bot has published for the person."""
        return self._context.views.homes.get(self.id)

    # -- typing --------------------------------------------------------------

    async def says(self, text: str, channel: str, *, thread_ts: str | None = None) -> Ack | None:
        """Type into a channel: a `/command` is sent to the bot, anything else is posted."""
        target = self._context.workspace.channel(channel, self.id)
        if text.startswith("/"):
            return await self._command(text, target)
        self._context.workspace.must_be_member(target, self.id)
        said = self._context.workspace.say(target, self.id, self._with_references(text), thread_ts)
        self._tell_of_links(said, target.id, "conversations_history")
        return None

    def writes(self, text: str) -> str:
        """Type a message that is not sent yet; return what names its links to `chat.unfurl`."""
        draft = Message(self._context.workspace.new_ts(), self.id, text)
        self._tell_of_links(draft, "COMPOSER", "composer")
        if draft.unfurl_id is None:
            return ""
        self._context.workspace.drafts[draft.unfurl_id] = draft
        return draft.unfurl_id

    def opens_details(self, message: Message, channel: str, url: str) -> None:
        """Open the pane of a Work Object below a link; the app is asked what to show in it."""
        source = self._context.workspace.channel(channel, self.id)
        shown = [each for each in message.attachments if each["from_url"] == url and "entity" in each]
        if not shown:
            raise FakeSlackError("not_found")
        entity = shown[0]["entity"]
        trigger_id = self._context.views.new_trigger(self.id)
        self._context.views.details[trigger_id] = entity["external_ref"]["id"]
        place = {"channel": source.id, "message_ts": message.ts}
        event = details_requested(entity, url, self.id, trigger_id) | place
        self._context.events.send(event, source.id)

    def _tell_of_links(self, message: Message, channel_id: str, source: str) -> None:
        """Tell the app of the links in a message that lead to its domains."""
        links = app_links(message.text, self._context.manifest)
        if links:
            message.unfurl_id = f"{channel_id}.{message.ts}.{self._context.workspace.new_id('u')}"
            self._context.events.send(link_shared(message, channel_id, source, links), channel_id)

    async def _command(self, text: str, channel: Channel) -> Ack:
        name, _, rest = text.strip().partition(" ")
        command = self._find_command(name)
        if command is None:
            self._slackbot(channel, f"`{name}` is not a valid command.")
            return Ack(0, "", "invalid_command")
        rest = rest.strip()
        fields = {
            "token": "sandbox",
            "team_id": self._context.workspace.team_id,
            "team_domain": self._context.workspace.domain,
            "channel_id": channel.id,
            "channel_name": channel.name or "directmessage",
            "user_id": self.id,
            "user_name": self._context.workspace.users[self.id].name,
            "command": name,
            "text": self._with_references(rest, with_names=True) if command.get("should_escape") else rest,
            "api_app_id": APP_ID,
            "is_enterprise_install": "false",
            "response_url": self._context.responses.new(channel, self.id),
            "trigger_id": self._context.views.new_trigger(self.id),
        }
        ack = await self._context.sender.send_form(fields)
        if ack.error:
            self._slackbot(channel, f'{name} failed with the error "{ack.error}"')
        elif ack.body.strip():
            self._show_response(ack, channel, name)
        return ack

    def _show_response(self, ack: Ack, channel: Channel, name: str) -> None:
        body = ack.as_json() or {"text": ack.body}
        try:
            self._context.responses.respond(channel.id, self.id, body)
        except FakeSlackError as refusal:
            self._context.responses.refusals.append(refusal.answer())
            self._slackbot(channel, f'{name} failed with the error "{refusal.code}"')

    def _find_command(self, name: str) -> Json | None:
        commands = self._context.manifest.get("features", {}).get("slash_commands", ())
        return next((c for c in commands if c["command"] == name), None)

    def _slackbot(self, channel: Channel, text: str) -> None:
        workspace = self._context.workspace
        message = Message(workspace.new_ts(), SLACKBOT_ID, text, ephemeral_to=self.id)
        channel.ephemerals.append(message)
        workspace.notify("message", channel, message=message)

    def _with_references(self, text: str, *, with_names: bool = False) -> str:
        """Replace `@name` and `#channel` by Slack's references."""
        workspace = self._context.workspace
        users = {u.name: f"<@{u.id}" for u in workspace.users.values()}
        users |= {g.handle: f"<!subteam^{g.id}" for g in workspace.groups.values()}
        channels = {c.name: f"<#{c.id}" for c in workspace.channels.values()}

        def link(match: re.Match[str]) -> str:
            prefix, name = match.groups()
            reference = (users if prefix == "@" else channels).get(name)
            if reference is None:
                return match.group(0)
            return f"{reference}|{name}>" if with_names or prefix == "#" else f"{reference}>"

        return _REFERENCE.sub(link, text)

    # -- clicking ------------------------------------------------------------

    async def acts(self, message: Message, channel: str, action_id: str, **chosen: object) -> Ack:
        """Use an element of a message; `chosen` is the value it is set to.

        A button needs none. Others take their value field, for example
        `selected_option={…}`, `selected_user="U…"`, `selected_date="2026-07-01"`;
        `values={block_id: {action_id: {…}}}` adds the state of other elements and
        `block_id` picks one of several blocks with the same action id.
        """
        source = self._context.workspace.channel(channel, self.id)
        state = merged(initial_state(message.blocks), _pop_values(chosen))
        block, element = _find(message.blocks, action_id, chosen.pop("block_id", None))
        state = _with_choice(state, block, element, chosen)
        is_ephemeral = message.ephemeral_to is not None
        container = {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": source.id,
            "is_ephemeral": is_ephemeral,
        }
        if message.thread_ts is not None:
            container["thread_ts"] = message.thread_ts
        payload = self._payload("block_actions") | {
            "container": container,
            "trigger_id": self._context.views.new_trigger(self.id),
            "channel": {"id": source.id, "name": source.name or "directmessage"},
            "state": {"values": state},
            "response_url": self._context.responses.new(source, self.id, message),
            "actions": [self._action(block, element, chosen)],
        }
        if not is_ephemeral:
            payload["message"] = message.as_json()
        return await self._context.sender.send_payload(payload)

    async def acts_in_view(self, view: View, action_id: str, **chosen: object) -> Ack:
        """Use an element of a modal or of the home tab; `chosen` as in `acts`."""
        blocks = view.content["blocks"]
        self._update_state(view, _pop_values(chosen))
        block, element = _find(blocks, action_id, chosen.pop("block_id", None))
        view.state = _with_choice(view.state, block, element, chosen)
        payload = self._payload("block_actions") | {
            "container": {"type": "view", "view_id": view.id},
            "trigger_id": self._context.views.new_trigger(self.id, view.id),
            "view": self._context.views.as_json(view),
            "actions": [self._action(block, element, chosen)],
        }
        return await self._context.sender.send_payload(payload)

    async def uses_shortcut(
        self, callback_id: str, *, message: Message | None = None, channel: str = ""
    ) -> Ack:
        """Choose one of the app's shortcuts: a global one, or one of the menu of a message of a channel."""
        shortcuts = self._context.manifest.get("features", {}).get("shortcuts", ())
        kind = "global" if message is None else "message"
        if not any(each["callback_id"] == callback_id and each["type"] == kind for each in shortcuts):
            raise FakeSlackError("no_such_shortcut", callback_id=callback_id)
        payload = self._payload("shortcut" if message is None else "message_action") | {
            "callback_id": callback_id,
            "trigger_id": self._context.views.new_trigger(self.id),
            "action_ts": self._context.workspace.new_ts(),
        }
        if message is not None:
            source = self._context.workspace.channel(channel, self.id)
            payload |= {
                "channel": {"id": source.id, "name": source.name or "directmessage"},
                "message_ts": message.ts,
                "message": message.as_json(),
                "response_url": self._context.responses.new(source, self.id),
            }
        return await self._context.sender.send_payload(payload)

    async def asks_options(
        self, action_id: str, query: str, *, view: View | None = None, message: Message | None = None
    ) -> Json:
        """Type into an external select; return the bot's options."""
        blocks = view.content["blocks"] if view else message.blocks if message else []
        block, _ = _find(blocks, action_id, None)
        payload = self._payload("block_suggestion") | {
            "action_id": action_id,
            "block_id": block["block_id"],
            "value": query,
        }
        if view is not None:
            payload["container"] = {"type": "view", "view_id": view.id}
            payload["view"] = self._context.views.as_json(view)
        elif message is not None:
            payload["container"] = {"type": "message", "message_ts": message.ts}
            payload["message"] = message.as_json()
        return (await self._context.sender.send_payload(payload)).as_json()

    # -- modals --------------------------------------------------------------

    async def submits(self, values: Json | None = None) -> dict[str, str]:
        """Submit the topmost modal; return the errors by block id.

        `values` is the state entered, block id → action id → entry; other inputs keep
        their value.
        """
        view = self.modal
        if view is None:
            raise FakeSlackError("not_found")
        self._update_state(view, values or {})
        errors = input_errors(view.content["blocks"], view.state)
        if errors:
            return errors
        payload = self._payload("view_submission") | {
            "trigger_id": self._context.views.new_trigger(self.id, view.id),
            "view": self._context.views.as_json(view),
            "response_urls": [],
        }
        ack = await self._context.sender.send_payload(payload)
        if ack.error:
            return {"": "We had some trouble connecting. Try again?"}
        return self._carry_out(view, ack.as_json())

    def _carry_out(self, view: View, answer: Json) -> dict[str, str]:
        views = self._context.views
        match answer.get("response_action"):
            case "errors":
                errors: dict[str, str] = answer["errors"]
                return errors
            case "update":
                views.update(answer["view"], view_id=view.id)
            case "push":
                views.push_for(self.id, answer["view"])
            case "clear":
                views.close(self.id, everything=True)
            case _:
                if self.modal is view:
                    views.close(self.id)
        return {}

    async def closes(self, *, everything: bool = False) -> None:
        """Close the topmost modal, or all; the bot is notified if the view says so."""
        for view in self._context.views.close(self.id, everything=everything):
            if view.content.get("notify_on_close"):
                payload = self._payload("view_closed") | {
                    "view": self._context.views.as_json(view),
                    "is_cleared": everything,
                }
                await self._context.sender.send_payload(payload)

    def opens_home(self) -> None:
        """Open the bot's home tab."""
        conversation = self._context.workspace.open_direct(self.id, BOT_USER_ID)
        event: Json = {
            "type": "app_home_opened",
            "user": self.id,
            "channel": conversation.id,
            "tab": "home",
        }
        if self.home is not None:
            event["view"] = self._context.views.as_json(self.home)
        self._context.events.send(event)

    # -- parts of payloads ---------------------------------------------------

    def _payload(self, kind: str) -> Json:
        workspace = self._context.workspace
        user = workspace.users[self.id]
        name = user.name
        return {
            "type": kind,
            "user": {"id": self.id, "username": name, "name": name, "team_id": user.team_id},
            "api_app_id": APP_ID,
            "token": "sandbox",
            "team": {"id": workspace.team_id, "domain": workspace.domain},
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _action(self, block: Json, element: Json, chosen: Mapping[str, object]) -> Json:
        action: Json = {
            "type": element["type"],
            "block_id": block["block_id"],
            "action_id": element["action_id"],
            "action_ts": self._context.workspace.new_ts(),
            **chosen,
        }
        action |= {key: element[key] for key in ("text", "value") if key in element}
        return action

    def _update_state(self, view: View, values: Json) -> None:
        initial = initial_state(view.content["blocks"])
        view.state = merged(merged(initial, view.state), values)


def _pop_values(chosen: dict[str, object]) -> Json:
    values = chosen.pop("values", None)
    return values if isinstance(values, dict) else {}


def _with_choice(state: Json, block: Json, element: Json, chosen: Mapping[str, object]) -> Json:
    key = value_key(element["type"])
    if key is None or key not in chosen:
        return state
    entry = {"type": element["type"], key: chosen[key]}
    return merged(state, {block["block_id"]: {element["action_id"]: entry}})


def _find(blocks: list[Json], action_id: str, block_id: object) -> tuple[Json, Json]:
    """Return the block and the element; the action id suffices if the message was just replaced."""
    candidates = [
        (block, element)
        for block, element in interactive_elements(blocks)
        if element["action_id"] == action_id
    ]
    exact = [pair for pair in candidates if block_id in {None, pair[0]["block_id"]}]
    if exact:
        return exact[0]
    if len(candidates) == 1:
        return candidates[0]
    raise FakeSlackError("no_such_action", action_id=action_id)
