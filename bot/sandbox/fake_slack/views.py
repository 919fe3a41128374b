"""Modals and home tabs: trigger ids, each user's stack of modals, and their state.

A trigger id can be exchanged once, within three seconds of real time.
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

TRIGGER_LIFETIME_S: Final = 3.0


@dataclass(slots=True)
class _Trigger:
    user: str
    at: float
    view_id: str | None
    is_used: bool = False


class OpenViews:
    """All open views. `wall` returns real seconds."""

    def __init__(self, workspace: FakeWorkspace, wall: Callable[[], float]) -> None:
        self._workspace = workspace
        self._wall = wall
        self._triggers: dict[str, _Trigger] = {}
        self.stacks: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}
        self.details: dict[str, str] = {}
        """The ids of the entities whose details people asked for, by trigger."""

    def new_trigger(self, user: str, view_id: str | None = None) -> str:
        """Issue a trigger id for an interaction of a user, perhaps in the modal `view_id`."""
        trigger_id = f"{self._workspace.new_id('')}.{self._workspace.new_id('')}.trigger"
        self._triggers[trigger_id] = _Trigger(user, self._wall(), view_id)
        return trigger_id

    def _exchange(self, trigger_id: str) -> _Trigger:
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise FakeSlackError("invalid_trigger_id")
        if trigger.is_used:
            raise FakeSlackError("exchanged_trigger_id")
        if self._wall() - trigger.at > TRIGGER_LIFETIME_S:
            raise FakeSlackError("expired_trigger_id")
        trigger.is_used = True
        return trigger

    def open(self, trigger_id: str, content: Json) -> View:
        """Open a modal as the only one of the user's stack."""
        self.check(content, "modal")
        self._check_external_id(content)
        trigger = self._exchange(trigger_id)
        view = self._new_view(trigger.user, content)
        self.stacks[trigger.user] = [view]
        self._notify(trigger.user)
        return view

    def push(self, trigger_id: str, content: Json) -> View:
        """Push a modal onto the stack that the trigger came from."""
        self.check(content, "modal")
        self._check_external_id(content)
        trigger = self._exchange(trigger_id)
        if trigger.view_id is None or not self.stacks.get(trigger.user):
            raise FakeSlackError("not_found")
        return self.push_for(trigger.user, content)

    def push_for(self, user: str, content: Json) -> View:
        """Push a modal onto a user's stack, as the response to a submission may."""
        self.check(content, "modal")
        stack = self.stacks.setdefault(user, [])
        if len(stack) >= LIMITS["view"]["stack"]:
            raise FakeSlackError("push_limit_reached")
        view = self._new_view(user, content, below=stack[-1] if stack else None)
        stack.append(view)
        self._notify(user)
        return view

    def update(self, content: Json, *, view_id: str = "", external_id: str = "", view_hash: str = "") -> View:
        """Replace the content of an open view, keeping the state of blocks that stay."""
        self.check(content, "modal", "home")
        view = self.find(view_id, external_id)
        if view_hash and view_hash != view.hash:
            raise FakeSlackError("hash_conflict")
        if content.get("external_id") and content["external_id"] != view.external_id:
            self._check_external_id(content)
        view.content = content
        view.hash = self._new_hash()
        block_ids = {block.get("block_id") for block in content["blocks"]}
        view.state = {block_id: v for block_id, v in view.state.items() if block_id in block_ids}
        self._fill_block_ids(content)
        self._notify(view.user)
        return view

    def publish(self, user: str, content: Json, *, view_hash: str = "") -> View:
        """Publish a user's home tab."""
        self.check(content, "home")
        old = self.homes.get(user)
        if view_hash and old is not None and view_hash != old.hash:
            raise FakeSlackError("hash_conflict")
        view = self._new_view(user, content)
        if old is not None:
            view.id = view.root_id = old.id
        self.homes[user] = view
        self._workspace.notify("home", None, user=user)
        return view

    def find(self, view_id: str, external_id: str = "") -> View:
        """Return an open view by its id or external id, or raise `not_found`."""
        for view in self._all():
            if view_id and view.id == view_id:
                return view
            if external_id and view.external_id == external_id:
                return view
        raise FakeSlackError("not_found")

    def close(self, user: str, *, everything: bool = False) -> list[View]:
        """Close a user's topmost modal, or all; return the closed ones."""
        stack = self.stacks.get(user, [])
        closed = list(stack) if everything else stack[-1:]
        self.stacks[user] = [view for view in stack if view not in closed]
        self._notify(user)
        return closed

    def _all(self) -> list[View]:
        return [v for stack in self.stacks.values() for v in stack] + list(self.homes.values())

    def check(self, content: object, *kinds: str, error: str = "invalid_arguments") -> None:
        """Raise `error` for a view that is none of `kinds` or breaks a limit."""
        faults = view_faults(content, *kinds)
        if faults:
            raise FakeSlackError(error, faults)
        if len(json.dumps(content)) > LIMITS["view"]["bytes"]:
            raise FakeSlackError("view_too_large")

    def _check_external_id(self, content: Json) -> None:
        external_id = content.get("external_id")
        if external_id and any(view.external_id == external_id for view in self._all()):
            raise FakeSlackError("duplicate_external_id")

    def _new_view(self, user: str, content: Json, below: View | None = None) -> View:
        self._fill_block_ids(content)
        view_id = self._workspace.new_id("V")
        root = below.root_id if below else view_id
        return View(view_id, user, content, self._new_hash(), root, below.id if below else None)

    def _fill_block_ids(self, content: Json) -> None:
        fill_block_ids(self._workspace, content["blocks"])

    def _new_hash(self) -> str:
        return f"{self._workspace.new_ts()}.{self._workspace.new_id('h')}"

    def _notify(self, user: str) -> None:
        self._workspace.notify("views", None, user=user)

    def as_json(self, view: View) -> Json:
        """Return a view as responses and payloads carry it."""
        return view.as_json(app_id=APP_ID, bot_id=BOT_ID)


def fill_block_ids(workspace: FakeWorkspace, blocks: list[Json]) -> None:
    """Add generated identifiers to blocks and interactive elements that have none, as Slack does."""
    for block in blocks:
        block.setdefault("block_id", workspace.new_id("b"))
        fill_block_ids(workspace, block.get("child_blocks", []))
        parts = [*block.get("elements", ()), block.get("accessory"), block.get("element")]
        for part in parts:
            kind = part.get("type") if isinstance(part, dict) else None
            if kind in ELEMENTS and kind != "image":
                part.setdefault("action_id", workspace.new_id("a"))
