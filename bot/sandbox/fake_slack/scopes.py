"""The scopes that a call needs.

Most methods need one scope. Those of conversations need the scope for the
kind of channel that they concern: `channels:`, `groups:`, `im:` or `mpim:`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from bot.sandbox.fake_slack.api_call import ApiCall
from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.methods.conversations import requested_kinds
from bot.sandbox.fake_slack.slack_facts import METHODS

_FAMILY: Final = {"public": "channels", "private": "groups", "im": "im", "mpim": "mpim"}


def require_scopes(call: ApiCall) -> None:
    """Raise `missing_scope` with the scopes that are needed and provided, if one is missing."""
    needed = METHODS[call.method].scopes
    provided = call.platform.scopes
    for kind in sorted(_kinds(call)) if _is_by_kind(needed) else [None]:
        sufficient = _of_family(needed, kind) if kind else needed
        if sufficient and not set(sufficient) & set(provided):
            raise FakeSlackError("missing_scope", needed=",".join(sufficient), provided=",".join(provided))


def _is_by_kind(scopes: Collection[str]) -> bool:
    return len({scope.partition(":")[0] for scope in scopes}) > 1


def _of_family(scopes: Collection[str], kind: str) -> list[str]:
    return [scope for scope in scopes if scope.partition(":")[0] == _FAMILY[kind]]


def _kinds(call: ApiCall) -> set[str]:
    if call.method in {"conversations.list", "users.conversations"}:
        return requested_kinds(call)
    if call.method == "conversations.create":
        return {"private" if call.flag("is_private") else "public"}
    if call.method == "conversations.open" and not call.text("channel"):
        return {"mpim" if len(call.strings("users")) > 1 else "im"}
    channel = call.workspace.channels.get(call.text("channel"))
    return {channel.kind if channel else "public"}
