"""The Web API's methods by name, one function a method, grouped as in Slack's reference."""

from __future__ import annotations

from typing import Final

from bot.sandbox.fake_slack.api_call import Method

from . import (
    canvases,
    chat,
    conversations,
    files,
    history,
    links,
    pins_and_reactions,
    users,
    views,
)

METHODS: Final[dict[str, Method]] = {
    **users.METHODS,
    **chat.METHODS,
    **conversations.METHODS,
    **history.METHODS,
    **pins_and_reactions.METHODS,
    **views.METHODS,
    **files.METHODS,
    **canvases.METHODS,
    **links.METHODS,
}
