"""Modals and home tabs: trigger ids, each person's stack of modals, their state.

A trigger id may be exchanged once, within three seconds of real time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bot.sandbox.fake_slack.block_kit.elements import ELEMENTS
from bot.sandbox.fake_slack.block_kit.validation import view_faults
from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.model import Json, View
from bot.sandbox.fake_slack.slack_facts import LIMITS
from bot.sandbox.fake_slack.workspace import APP_ID, BOT_ID, FakeWorkspace

TRIGGER_LIFE_S: Final = 3.0


@dataclass(slots=True)
class _Trigger:
    user: str
    at: float
    view_id: str | None
    is_used: bool = False


class OpenViews:
    """Every open view. `wall` gives real seconds."""

    def __init__(self, workspace: FakeWorkspace, wall: Callable[[], float]) -> None:
        self._workspace = workspace
        self._wall = wall
        self._triggers: dict[str, _Trigger] = {}
        self.stacks: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}

    def new_trigger(self, user: str, view_id: str | None = None) -> str:
        """Issue a trigger id for what a person did, perhaps in the modal `view_id`."""
        trigger_id = f"{self._workspace.new_id('')}.{self._workspace.new_id('')}.trigger"
        self._triggers[trigger_id] = _Trigger(user, self._wall(), view_id)
        return trigger_id

    def _exchange(self, trigger_id: str) -> _Trigger:
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise FakeSlackError("invalid_trigger_id")
        if trigger.is_used:
            raise FakeSlackError("exchanged_trigger_id")
        if self._wall() - trigger.at > TRIGGER_LIFE_S:
            raise FakeSlackError("expired_trigger_id")
        trigger.is_used = True
        return trigger

    def open(self, trigger_id: str, content: Json) -> View:
        """Show a modal as the only one of the person's stack."""
        self.check(content, "modal")
        self._check_external_id(content)
        trigger = self._exchange(trigger_id)
        view = self._new(trigger.user, content)
        self.stacks[trigger.user] = [view]
        self._tell(trigger.user)
        return view

    def push(self, trigger_id: str, content: Json) -> View:
        """Lay a modal on the one that the trigger came from."""
        self.check(content, "modal")
        self._check_external_id(content)
        trigger = self._exchange(trigger_id)
        if trigger.view_id is None or not self.stacks.get(trigger.user):
            raise FakeSlackError("not_found")
        return self.push_for(trigger.user, content)

    def push_for(self, user: str, content: Json) -> View:
        """Lay a modal on a person's stack, as an answer to a submission may."""
        self.check(content, "modal")
        stack = self.stacks.setdefault(user, [])
        if len(stack) >= LIMITS["view"]["stack"]:
            raise FakeSlackError("push_limit_reached")
        view = self._new(user, content, below=stack[-1] if stack else None)
        stack.append(view)
        self._tell(user)
        return view

    def update(self, content: Json, *, view_id: str = "", external_id: str = "", view_hash: str = "") -> View:
        """Replace what an open view shows, keeping what was typed in blocks that stay."""
        self.check(content, "modal", "home")
        view = self.find(view_id, external_id)
        if view_hash and view_hash != view.hash:
            raise FakeSlackError("hash_conflict")
        if content.get("external_id") and content["external_id"] != view.external_id:
            self._check_external_id(content)
        view.content = content
        view.hash = self._new_hash()
        shown = {block.get("block_id") for block in content["blocks"]}
        view.state = {block_id: v for block_id, v in view.state.items() if block_id in shown}
        self._fill_block_ids(content)
        self._tell(view.user)
        return view

    def publish(self, user: str, content: Json, *, view_hash: str = "") -> View:
        """Show a person's home tab."""
        self.check(content, "home")
        old = self.homes.get(user)
        if view_hash and old is not None and view_hash != old.hash:
            raise FakeSlackError("hash_conflict")
        view = self._new(user, content)
        if old is not None:
            view.id = view.root_id = old.id
        self.homes[user] = view
        self._workspace.tell("home", None, user=user)
        return view

    def find(self, view_id: str, external_id: str = "") -> View:
        """Find an open view by id or the app's own name, or refuse with `not_found`."""
        for view in self._all():
            if view_id and view.id == view_id:
                return view
            if external_id and view.external_id == external_id:
                return view
        raise FakeSlackError("not_found")

    def close(self, user: str, *, everything: bool = False) -> list[View]:
        """Close a person's topmost modal, or all; answer those that went."""
        stack = self.stacks.get(user, [])
        gone = list(stack) if everything else stack[-1:]
        self.stacks[user] = [view for view in stack if view not in gone]
        self._tell(user)
        return gone

    def _all(self) -> list[View]:
        return [v for stack in self.stacks.values() for v in stack] + list(self.homes.values())

    def check(self, content: object, *kinds: str, error: str = "invalid_arguments") -> None:
        """Refuse a view that is none of `kinds` or breaks a limit."""
        faults = view_faults(content, *kinds)
        if faults:
            raise FakeSlackError(error, faults)
        if len(json.dumps(content)) > LIMITS["view"]["bytes"]:
            raise FakeSlackError("view_too_large")

    def _check_external_id(self, content: Json) -> None:
        wanted = content.get("external_id")
        if wanted and any(view.external_id == wanted for view in self._all()):
            raise FakeSlackError("duplicate_external_id")

    def _new(self, user: str, content: Json, below: View | None = None) -> View:
        self._fill_block_ids(content)
        view_id = self._workspace.new_id("V")
        root = below.root_id if below else view_id
        return View(view_id, user, content, self._new_hash(), root, below.id if below else None)

    def _fill_block_ids(self, content: Json) -> None:
        fill_block_ids(self._workspace, content["blocks"])

    def _new_hash(self) -> str:
        return f"{self._workspace.new_ts()}.{self._workspace.new_id('h')}"

    def _tell(self, user: str) -> None:
        self._workspace.tell("views", None, user=user)

    def as_json(self, view: View) -> Json:
        """Write a view for an answer or a payload."""
        return view.as_json(app_id=APP_ID, bot_id=BOT_ID)


def fill_block_ids(workspace: FakeWorkspace, blocks: list[Json]) -> None:
    """Add to each block and interactive element the identifier that Slack would make up."""
    for block in blocks:
        block.setdefault("block_id", workspace.new_id("b"))
        fill_block_ids(workspace, block.get("child_blocks", []))
        parts = [*block.get("elements", ()), block.get("accessory"), block.get("element")]
        for part in parts:
            kind = part.get("type") if isinstance(part, dict) else None
            if kind in ELEMENTS and kind != "image":
                part.setdefault("action_id", workspace.new_id("a"))
