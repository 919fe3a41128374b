"""A Slack channel in memory whose answers, losses and delays are chosen one by one.

It stands behind slack_sdk's real client, in place of its socket: the sandbox's server cannot hold a request
back, answer it after its sender has gone, or show a message late in the history, at a chosen moment.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

CHANNEL = "C0CHECKOUT"


@dataclass
class SlackPost:
    """A message in the channel; `is_seen` says whether the history shows it yet."""

    ts: str
    text: str
    keys: tuple[str, ...]
    is_seen: bool = False
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def as_message(self) -> dict[str, Any]:
        """How the history shows it."""
        return {"type": "message", "ts": self.ts, "text": self.text, "metadata": self.asked.get("metadata")}


@dataclass(eq=False)
class SlackRequest:
    """A post on its way; `answer` is what Slack says once it has arrived."""

    asked: Mapping[str, Any]
    post: SlackPost | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The outbox keys that it carries."""
        payload = self.asked["metadata"]["event_payload"]
        return tuple(payload.get("keys") or [payload["key"]])


class SteppedChannel:
    """What was posted, in the order of arrival, and what is on its way."""

    def __init__(self) -> None:
        self.posts: list[SlackPost] = []
        self.requests: list[SlackRequest] = []

    def send(self, asked: Mapping[str, Any]) -> SlackRequest:
        """Put a post on its way."""
        request = SlackRequest(asked)
        self.requests.append(request)
        return request

    def arrive(self, request: SlackRequest) -> None:
        """Let a request arrive; the history does not show it yet."""
        self.requests.remove(request)
        ts = f"{4_000_000_000 + len(self.posts)}.000100"
        request.post = SlackPost(ts, str(request.asked.get("text")), request.keys, asked=request.asked)
        self.posts.append(request.post)

    def show(self) -> None:
        """Let the history show everything that arrived."""
        for post in self.posts:
            post.is_seen = True

    def history(self, oldest: str = "0") -> list[dict[str, Any]]:
        """Return what the history shows since a time, newest first."""
        seen = [post.as_message for post in self.posts if post.is_seen and float(post.ts) >= float(oldest)]
        return seen[::-1]


Ask = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Answers a call: its method and arguments; raises what the client would raise."""


class SteppedClient(AsyncWebClient):
    """slack_sdk's client, whose calls are answered by `ask`."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(token="xoxb-stepped")
        self.ask = ask

    async def api_call(self, api_method: str, **options: Any) -> AsyncSlackResponse:
        asked = {
            **(options.get("params") or {}),
            **(options.get("json") or {}),
            **(options.get("data") or {}),
        }
        body = await self.ask(api_method, asked)
        return _answer(api_method, {"ok": True, **body})


def rate_limited(method: str) -> SlackApiError:
    """Return what the client raises where Slack takes no more calls for now."""
    answer = _answer(method, {"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": "1"})
    return SlackApiError("ratelimited", answer)  # type: ignore[no-untyped-call]


def refused(method: str, error: str) -> SlackApiError:
    """Return what the client raises where Slack refuses a call."""
    answer = _answer(method, {"ok": False, "error": error})
    return SlackApiError(error, answer)  # type: ignore[no-untyped-call]


def _answer(
    method: str, body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> AsyncSlackResponse:
    return AsyncSlackResponse(
        client=None,
        http_verb="POST",
        api_url=method,
        req_args={},
        data=body,
        headers=headers or {},
        status_code=status,
    )
