"""Problem documents (RFC 9457): the form of all errors of the API and the webhooks."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import structlog
from aiohttp import web

log = structlog.get_logger(__name__)

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


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error of the API and the webhooks into a problem document; an unexpected one into a 500."""
    if not request.path.startswith(("/api/", "/webhooks/")):
        return await handler(request)
    try:
        return await handler(request)
    except ProblemError as problem:
        return problem_response(problem)
    except web.HTTPException as error:
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return problem_response(ProblemError(error.status, _detail(error), headers=headers))
    except Exception:
        # The boundary of HTTP: the caller gets a reference, and the cause is logged under it.
        reference = uuid4().hex[:12]
        log.exception("request_failed", path=request.path, reference=reference)
        return problem_response(ProblemError(500, f"something went wrong here; reference {reference}"))


def _detail(error: web.HTTPException) -> str:
    return {
        404: "there is nothing at this address",
        405: "this address does not take that method",
        413: "the body is too large",
    }.get(error.status, error.reason)
