"""Problem documents (RFC 9457): the form of all errors of the API and the webhooks."""

import hashlib
import traceback
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web

from bot.store.health.errors import unavailable_reason

log = structlog.get_logger(__name__)

_RETRY = {"Retry-After": "5"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ProblemError(Exception):
    """A refused request: an HTTP status, a sentence for the caller, and further members of the document."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members


def problem_response(problem: ProblemError) -> web.Response:
    """Return the problem as an `application/problem+json` response."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        **problem.members,
    }
    return web.json_response(
        body, status=problem.status, content_type="application/problem+json", headers=problem.headers
    )


def answers_with_problems(request: web.Request) -> bool:
    """Return whether errors at this address are problem documents; elsewhere they have another form."""
    return request.path.startswith(("/api/", "/webhooks/", "/gates/", "/rotations/", "/mcp"))


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn the errors of these addresses into problem documents, unexpected ones into a 500."""
    if not answers_with_problems(request):
        return await handler(request)
    try:
        return await handler(request)
    except ProblemError as problem:
        return problem_response(problem)
    except web.HTTPException as error:
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return problem_response(ProblemError(error.status, _detail(error), headers=headers))
    except web.RequestPayloadError:
        return problem_response(ProblemError(400, "the body cannot be read"))
    except Exception as error:
        if isinstance(error, ConnectionError) and is_gone(request):
            raise
        # The boundary of HTTP: every error gets an answer.
        return problem_response(_unexpected(request, error))


def _unexpected(request: web.Request, error: Exception) -> ProblemError:
    """Log an error that no endpoint foresees, and return 503 if the database is away, else 500."""
    reason = unavailable_reason(error)
    if reason is not None:
        log.warning("request_not_possible", route=_route(request), problem=reason, exc_info=error)
        return ProblemError(503, f"not done: {reason}", headers=_RETRY)
    # The caller gets a reference, and the cause is logged under it.
    reference = _reference(error)
    log.error("request_failed", route=_route(request), reference=reference, exc_info=error)
    return ProblemError(500, f"something went wrong; reference {reference}")


def _reference(error: Exception) -> str:
    """Return the same reference for the same fault: a log that tells it once a minute has them all."""
    lines = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    return hashlib.sha256("\n".join([type(error).__qualname__, *lines]).encode()).hexdigest()[:12]


def _route(request: web.Request) -> str:
    """Return the path with the names of its variables, so that what a client puts there repeats itself."""
    resource = request.match_info.route.resource
    return f"{request.method} {resource.canonical if resource is not None else 'unknown'}"


def is_gone(request: web.Request) -> bool:
    """Return whether the client has closed the connection, so that nobody waits for an answer."""
    return request.transport is None or request.transport.is_closing()


def _detail(error: web.HTTPException) -> str:
    if error.reason != HTTPStatus(error.status).phrase:
        return error.reason
    return {
        404: "there is nothing at this address",
        405: "this address does not support that method",
        413: "the body is too large",
    }.get(error.status, error.reason)
