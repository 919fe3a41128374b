"""A file's text, and where its characters stand in it."""

import bisect
import re

from yaml.error import Mark

from bot.policy.faults import PolicyFault


class SourceText:
    """A file's text with the positions of its lines."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def position(self, index: int) -> tuple[int, int]:
        """Return line and column of the character at `index`, both from 1; never past the end."""
        index = min(index, len(self.text.rstrip("\r\n")))
        line = bisect.bisect_right(self._starts, index)
        return line, index - self._starts[line - 1] + 1

    def line_from(self, index: int) -> str:
        """Return the rest of the line that begins at `index`."""
        return self.text[index:].partition("\n")[0]

    def fault(
        self, mark: Mark | int, message: str, allowed: str = "", *, document: str = "", path: str = ""
    ) -> PolicyFault:
        """Return a fault at a position of this file."""
        line, column = self.position(mark if isinstance(mark, int) else mark.index)
        return PolicyFault(self.file, line, column, document, path, message, allowed)
