"""Errors as RFC 9457 problem documents, the one form in which the API refuses anything."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import structlog
from aiohttp import web

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ProblemError(Exception):
    """A refusal: an HTTP status, a sentence for the caller, and further members of the document."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members


def problem_response(problem: ProblemError) -> web.Response:
    """Return the problem as `application/problem+json`."""
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


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error of the API and the webhooks into a problem document; unexpected ones answer 500."""
    if not request.path.startswith(("/api/", "/webhooks/")):
        return await handler(request)
    try:
        return await handler(request)
    except ProblemError as problem:
        return problem_response(problem)
    except web.HTTPException as refused:
        allowed = {"Allow": refused.headers["Allow"]} if "Allow" in refused.headers else {}
        return problem_response(ProblemError(refused.status, _words(refused), headers=allowed))
    except Exception:
        # The boundary of the HTTP face: the caller gets a reference, the log the cause.
        reference = uuid4().hex[:12]
        log.exception("request_failed", path=request.path, reference=reference)
        return problem_response(ProblemError(500, f"something went wrong here; reference {reference}"))


def _words(refused: web.HTTPException) -> str:
    return {
        404: "there is nothing at this address",
        405: "this address does not take that method",
        413: "the body is too large",
    }.get(refused.status, refused.reason)
