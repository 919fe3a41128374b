"""HTTP operations: each is described at its handler and added to the application behind the right it names.

`add_operations` enforces the `right` of the same `Operation` that the OpenAPI document shows, so the two
cannot differ.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel

from bot.http.auth import TokenVerifier, require_token
from bot.http.problems import Handler
from bot.http.rights import Right

H = TypeVar("H", bound=Callable[..., Awaitable[web.StreamResponse]])

BAD_QUERY = {400: "The query is not valid."}
BAD_BODY = {
    400: "The body is not JSON.",
    413: "The body is too large.",
    415: "The body has a Content-Encoding that is not supported.",
    422: "The body has faults, each named; nothing was done.",
}
NOT_MEASURED_YET = {503: "The service was never measured, or the database cannot be used now; ask again."}
UNKNOWN_SERVICE = {404: "There is no such service; `near` lists similar names."}

_DESCRIPTIONS = "governor_operations"


@dataclass(frozen=True, slots=True)
class QueryParameter:
    """A parameter of the query."""

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


SERVICE_PARAMETER = QueryParameter("service", "Only this service.")


@dataclass(frozen=True, slots=True)
class Operation:
    """An HTTP method on a path. An instance is the decorator of the handler that serves it.

    `answers` maps a status to a model or to words, `refusals` a status to the reason. `right` is what the
    bearer token must allow; None for an operation without a token; `more_with` maps further rights to what
    the answer then shows besides; with `answers_all` a token without the right gets an answer, too.
    `path_schemas` describes the variables of the path, and with `max_items` the body may also be a list of so
    many.
    """

    method: str
    path: str
    _: KW_ONLY
    tag: str
    summary: str
    answers: Mapping[int, type[BaseModel] | str]
    refusals: Mapping[int, str] = field(default_factory=dict)
    right: Right | None = None
    more_with: Mapping[Right, str] = field(default_factory=dict)
    answers_all: bool = False
    query: tuple[QueryParameter, ...] = ()
    path_schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    body: type[BaseModel] | Mapping[str, Any] | None = None
    max_items: int = 0
    request_type: str = "application/json"
    answer_type: str = "application/json"
    refusal_type: str = "application/problem+json"

    def __call__(self, handler: H) -> H:
        """Attach the description to a method of an endpoint, which may serve several operations."""
        setattr(handler, _DESCRIPTIONS, (self, *getattr(handler, _DESCRIPTIONS, ())))
        return handler


OPERATIONS = web.AppKey("operations", dict[web.AbstractRoute, Operation])
"""The described routes of an application."""


def add_operations(app: web.Application, endpoint: object, tokens: TokenVerifier | None = None) -> None:
    """Add a route for each operation that the endpoint's methods are decorated with.

    One that names a right answers only callers whose token has it (`require_token`). Raises `ValueError`
    for such an operation if there are no `tokens` to check.
    """
    for name, method in vars(type(endpoint)).items():
        for operation in getattr(method, _DESCRIPTIONS, ()):
            route = _add(app, operation, getattr(endpoint, name), tokens)
            app.setdefault(OPERATIONS, {})[route] = operation


def _add(
    app: web.Application, operation: Operation, handler: Handler, tokens: TokenVerifier | None
) -> web.AbstractRoute:
    method, path, right = operation.method, operation.path, operation.right
    if right is not None:
        if tokens is None:
            raise ValueError(f"{method} {path} needs the right {right}, but there are no tokens to check")
        handler = require_token(tokens, handler, right)
    elif method == "GET":
        # Probes of what is public may use HEAD.
        return app.router.add_get(path, handler)
    return app.router.add_route(method, path, handler)
