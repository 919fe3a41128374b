"""The API as an OpenAPI 3.1 document, made from the served routes and the descriptions at their handlers.

https://spec.openapis.org/oas/v3.1.1.html
"""

import asyncio
import json
from collections.abc import Collection, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from bot.http.gate_operations import GATE_OPERATIONS
from bot.http.operations import OPERATIONS, Operation, QueryParameter, add_operations
from bot.http.response_models import ProblemAnswer
from bot.http.slack_operations import SLACK_OPERATIONS

_REF = "#/components/schemas/{model}"
_PROBLEM_TYPE = "application/problem+json"
_PUBLISHED_NAMES = {"DeploymentState": "State"}
"""Schemas whose classes have another name than the document, which generated clients depend on."""
_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})
_SECURITY = {"token": {"type": "http", "scheme": "bearer"}}
_ADDRESS_REFUSALS = {400: "The path or the query has control characters."}
_RIGHT_REFUSALS = {
    401: "There is no valid token in the request.",
    403: "The token does not have the right.",
}
_TOKEN_REFUSALS = {
    429: "The token was used too often; `Retry-After` says when to come back.",
    503: "The database cannot be used now; `Retry-After` says when to come back.",
}


class OpenApi:
    """Serves the document without a token: it says nothing that is not public.

    It is made once, beside the event loop: that takes a while, and anyone may ask.
    """

    def __init__(self) -> None:
        self._made: bytes | None = None

    def add_routes(self, app: web.Application) -> None:
        """Add the route; before those of `Api`, which takes the rest of `/api/`."""
        add_operations(app, self)

    @Operation(
        "GET", "/api/openapi.json", tag="operating", summary="This document", answers={200: "OpenAPI 3.1."}
    )
    async def _get(self, request: web.Request) -> web.Response:
        if self._made is None:
            made = await asyncio.to_thread(document, request.app)
            self._made = json.dumps(made).encode()
        return web.Response(body=self._made, content_type="application/json", charset="utf-8")


def served_operations(app: web.Application) -> Iterator[tuple[str, str, Operation | None]]:
    """Return method, path and description of every route; None for a route without a description."""
    described = app.get(OPERATIONS, {})
    elsewhere = {
        (operation.method, operation.path): operation for operation in (*SLACK_OPERATIONS, *GATE_OPERATIONS)
    }
    for route in app.router.routes():
        if route.method in _METHODS and route.resource is not None:
            path = route.resource.canonical
            yield route.method, path, described.get(route) or elsewhere.get((route.method, path))


def document(app: web.Application) -> dict[str, Any]:
    """Return the document of what the application serves, as far as it is described."""
    paths: dict[str, dict[str, Any]] = {}
    operations: list[Operation] = []
    for method, path, operation in served_operations(app):
        if operation is not None:
            operations.append(operation)
            paths.setdefault(path, {})[method.lower()] = _operation(path, operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Governor",
            "version": version("governor"),
            "description": "Error budgets, the gate, pushed events, incidents, flags and the audit log.",
        },
        "paths": paths,
        "components": {"schemas": _schemas(operations), "securitySchemes": _SECURITY},
    }


def _operation(path: str, operation: Operation) -> dict[str, Any]:
    members: dict[str, Any] = {
        "operationId": _operation_id(operation.method, path),
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [*_path_parameters(path, operation), *map(_query_parameter, operation.query)],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        members["requestBody"] = {
            "required": True,
            "content": {operation.request_type: {"schema": _body(operation)}},
        }
    if operation.right is not None:
        members["security"] = [{"token": []}]
        more = "".join(
            f" With {further}, the answer also has {what}." for further, what in operation.more_with.items()
        )
        members["description"] = f"Needs the right {operation.right}.{more}"
    return members


def _operation_id(method: str, path: str) -> str:
    words = path.replace("{", "").replace("}", "").replace(".", "/").split("/")
    return "_".join([method.lower(), *filter(None, words)])


def _path_parameters(path: str, operation: Operation) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{") and part.endswith("}")]
    schemas = {name: operation.path_schemas.get(name, {"type": "string", "minLength": 1}) for name in names}
    return [
        {"name": name, "in": "path", "required": True, "schema": schema} for name, schema in schemas.items()
    ]


def _query_parameter(parameter: QueryParameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }


def _body(operation: Operation) -> Mapping[str, Any]:
    if isinstance(operation.body, Mapping) or operation.body is None:
        return operation.body or {}
    item = _reference(operation.body)
    items = {"type": "array", "items": item, "maxItems": operation.max_items}
    return {"anyOf": [item, items]} if operation.max_items else item


def _responses(operation: Operation) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, answer in operation.answers.items():
        schema = _reference(answer) if isinstance(answer, type) else {}
        responses[str(status)] = {
            "description": answer if isinstance(answer, str) else str(answer.__doc__),
            "content": {operation.answer_type: {"schema": schema}},
        }
    refusals = dict(_ADDRESS_REFUSALS)
    if operation.right is not None:
        refusals |= _TOKEN_REFUSALS if operation.answers_all else _RIGHT_REFUSALS | _TOKEN_REFUSALS
    for status, reason in (refusals | dict(operation.refusals)).items():
        content = {operation.refusal_type: {"schema": _reference(ProblemAnswer)}}
        is_problem = operation.refusal_type == _PROBLEM_TYPE
        responses[str(status)] = {"description": reason} | ({"content": content} if is_problem else {})
    return responses


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _schemas(operations: Collection[Operation]) -> dict[str, Any]:
    bodies = [operation.body for operation in operations if isinstance(operation.body, type)]
    answers = [
        answer
        for operation in operations
        for answer in operation.answers.values()
        if isinstance(answer, type)
    ]
    return _definitions(bodies, "validation") | _definitions([*answers, ProblemAnswer], "serialization")


class _PublishedSchema(GenerateJsonSchema):
    """Writes schemas under the names that clients know."""

    def normalize_name(self, name: str) -> str:
        """Return the published name of a class's schema."""
        return super().normalize_name(_PUBLISHED_NAMES.get(name, name))


def _definitions(models: Collection[type[BaseModel]], mode: Any) -> dict[str, Any]:
    _, schema = models_json_schema(
        [(model, mode) for model in dict.fromkeys(models)],
        ref_template=_REF,
        schema_generator=_PublishedSchema,
    )
    definitions: dict[str, Any] = schema.get("$defs", {})
    for name in definitions.keys() & _PUBLISHED_NAMES.values():
        definitions[name]["title"] = name
    return definitions
