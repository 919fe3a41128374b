"""What a person does in Slack: types, clicks, submits, opens the home tab.

A `Person` turns each gesture into the request that Slack would send to the bot and
carries out the bot's answer. The page's API and tests use the same class.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.event_subscriptions import EventSubscriptions
from bot.sandbox.fake_slack.input_state import initial_state, input_errors, interactive, merged, value_key
from bot.sandbox.fake_slack.model import Channel, Json, Message, View
from bot.sandbox.fake_slack.request_sender import Ack, RequestSender
from bot.sandbox.fake_slack.response_urls import ResponseUrls
from bot.sandbox.fake_slack.views import OpenViews
from bot.sandbox.fake_slack.workspace import APP_ID, BOT_USER_ID, SLACKBOT_ID, FakeWorkspace

_REFERENCE: Final = re.compile(r"(?<![\w<])([@#])([a-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class PersonContext:
    """Everything that gestures touch."""

    workspace: FakeWorkspace
    views: OpenViews
    responses: ResponseUrls
    sender: RequestSender
    events: EventSubscriptions
    manifest: Mapping[str, Any]


class Person:
    """One member of the workspace, at the keyboard."""

    def __init__(self, stage: PersonContext, user_id: str) -> None:
        self._stage = stage
        self.id = user_id

    @property
    def modal(self) -> View | None:
        """The modal on top of the person's screen."""
        stack = self._stage.views.stacks.get(self.id)
        return stack[-1] if stack else None

    @property
    def home(self) -> View | None:
        """The home tab that the bot has published for the person."""
        return self._stage.views.homes.get(self.id)

    # -- typing --------------------------------------------------------------

    async def says(self, text: str, channel: str, *, thread_ts: str | None = None) -> Ack | None:
        """Type into a channel: a `/command` goes to the bot, anything else is posted."""
        found = self._stage.workspace.channel(channel, self.id)
        if text.startswith("/"):
            return await self._command(text, found)
        self._stage.workspace.must_be_member(found, self.id)
        self._stage.workspace.say(found, self.id, self._linked(text), thread_ts)
        return None

    async def _command(self, text: str, channel: Channel) -> Ack:
        name, _, rest = text.strip().partition(" ")
        command = self._declared(name)
        if command is None:
            self._slackbot(channel, f"`{name}` is not a valid command.")
            return Ack(0, "", "invalid_command")
        rest = rest.strip()
        fields = {
            "token": "sandbox",
            "team_id": self._stage.workspace.team_id,
            "team_domain": self._stage.workspace.domain,
            "channel_id": channel.id,
            "channel_name": channel.name or "directmessage",
            "user_id": self.id,
            "user_name": self._stage.workspace.users[self.id].name,
            "command": name,
            "text": self._linked(rest, named=True) if command.get("should_escape") else rest,
            "api_app_id": APP_ID,
            "is_enterprise_install": "false",
            "response_url": self._stage.responses.new(channel, self.id),
            "trigger_id": self._stage.views.new_trigger(self.id),
        }
        ack = await self._stage.sender.send_form(fields)
        if ack.error:
            self._slackbot(channel, f'{name} failed with the error "{ack.error}"')
        elif ack.body.strip():
            self._respond(ack, channel, name)
        return ack

    def _respond(self, ack: Ack, channel: Channel, name: str) -> None:
        body = ack.as_json() or {"text": ack.body}
        try:
            self._stage.responses.respond(channel.id, self.id, body)
        except FakeSlackError as refusal:
            self._stage.responses.refusals.append(refusal.answer())
            self._slackbot(channel, f'{name} failed with the error "{refusal.code}"')

    def _declared(self, name: str) -> Json | None:
        commands = self._stage.manifest.get("features", {}).get("slash_commands", ())
        return next((c for c in commands if c["command"] == name), None)

    def _slackbot(self, channel: Channel, text: str) -> None:
        workspace = self._stage.workspace
        note = Message(workspace.new_ts(), SLACKBOT_ID, text, ephemeral_to=self.id)
        channel.ephemerals.append(note)
        workspace.tell("message", channel, message=note)

    def _linked(self, text: str, *, named: bool = False) -> str:
        """Turn `@name` and `#channel` into Slack's references."""
        workspace = self._stage.workspace
        users = {u.name: f"<@{u.id}" for u in workspace.users.values()}
        users |= {g.handle: f"<!subteam^{g.id}" for g in workspace.groups.values()}
        channels = {c.name: f"<#{c.id}" for c in workspace.channels.values()}

        def link(match: re.Match[str]) -> str:
            sign, name = match.groups()
            found = (users if sign == "@" else channels).get(name)
            if found is None:
                return match.group(0)
            return f"{found}|{name}>" if named or sign == "#" else f"{found}>"

        return _REFERENCE.sub(link, text)

    # -- clicking ------------------------------------------------------------

    async def acts(self, message: Message, channel: str, action_id: str, **chosen: object) -> Ack:
        """Use an element of a message; `chosen` is what the element was set to.

        A button needs nothing more. Others take their value field, for example
        `selected_option={…}`, `selected_user="U…"`, `selected_date="2026-07-01"`;
        `values={block_id: {action_id: {…}}}` adds the state of other elements and
        `block_id` picks one of several blocks with the same action id.
        """
        found = self._stage.workspace.channel(channel, self.id)
        state = merged(initial_state(message.blocks), _given_state(chosen))
        block, element = _find(message.blocks, action_id, chosen.pop("block_id", None))
        state = _with_choice(state, block, element, chosen)
        is_ephemeral = message.ephemeral_to is not None
        payload = self._payload("block_actions") | {
            "container": {
                "type": "message",
                "message_ts": message.ts,
                "channel_id": found.id,
                "is_ephemeral": is_ephemeral,
            },
            "trigger_id": self._stage.views.new_trigger(self.id),
            "channel": {"id": found.id, "name": found.name or "directmessage"},
            "state": {"values": state},
            "response_url": self._stage.responses.new(found, self.id, message),
            "actions": [self._action(block, element, chosen)],
        }
        if not is_ephemeral:
            payload["message"] = message.as_json()
        return await self._stage.sender.send_payload(payload)

    async def acts_in_view(self, view: View, action_id: str, **chosen: object) -> Ack:
        """Use an element of a modal or of the home tab; `chosen` as in `acts`."""
        blocks = view.content["blocks"]
        self._keep_state(view, _given_state(chosen))
        block, element = _find(blocks, action_id, chosen.pop("block_id", None))
        view.state = _with_choice(view.state, block, element, chosen)
        payload = self._payload("block_actions") | {
            "container": {"type": "view", "view_id": view.id},
            "trigger_id": self._stage.views.new_trigger(self.id, view.id),
            "view": self._stage.views.as_json(view),
            "actions": [self._action(block, element, chosen)],
        }
        return await self._stage.sender.send_payload(payload)

    async def asks_options(
        self, action_id: str, query: str, *, view: View | None = None, message: Message | None = None
    ) -> Json:
        """Type into an external select; return what the bot suggests."""
        blocks = view.content["blocks"] if view else message.blocks if message else []
        block, _ = _find(blocks, action_id, None)
        payload = self._payload("block_suggestion") | {
            "action_id": action_id,
            "block_id": block["block_id"],
            "value": query,
        }
        if view is not None:
            payload["container"] = {"type": "view", "view_id": view.id}
            payload["view"] = self._stage.views.as_json(view)
        elif message is not None:
            payload["container"] = {"type": "message", "message_ts": message.ts}
            payload["message"] = message.as_json()
        return (await self._stage.sender.send_payload(payload)).as_json()

    # -- modals --------------------------------------------------------------

    async def submits(self, values: Json | None = None) -> dict[str, str]:
        """Submit the modal on top; return what is wrong, by block id.

        `values` is the state that was entered, block id → action id → entry; what it
        leaves out keeps its initial value.
        """
        view = self.modal
        if view is None:
            raise FakeSlackError("not_found")
        self._keep_state(view, values or {})
        errors = input_errors(view.content["blocks"], view.state)
        if errors:
            return errors
        payload = self._payload("view_submission") | {
            "trigger_id": self._stage.views.new_trigger(self.id, view.id),
            "view": self._stage.views.as_json(view),
            "response_urls": [],
        }
        ack = await self._stage.sender.send_payload(payload)
        if ack.error:
            return {"": "We had some trouble connecting. Try again?"}
        return self._carry_out(view, ack.as_json())

    def _carry_out(self, view: View, answer: Json) -> dict[str, str]:
        views = self._stage.views
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
        """Close the modal on top, or all; the bot hears of it if it asked to."""
        for view in self._stage.views.close(self.id, everything=everything):
            if view.content.get("notify_on_close"):
                payload = self._payload("view_closed") | {
                    "view": self._stage.views.as_json(view),
                    "is_cleared": everything,
                }
                await self._stage.sender.send_payload(payload)

    def opens_home(self) -> None:
        """Open the bot's home tab."""
        direct = self._stage.workspace.open_direct(self.id, BOT_USER_ID)
        event: Json = {
            "type": "app_home_opened",
            "user": self.id,
            "channel": direct.id,
            "tab": "home",
        }
        if self.home is not None:
            event["view"] = self._stage.views.as_json(self.home)
        self._stage.events.send(event)

    # -- parts of payloads ---------------------------------------------------

    def _payload(self, kind: str) -> Json:
        workspace = self._stage.workspace
        name = workspace.users[self.id].name
        return {
            "type": kind,
            "user": {"id": self.id, "username": name, "name": name, "team_id": workspace.team_id},
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
            "action_ts": self._stage.workspace.new_ts(),
            **chosen,
        }
        action |= {key: element[key] for key in ("text", "value") if key in element}
        return action

    def _keep_state(self, view: View, values: Json) -> None:
        fresh = initial_state(view.content["blocks"])
        view.state = merged(merged(fresh, view.state), values)


def _given_state(chosen: dict[str, object]) -> Json:
    values = chosen.pop("values", None)
    return values if isinstance(values, dict) else {}


def _with_choice(state: Json, block: Json, element: Json, chosen: Mapping[str, object]) -> Json:
    key = value_key(element["type"])
    if key is None or key not in chosen:
        return state
    entry = {"type": element["type"], key: chosen[key]}
    return merged(state, {block["block_id"]: {element["action_id"]: entry}})


def _find(blocks: list[Json], action_id: str, block_id: object) -> tuple[Json, Json]:
    """Return the element that is meant; one whose message was just rewritten is told by its action alone."""
    named = [(block, element) for block, element in interactive(blocks) if element["action_id"] == action_id]
    exact = [found for found in named if block_id in {None, found[0]["block_id"]}]
    if exact:
        return exact[0]
    if len(named) == 1:
        return named[0]
    raise FakeSlackError("no_such_action", action_id=action_id)
