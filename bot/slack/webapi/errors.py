"""Errors of Slack's Web API, by what the caller should do next.

SlackError
├── SlackRefusedError      Slack refuses the call, and would again
├── NotPermittedError      the app's credentials or scopes are at fault, not the arguments
├── RateLimitedError       not carried out; retry after `retry_after_s`
├── SlackUnavailableError  not carried out; may be retried at once
└── OutcomeUnknownError    nobody knows whether it was carried out
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

# Error codes of https://docs.slack.dev/reference/methods/chat.postMessage#errors and similar methods.
_PERMISSION = frozenset(
    {
        "access_denied",
        "account_inactive",
        "accesslimited",
        "app_access_restricted",
        "ekm_access_denied",
        "enterprise_is_restricted",
        "invalid_auth",
        "is_bot",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "not_authed",
        "org_login_required",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
        "two_factor_setup_required",
    }
)
_RATE_LIMITED = frozenset({"message_limit_exceeded", "rate_limited", "ratelimited"})
_UNAVAILABLE = frozenset({"external_channel_migrating", "request_timeout", "team_added_to_org"})
# "It's possible some aspect of the operation succeeded before the error was raised."
_OUTCOME_UNKNOWN = frozenset({"fatal_error", "internal_error", "service_unavailable"})

_RETRY_AFTER_S = 10.0
_LEAST_S, _MOST_S = 1.0, 3_600.0
_MOST_DETAILS = 5


class SlackError(Exception):
    """A call failed.

    `error` is Slack's error code or one of ours, short enough for a metric's label; `details` are Slack's
    own explanations, if any.
    """

    retryable: ClassVar[bool] = True
    outcome: ClassVar[str] = "failed"
    """What metrics call it."""

    def __init__(self, error: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(error)
        self.error = error
        self.details = details


class SlackRefusedError(SlackError):
    """Slack refuses the call."""

    retryable = False
    outcome = "refused"


class NotPermittedError(SlackError):
    """The app may not do this until a person repairs its installation."""

    outcome = "not_permitted"


class RateLimitedError(SlackError):
    """Too many calls: not carried out; retry after `retry_after_s` seconds."""

    outcome = "rate_limited"

    def __init__(self, error: str, retry_after_s: float) -> None:
        super().__init__(error)
        self.retry_after_s = retry_after_s


class SlackUnavailableError(SlackError):
    """The call was not carried out."""

    outcome = "unavailable"


class OutcomeUnknownError(SlackError):
    """The response is missing or unreadable: the call may have been carried out."""

    outcome = "unknown"


class UnusableAnswerError(SlackApiError):
    """Slack's answer is unreadable, or says "ok" without what it documents for the method.

    The client raises it, as slack_sdk raises its own; `translate_slack_errors` makes it an
    `OutcomeUnknownError`.
    """

    def __init__(self, method: str, error: str) -> None:
        super().__init__(f"{method}: {error}", {"ok": False, "error": error})  # type: ignore[no-untyped-call]
        self.error = error


@asynccontextmanager
async def translate_slack_errors() -> AsyncIterator[None]:
    """Translate what the Slack client raises within the block into a `SlackError`."""
    try:
        yield
    except (SlackApiError, aiohttp.ClientError, TimeoutError, OSError) as cause:
        raise slack_error(cause) from cause


def slack_error(cause: Exception) -> SlackError:
    """Return the `SlackError` for an exception of the Slack client."""
    if isinstance(cause, SlackError):
        return cause
    if isinstance(cause, UnusableAnswerError):
        return OutcomeUnknownError(cause.error)
    if isinstance(cause, SlackApiError):
        return _error_in_response(cause.response)
    if isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return SlackUnavailableError("not_connected")
    return OutcomeUnknownError("timeout" if isinstance(cause, TimeoutError) else "connection_lost")


def _error_in_response(response: object) -> SlackError:
    if not isinstance(response, AsyncSlackResponse):
        return OutcomeUnknownError("unreadable_answer")
    body = response.data if isinstance(response.data, Mapping) else {}
    error = str(body.get("error", ""))
    if response.status_code == 429 or error in _RATE_LIMITED:
        return RateLimitedError(error or "ratelimited", _retry_after_s(response.headers))
    if response.status_code >= 500 or not error:
        return OutcomeUnknownError(f"http_{response.status_code}")
    return _error_class(error)(error, _details(body))


def _error_class(error: str) -> type[SlackError]:
    if error in _OUTCOME_UNKNOWN:
        return OutcomeUnknownError
    if error in _UNAVAILABLE:
        return SlackUnavailableError
    return NotPermittedError if error in _PERMISSION else SlackRefusedError


def _retry_after_s(headers: Mapping[str, Any]) -> float:
    try:
        return min(max(_LEAST_S, float(headers["Retry-After"])), _MOST_S)
    except (KeyError, ValueError):
        return _RETRY_AFTER_S


def _details(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return Slack's explanations: the scope that is missing, messages, and the `errors` of blocks.

    `blocks.validate` has objects with `pointer`, `code` and `message` in `errors`, other methods have texts,
    the same as their messages.
    """
    metadata = body.get("response_metadata")
    messages = metadata.get("messages") if isinstance(metadata, Mapping) else ()
    texts = [str(message) for message in messages] if isinstance(messages, list) else []
    errors = body.get("errors")
    for error in errors if isinstance(errors, list) else ():
        text = _error_text(error)
        if not any(text in known for known in texts):
            texts.append(text)
    left_out = [f"and {len(texts) - _MOST_DETAILS} more"] if len(texts) > _MOST_DETAILS else []
    needed = (f"needs {body['needed']}",) if "needed" in body else ()
    return (*needed, *texts[:_MOST_DETAILS], *left_out)


def _error_text(error: object) -> str:
    if not isinstance(error, Mapping):
        return str(error)
    code, pointer = error.get("code"), error.get("pointer")
    text = str(error.get("message") or code or "refused")
    where = f" at {pointer}" if pointer else ""
    return f"{text}{where} ({code})" if code and text != code else f"{text}{where}"
