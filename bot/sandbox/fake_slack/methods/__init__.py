"""The Web API's methods, by name: one function a method, grouped as Slack's reference is."""

from __future__ import annotations

from typing import Final

from bot.sandbox.fake_slack.api_call import Method

from . import (
    canvases,
    chat,
    conversations,
    files,
    history,
    marks,
    people,
    views,
)

METHODS: Final[dict[str, Method]] = {
    **people.METHODS,
    **chat.METHODS,
    **conversations.METHODS,
    **history.METHODS,
    **marks.METHODS,
    **views.METHODS,
    **files.METHODS,
    **canvases.METHODS,
}
