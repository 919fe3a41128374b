"""The prefix of the commands' names where the manifest has one: `/acme-budget` for `/budget`.

All texts name commands as the table in `command_reference.py` does. The prefix is added where texts are sent:
by the Web API clients (`webapi/clients.py`) and to response URLs (`response_url.py`). Pure.
"""

import re
from collections.abc import Mapping
from typing import Any

from bot.slack.blockkit.blocks import FIELD, MOST_CHARACTERS, TEXT, visible_size
from bot.slack.blockkit.mrkdwn import size
from bot.slack.command_reference import COMMANDS

_NAMES = "|".join(command.name for command in COMMANDS)
# As texts write them: `/budget checkout` to be typed, */budget* above its help.
_COMMAND_IN_TEXT = re.compile(rf"(?<=[`*]/)(?=(?:{_NAMES})\b)")


class CommandPrefix:
    """Puts `prefix` before the names of commands; without one nothing changes."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix

    def rename_commands(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a message or view with the prefix before the commands in its texts.

        A text that would become too long for Slack stays as it is.
        """
        if not self._prefix:
            return dict(body)
        renamed: dict[str, Any] = self._renamed(body, TEXT)
        too_long = visible_size(renamed.get("blocks")) > MOST_CHARACTERS
        return dict(body) if too_long else renamed

    def _renamed(self, value: Any, limit: int) -> Any:
        if isinstance(value, Mapping):
            return {key: self._renamed_entry(key, inner, limit) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._renamed(inner, limit) for inner in value]
        return value

    def _renamed_entry(self, key: str, value: Any, limit: int) -> Any:
        if key == "text" and isinstance(value, str):
            renamed = _COMMAND_IN_TEXT.sub(self._prefix, value)
            return renamed if size(renamed) <= limit else value
        return self._renamed(value, FIELD if key == "fields" else limit)
