"""The API in OpenAPI 3.1, made of the routes that are served and the models of what they take and answer.

https://spec.openapis.org/oas/v3.1.1.html
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bot.http.auth import rights_of
from bot.http.openapi_descriptions import DESCRIBED, OperationDescription, QueryParameter
from bot.http.response_models import ProblemAnswer

_REF = "#/components/schemas/{model}"
_PROBLEM_TYPE = "application/problem+json"
_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})


class OpenApi:
    """Serves the document at `/api/openapi.json`, without a token: it says nothing that is not public."""

    def add_routes(self, app: web.Application) -> None:
        """Add the route; before the API's own, which take all the rest."""
        app.router.add_get("/api/openapi.json", self._get)

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(document(request.app))


def served(app: web.Application) -> Iterator[tuple[str, str, frozenset[str] | None]]:
    """Return method, path and needed rights of every route; rights are None where no token is asked for."""
    for route in app.router.routes():
        if route.method in _METHODS and route.resource is not None:
            yield route.method, route.resource.canonical, rights_of(route.handler)


def document(app: web.Application) -> dict[str, Any]:
    """Return the document of what the application serves, as far as it is described."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path, rights in served(app):
        described = DESCRIBED.get((method, path))
        if described is not None:
            paths.setdefault(path, {})[method.lower()] = _operation(method, path, described, rights)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Governor",
            "version": version("governor"),
            "description": "Error budgets, the gate, pushed events, incidents, flags and the audit log.",
        },
        "paths": paths,
        "components": {"schemas": _schemas(), "securitySchemes": _SECURITY},
    }


_SECURITY = {"token": {"type": "http", "scheme": "bearer"}}


def _operation(
    method: str, path: str, described: OperationDescription, rights: frozenset[str] | None
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(method, path),
        "summary": described.summary,
        "tags": [described.tag],
        "parameters": [*_in_path(path, described), *map(_in_query, described.query)],
        "responses": _responses(described, guarded=rights is not None),
    }
    if described.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {described.takes: {"schema": _body(described)}},
        }
    if rights is not None:
        operation["security"] = [{"token": []}]
        operation["description"] = f"Takes the right {', '.join(sorted(rights))}."
    return operation


def _operation_id(method: str, path: str) -> str:
    words = path.replace("{", "").replace("}", "").replace(".", "/").split("/")
    return "_".join([method.lower(), *filter(None, words)])


def _in_path(path: str, described: OperationDescription) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{") and part.endswith("}")]
    schemas = {name: described.path.get(name, {"type": "string", "minLength": 1}) for name in names}
    return [
        {"name": name, "in": "path", "required": True, "schema": schema} for name, schema in schemas.items()
    ]


def _in_query(parameter: QueryParameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.means,
        "schema": dict(parameter.schema),
    }


def _body(described: OperationDescription) -> Mapping[str, Any]:
    if isinstance(described.body, Mapping) or described.body is None:
        return described.body or {}
    one = _reference(described.body)
    many = {"type": "array", "items": one, "maxItems": described.most}
    return {"anyOf": [one, many]} if described.most else one


def _responses(described: OperationDescription, *, guarded: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, answer in described.answers.items():
        schema = _reference(answer) if isinstance(answer, type) else {}
        found[str(status)] = {
            "description": answer if isinstance(answer, str) else str(answer.__doc__),
            "content": {described.gives: {"schema": schema}},
        }
    refusals = {**_GUARDED, **described.refusals} if guarded else described.refusals
    for status, why in refusals.items():
        content = {described.refuses: {"schema": _reference(ProblemAnswer)}}
        is_problem = described.refuses == _PROBLEM_TYPE
        found[str(status)] = {"description": why} | ({"content": content} if is_problem else {})
    return found


_GUARDED = {
    401: "There is no valid token in the request.",
    403: "The token lacks the right.",
    429: "The token was used too often; `Retry-After` says when to come back.",
}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _schemas() -> dict[str, Any]:
    bodies = [each.body for each in DESCRIBED.values() if isinstance(each.body, type)]
    answers = [
        answer for each in DESCRIBED.values() for answer in each.answers.values() if isinstance(answer, type)
    ]
    taken = _definitions(bodies, "validation")
    given = _definitions([*answers, ProblemAnswer], "serialization")
    return taken | given


def _definitions(models: Sequence[type[BaseModel]], mode: Any) -> dict[str, Any]:
    _, made = models_json_schema([(model, mode) for model in dict.fromkeys(models)], ref_template=_REF)
    definitions: dict[str, Any] = made.get("$defs", {})
    return definitions
