"""A stand-in that answers as LaunchDarkly's REST API is documented to, refusals included.

https://launchdarkly.com/docs/api/feature-flags
"""

import json
from copy import deepcopy
from typing import Any

from aiohttp import web

from tests.flags.backends.vendor_errors import Faults

_Json = dict[str, Any]
_SEMANTIC = "application/json; domain-model=launchdarkly.semanticpatch"


class LaunchDarklyServer:
    """Flags of the project `default` with the environments `production` and `test`."""

    def __init__(self) -> None:
        self.token = "api-8e3f"
        self.faults = Faults()
        self.flags: dict[str, _Json] = {}
        self.comments: list[str] = []
        self.is_approval_required = False

    def add_routes(self, app: web.Application) -> None:
        """Serve the calls that the adapter makes."""
        app.middlewares.append(self.faults.middleware)
        app.router.add_get("/api/v2/flags/{project}", self._list)
        app.router.add_get("/api/v2/flags/{project}/{key}", self._get)
        app.router.add_patch("/api/v2/flags/{project}/{key}", self._patch)

    def add(self, key: str, *, values: tuple[Any, ...] = (True, False), **production: Any) -> None:
        """Make a flag, off, that serves its first variation to everyone once it is on."""
        environment = {
            "on": False,
            "archived": False,
            "version": 1,
            "targets": [],
            "contextTargets": [],
            "rules": [],
            "prerequisites": [],
            "fallthrough": {"variation": 0},
            "offVariation": 1,
        }
        self.flags[key] = {
            "key": key,
            "kind": "boolean" if values == (True, False) else "multivariate",
            "variations": [{"_id": f"{key}-{n}", "value": value} for n, value in enumerate(values)],
            "deprecated": False,
            "archived": False,
            "environments": {"production": environment | production, "test": dict(environment)},
        }

    def change(self, key: str, **changes: Any) -> None:
        """Change a flag in production as a person does in the browser."""
        production = self.flags[key]["environments"]["production"]
        production |= changes
        production["version"] += 1

    async def _list(self, request: web.Request) -> web.Response:
        if (refused := self._refusal(request)) is not None:
            return refused
        offset, limit = int(request.query.get("offset", "0")), int(request.query.get("limit", "20"))
        keys = sorted(self.flags)[offset : offset + limit]
        items = [self._shown(self.flags[key], request) for key in keys]
        if request.query.get("summary") != "0":
            for item in items:
                for environment in item["environments"].values():
                    del environment["rules"]
        return web.json_response({"items": items, "totalCount": len(self.flags)})

    async def _get(self, request: web.Request) -> web.Response:
        if (refused := self._refusal(request)) is not None:
            return refused
        return web.json_response(self._shown(self.flags[request.match_info["key"]], request))

    async def _patch(self, request: web.Request) -> web.Response:
        if (refused := self._refusal(request)) is not None:
            return refused
        if request.headers["Content-Type"] != _SEMANTIC:
            return _error(400, "invalid_request", "the body is no JSON patch")
        body = json.loads(await request.text())
        flag = deepcopy(self.flags[request.match_info["key"]])
        environment = flag["environments"].get(body.get("environmentKey"))
        if environment is None:
            return _error(404, "not_found", "Unknown environment key")
        if self.is_approval_required:
            return _error(405, "approval_required", "Approval is required to make this request")
        for instruction in body["instructions"]:
            problem = _carry_out(instruction, environment, [one["_id"] for one in flag["variations"]])
            if problem is not None:
                return _error(400, "invalid_request", problem)
        environment["version"] += 1
        if request.query.get("dryRun") != "true":
            self.flags[flag["key"]] = flag
            self.comments.append(body.get("comment", ""))
        return web.json_response(flag)

    def _refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != self.token:
            return _error(401, "unauthorized", "Invalid access token")
        if request.match_info["project"] != "default":
            return _error(404, "not_found", "Unknown project key")
        key = request.match_info.get("key")
        if key is not None and key not in self.flags:
            return _error(404, "not_found", "Unknown flag key")
        return None

    def _shown(self, flag: _Json, request: web.Request) -> _Json:
        shown = deepcopy(flag)
        wanted = request.query.get("env")
        shown["environments"] = {
            name: one for name, one in shown["environments"].items() if wanted in {None, name}
        }
        return shown


def _carry_out(instruction: _Json, environment: _Json, ids: list[str]) -> str | None:
    """Carry one instruction out; return what is wrong with it."""
    match instruction:
        case {"kind": "turnFlagOn"}:
            environment["on"] = True
        case {"kind": "turnFlagOff"}:
            environment["on"] = False
        case {"kind": "updateOffVariation", "variationId": id_} if id_ in ids:
            environment["offVariation"] = ids.index(id_)
        case {"kind": "updateFallthroughVariationOrRollout", "variationId": id_} if id_ in ids:
            environment["fallthrough"] = {"variation": ids.index(id_)}
        case {"kind": "updateFallthroughVariationOrRollout", "rolloutWeights": weights}:
            if sum(weights.values()) != 100_000 or not set(weights) <= set(ids):
                return "rolloutWeights must sum to 100000"
            parts = [{"variation": ids.index(id_), "weight": weight} for id_, weight in weights.items()]
            rollout = {"variations": parts} | (
                {"bucketBy": instruction["rolloutBucketBy"]} if "rolloutBucketBy" in instruction else {}
            )
            environment["fallthrough"] = {"rollout": rollout}
        case _:
            return f"unknown instruction {instruction.get('kind')}"
    return None


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message}, status=status)
