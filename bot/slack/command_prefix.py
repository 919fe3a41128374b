"""What commands are called where the manifest renames them: `/acme-budget` for `/budget`.

Everything that is written calls commands as the table in `commands.py` does. The names of the workspace are
put in at the two doors through which words leave: the clients (`clients.py`) and answers (`answering.py`).
Pure.
"""

import re
from collections.abc import Mapping
from typing import Any

from bot.slack.blockkit.blocks import FIELD, MOST_CHARACTERS, TEXT, visible_size
from bot.slack.blockkit.mrkdwn import size
from bot.slack.command_reference import COMMANDS

_NAMES = "|".join(command.name for command in COMMANDS)
# As they are written: `/budget checkout` to be typed, */budget* above its help.
_WRITTEN = re.compile(rf"(?<=[`*]/)(?=(?:{_NAMES})\b)")


class CommandPrefix:
    """Puts `prefix` before the names of commands; without one everything stays as it is."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix

    def named(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a message or view with the commands' names in its texts.

        What would get too long for Slack by it stays as it is.
        """
        if not self._prefix:
            return dict(body)
        renamed: dict[str, Any] = self._within(body, TEXT)
        too_long = visible_size(renamed.get("blocks")) > MOST_CHARACTERS
        return dict(body) if too_long else renamed

    def _within(self, value: Any, limit: int) -> Any:
        if isinstance(value, Mapping):
            return {key: self._under(key, inner, limit) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._within(inner, limit) for inner in value]
        return value

    def _under(self, key: str, value: Any, limit: int) -> Any:
        if key == "text" and isinstance(value, str):
            renamed = _WRITTEN.sub(self._prefix, value)
            return renamed if size(renamed) <= limit else value
        return self._within(value, FIELD if key == "fields" else limit)
