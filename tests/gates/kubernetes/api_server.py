"""An API server for tests: stores objects, and answers as Kubernetes' API conventions document.

Resource versions, server-side apply, merge and JSON patches, the status subresource, conflicts (409), missing
kinds (404), missing rights (403), refused objects (422), and whatever else a test lets it answer.
"""

import copy
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from aiohttp import web

from tests.support.paths import ROOT

ADMISSION = ROOT / "deploy" / "helm" / "governor" / "files" / "admission.yaml"
TOKEN = "token-of-governor"
_PATH = re.compile(
    r"/apis/(?P<group>[^/]+/[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[^/]+)"
    r"(?:/(?P<name>[^/]+))?(?P<status>/status)?"
)
_KINDS = {
    "governor.internal/v1/releaseholds": "ReleaseHolds",
    "argoproj.io/v1alpha1/rollouts": "Rollout",
    "argoproj.io/v1alpha1/appprojects": "AppProject",
    "flagger.app/v1beta1/canaries": "Canary",
    "admissionregistration.k8s.io/v1/validatingadmissionpolicies": "ValidatingAdmissionPolicy",
    "admissionregistration.k8s.io/v1/validatingadmissionpolicybindings": "ValidatingAdmissionPolicyBinding",
}
_REVIEW = "authorization.k8s.io/v1/selfsubjectaccessreviews"


def admission_objects() -> list[dict[str, Any]]:
    """Return the objects that an operator applies."""
    return [document for document in yaml.safe_load_all(ADMISSION.read_text()) if document]


def _holds_schema() -> dict[str, Any]:
    (crd,) = [each for each in admission_objects() if each["kind"] == "CustomResourceDefinition"]
    schema: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


class Refusal(Exception):  # noqa: N818 - it is an answer
    """An answer with an error, as a Status object."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason


@dataclass
class ApiServer:
    """What is stored, by path, and how the server misbehaves."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: list[tuple[str, str, Any]] = field(default_factory=list)
    missing_kinds: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    """Plurals that the account may not touch."""
    next_answers: list[web.Response] = field(default_factory=list)
    """Answered before anything else, one a request."""
    before_write: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """What somebody else writes just before the next write: a path, and the object."""
    version: int = 100
    url: str = ""

    def put(self, path: str, body: Mapping[str, Any]) -> None:
        """Store an object as if somebody had applied it."""
        self.version += 1
        stored = copy.deepcopy(dict(body))
        stored["metadata"] = dict(stored.get("metadata", {})) | {"resourceVersion": str(self.version)}
        self.objects[path] = stored

    def kubeconfig(self, folder: Path, *contexts: str) -> Path:
        """Write a kubeconfig file whose contexts lead here."""
        file = folder / "kubeconfig"
        file.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": contexts[0],
                    "clusters": [{"name": "c", "cluster": {"server": self.url}}],
                    "users": [{"name": "u", "user": {"token": TOKEN}}],
                    "contexts": [
                        {"name": name, "context": {"cluster": "c", "user": "u"}} for name in contexts
                    ],
                }
            )
        )
        return file

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        body = await request.read()
        if self.next_answers:
            return self.next_answers.pop(0)
        try:
            return web.json_response(self._handle(request, json.loads(body) if body else None))
        except Refusal as refusal:
            status = {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Failure",
                "message": str(refusal),
                "reason": refusal.reason,
                "code": refusal.code,
            }
            return web.json_response(status, status=refusal.code)

    def _handle(self, request: web.Request, body: Any) -> Any:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, "Unauthorized", "Unauthorized")
        found = _PATH.fullmatch(request.path)
        if found is None:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        kind = f"{found['group']}/{found['plural']}"
        if kind == _REVIEW and request.method == "POST":
            attributes = body["spec"]["resourceAttributes"]
            asked = "/".join(attributes[key] for key in ("resource", "subresource") if key in attributes)
            return body | {"status": {"allowed": asked not in self.denied}}
        if kind not in _KINDS or kind in self.missing_kinds:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        if found["plural"] in self.denied:
            raise Refusal(
                403,
                "Forbidden",
                f'{found["plural"]}.{found["group"].partition("/")[0]} is forbidden: User "governor" cannot '
                f'{request.method.lower()} resource "{found["plural"]}"',
            )
        path = request.path.removesuffix("/status")
        if request.method == "GET" and found["name"] is None:
            items = [self.objects[key] for key in sorted(self.objects) if key.startswith(f"{path}/")]
            return {"kind": f"{_KINDS[kind]}List", "metadata": {}, "items": items}
        if request.method == "GET":
            return self._find(path, found)
        if request.method == "PATCH":
            return self._patch(request, path, found, body)
        raise Refusal(405, "MethodNotAllowed", "the server does not allow this method")

    def _find(self, path: str, found: "re.Match[str]") -> dict[str, Any]:
        if path not in self.objects:
            raise Refusal(404, "NotFound", f'{found["plural"]} "{found["name"]}" not found')
        return self.objects[path]

    def _patch(self, request: web.Request, path: str, found: "re.Match[str]", body: Any) -> Any:
        if self.before_write:
            self.put(*self.before_write.pop(0))
        match request.content_type:
            case "application/apply-patch+yaml":
                changed = self._applied(request, path, body)
            case "application/merge-patch+json":
                changed = _merged(copy.deepcopy(self._find(path, found)), body)
            case "application/json-patch+json":
                changed = _json_patched(copy.deepcopy(self._find(path, found)), body)
            case other:
                raise Refusal(415, "UnsupportedMediaType", f"the body of the request was {other}")
        before = self.objects.get(path)
        if found["plural"] in {"rollouts", "canaries"} and before is not None:
            # A subresource of its own: the main path ignores the status, and /status all else.
            own = "status" if found["status"] else "spec"
            changed = before | {own: changed.get(own)}
        if found["plural"] == "releaseholds":
            self._validate(changed)
        wanted = changed.get("metadata", {}).get("resourceVersion")
        if wanted is not None and (before or {}).get("metadata", {}).get("resourceVersion") != wanted:
            raise Refusal(
                409,
                "Conflict",
                f'Operation cannot be fulfilled on {found["plural"]} "{found["name"]}": the object has been '
                "modified; please apply your changes to the latest version and try again",
            )
        if before is not None and _content(before) == _content(changed):
            return before
        self.put(path, changed)
        self.writes.append((request.content_type, request.path, body))
        return self.objects[path]

    def _applied(self, request: web.Request, path: str, body: Any) -> dict[str, Any]:
        if not request.query.get("fieldManager"):
            raise Refusal(400, "BadRequest", "fieldManager: Required value: is required for apply patch")
        before = self.objects.get(path)
        changed = copy.deepcopy(body)
        changed["metadata"] = (before or {}).get("metadata", {}) | changed["metadata"]
        changed["metadata"].setdefault("creationTimestamp", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
        return dict(changed)

    def _validate(self, body: Mapping[str, Any]) -> None:
        try:
            jsonschema.validate(body, _holds_schema())
        except jsonschema.ValidationError as error:
            raise Refusal(422, "Invalid", f"ReleaseHolds is invalid: {error.message}") from error


def _content(stored: Mapping[str, Any]) -> Any:
    metadata = {key: value for key, value in stored.get("metadata", {}).items() if key != "resourceVersion"}
    return {**stored, "metadata": metadata}


def _merged(value: Any, patch: Any) -> Any:
    """Return the value after a merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, inner in patch.items():
        if inner is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), inner)
    return result


def _json_patched(value: Any, operations: Any) -> Any:
    """Return the value after a JSON patch (RFC 6902): all of it, or nothing."""
    for operation in operations:
        *parents, last = [
            step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]
        ]
        target = value
        for step in parents:
            target = target[int(step)] if isinstance(target, list) else target.get(step)
            if target is None:
                raise Refusal(422, "Invalid", f"the server rejected our request: no path {operation['path']}")
        _operate(target, last, operation)
    return value


def _operate(target: Any, last: str, operation: Mapping[str, Any]) -> None:
    if isinstance(target, list):
        index = len(target) if last == "-" else int(last)
        exists = index < len(target)
        key: Any = index
    else:
        exists, key = last in target, last
    match operation["op"]:
        case "test":
            if (target[key] if exists else None) != operation.get("value"):
                raise Refusal(
                    422,
                    "Invalid",
                    "the server rejected our request due to an error in our request: testing value "
                    f"{operation['path']} failed: test failed",
                )
        case "add" if isinstance(target, list):
            target.insert(key, operation["value"])
        case "add":
            target[key] = operation["value"]
        case "replace" if exists:
            target[key] = operation["value"]
        case "remove" if exists:
            del target[key]
        case _:
            raise Refusal(422, "Invalid", f"no such path: {operation['path']}")


@asynccontextmanager
async def serving_cluster() -> AsyncIterator[ApiServer]:
    """Run an API server on a free port."""
    cluster = ApiServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", cluster.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    cluster.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield cluster
    finally:
        await runner.cleanup()
