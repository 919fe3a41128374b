"""OFREP (OpenFeature Remote Evaluation Protocol, v1): applications evaluate flags of the `local` backend.

https://github.com/open-feature/protocol. Flags are read from memory. There is no authentication unless a
token is configured: applications call from a private network, once for each user and flag.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from aiohttp import web

from bot.flags.evaluation import LocalFlag, TargetingKeyMissingError, evaluate
from bot.http.operations import Operation, add_operations
from bot.http.server.cross_origin import CrossOrigin
from bot.texts import is_name

_PATH = "/ofrep/v1/evaluate/flags"
_ENVIRONMENT_PATH = f"/environments/{{environment}}{_PATH}"
_Answer = dict[str, Any]


def _evaluation(path: str, summary: str) -> Operation:
    """Describe an evaluation. It takes no right: the endpoint has a token of its own."""
    context = {"type": "object", "properties": {"targetingKey": {"type": "string"}}}
    return Operation(
        "POST",
        path,
        tag="flags",
        summary=summary,
        body={"type": "object", "properties": {"context": context}},
        answers={200: "An evaluation, as OFREP defines it."},
        refusals={
            400: "The context cannot be read, or has no targeting key.",
            401: "A token is configured, and the request does not have it.",
            404: "There is no such flag or environment.",
        },
        refusal_type="application/json",
    )


class ServedFlags(Protocol):
    """The flags to evaluate, in memory."""

    def served(self, environment: str) -> Mapping[str, LocalFlag] | None:
        """Return the environment's flags by key; None if there is no such environment."""
        ...

    def served_flag(self, environment: str, key: str) -> LocalFlag | None:
        """Return a flag; None if it does not exist."""
        ...


class _BadContextError(Exception):
    """The request's context is invalid; `code` is OFREP's error code."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(details)
        self.code = code


# Evaluations may need no token: a context is read before it is known who sent it.
_MOST_CONTEXT_BYTES = 256 * 1024


class Ofrep:
    """The OFREP endpoint.

    `default` returns the name of the default environment, `origins` those whose pages may evaluate flags.
    """

    def __init__(
        self,
        flags: ServedFlags,
        default: Callable[[], str],
        token: str | None = None,
        origins: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._flags = flags
        self._default = default
        self._token = token
        self._cross_origin = CrossOrigin(origins)

    def add_routes(self, app: web.Application) -> None:
        """Add both operations, for the default environment and below `/environments/{environment}`."""
        add_operations(app, self)
        paths = [f"{path}{key}" for path in (_PATH, _ENVIRONMENT_PATH) for key in ("", "/{key}")]
        self._cross_origin.add_routes(app, paths)

    @_evaluation(f"{_PATH}/{{key}}", "Evaluate a flag of the default environment (OFREP)")
    @_evaluation(f"{_ENVIRONMENT_PATH}/{{key}}", "Evaluate a flag of an environment (OFREP)")
    async def _evaluate(self, request: web.Request) -> web.Response:
        self._authenticate(request)
        key = request.match_info["key"]
        try:
            targeting_key = await _targeting_key(request)
        except _BadContextError as error:
            return web.json_response(_error(key, error.code, str(error)), status=400)
        environment = self._environment(request)
        flag = self._flags.served_flag(environment, key)
        if flag is None:
            missing = _error(key, "FLAG_NOT_FOUND", f"there is no flag {key} in {environment}")
            return web.json_response(missing, status=404)
        answer = _evaluated(flag, targeting_key, environment)
        return web.json_response(answer, status=400 if "errorCode" in answer else 200)

    @_evaluation(_PATH, "Evaluate every flag of the default environment (OFREP)")
    @_evaluation(_ENVIRONMENT_PATH, "Evaluate every flag of an environment (OFREP)")
    async def _evaluate_all(self, request: web.Request) -> web.Response:
        self._authenticate(request)
        try:
            targeting_key = await _targeting_key(request)
        except _BadContextError as error:
            return web.json_response({"errorCode": error.code, "errorDetails": str(error)}, status=400)
        environment = self._environment(request)
        flags = self._flags.served(environment)
        if flags is None:
            details = f"there is no environment {environment}"
            return web.json_response({"errorCode": "GENERAL", "errorDetails": details}, status=404)
        body = json.dumps(
            {"flags": [_evaluated(flag, targeting_key, environment) for flag in flags.values()]}
        )
        etag = hashlib.sha256(body.encode()).hexdigest()[:32]
        headers = {"ETag": f'"{etag}"'}
        if {etag, "*"} & _client_etags(request):
            return web.Response(status=304, headers=headers)
        return web.Response(text=body, content_type="application/json", headers=headers)

    def _environment(self, request: web.Request) -> str:
        return request.match_info.get("environment") or self._default()

    def _authenticate(self, request: web.Request) -> None:
        if self._token is None:
            return
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        sent = bearer.strip() if scheme.casefold() == "bearer" else request.headers.get("X-API-Key", "")
        if not hmac.compare_digest(sent.encode(errors="surrogatepass"), self._token.encode()):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Bearer realm="flags"'})


async def _targeting_key(request: web.Request) -> str | None:
    """Return the context's targeting key. Raises `_BadContextError` if the body is no evaluation request."""
    try:
        body = json.loads(await request.clone(client_max_size=_MOST_CONTEXT_BYTES).read())
    except (ValueError, RecursionError) as error:
        raise _BadContextError("PARSE_ERROR", "the body is not JSON") from error
    context = body.get("context", {}) if isinstance(body, dict) else None
    if not isinstance(context, dict):
        raise _BadContextError("INVALID_CONTEXT", "the body is an object with an object `context`")
    key = context.get("targetingKey")
    if key is not None and not isinstance(key, str):
        raise _BadContextError("INVALID_CONTEXT", "`targetingKey` is a string")
    if key is not None and not is_name(key):
        raise _BadContextError("INVALID_CONTEXT", "`targetingKey` has no control characters")
    return key


def _evaluated(flag: LocalFlag, targeting_key: str | None, environment: str) -> _Answer:
    try:
        evaluation = evaluate(flag, targeting_key)
    except TargetingKeyMissingError as error:
        return _error(flag.key, "TARGETING_KEY_MISSING", str(error))
    return {
        "key": flag.key,
        "value": evaluation.value,
        "reason": str(evaluation.reason),
        "variant": evaluation.variant,
        "metadata": {"environment": environment, "version": flag.version},
    }


def _error(key: str, code: str, details: str) -> _Answer:
    return {"key": key, "errorCode": code, "errorDetails": details}


def _client_etags(request: web.Request) -> set[str]:
    etags = request.headers.get("If-None-Match", "").split(",")
    return {etag.strip().removeprefix("W/").strip('"') for etag in etags if etag.strip()}
