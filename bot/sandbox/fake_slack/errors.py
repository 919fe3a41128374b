"""Errors of the fake Slack.

FakeSlackError   returned to the caller as `{"ok": false, "error": code, …}`
"""

from __future__ import annotations

from collections.abc import Sequence


class FakeSlackError(Exception):
    """A call that Slack refuses, with its error code and further fields of the response."""

    def __init__(self, code: str, messages: Sequence[str] = (), **detail: object) -> None:
        super().__init__(code)
        self.code = code
        self.messages = tuple(messages)
        self.detail = detail

    def answer(self) -> dict[str, object]:
        """Return the body of the response."""
        body: dict[str, object] = {"ok": False, "error": self.code, **self.detail}
        if self.messages:
            body["response_metadata"] = {"messages": list(self.messages)}
        return body
