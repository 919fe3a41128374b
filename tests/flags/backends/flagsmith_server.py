"""A stand-in that answers as Flagsmith's admin API does, refusals included.

Written from the public source of Flagsmith's API (features, segments, feature versioning).
"""

import json
from collections.abc import Mapping
from itertools import count
from typing import Any

from aiohttp import web

from tests.flags.backends.vendor_errors import Faults

_Json = dict[str, Any]
_PROJECT = 7
_ENVIRONMENT = 31


class FlagsmithServer:
    """One project with one environment; `versioned` switches its feature versioning on."""

    def __init__(self, *, versioned: bool = False) -> None:
        self.token = "ser.key"
        self.environment_key = "A8cF"
        self.faults = Faults()
        self.features: dict[str, _Json] = {}
        self.states: list[_Json] = []
        self.overrides: list[_Json] = []
        self.segments: dict[int, _Json] = {}
        self.environment: _Json = {
            "id": _ENVIRONMENT,
            "name": "Production",
            "api_key": self.environment_key,
            "project": _PROJECT,
            "minimum_change_request_approvals": None,
            "use_v2_feature_versioning": versioned,
        }
        self.versions: list[str] = []
        self._ids = count(100)

    def add_routes(self, app: web.Application) -> None:
        """Serve the calls that the adapter makes."""
        app.middlewares.append(self.faults.middleware)
        add = app.router.add_route
        add("GET", "/api/v1/environments/{key}/", self._get_environment)
        add("GET", "/api/v1/projects/{project}/features/", self._list_features)
        add("GET", "/api/v1/features/featurestates/", self._list_states)
        add("GET", "/api/v1/features/feature-segments/", self._list_overrides)
        add("PATCH", "/api/v1/features/featurestates/{id}/", self._patch_state)
        add("GET", "/api/v1/projects/{project}/segments/{id}/", self._get_segment)
        add("PUT", "/api/v1/projects/{project}/segments/{id}/", self._put_segment)
        add("POST", "/api/v1/environments/{environment}/features/{id}/versions/", self._add_version)

    def add(self, name: str, *, overrides: Mapping[int, bool] | None = None, **more: Any) -> None:
        """Make a flag, off, with overrides for segments."""
        feature: _Json = {"id": next(self._ids), "name": name, "is_archived": False}
        feature |= {"multivariate_options": [], "num_identity_overrides": 0} | more
        self.features[name] = feature
        self._add_state(feature, None, enabled=False)
        for segment, enabled in (overrides or {}).items():
            override = {"id": next(self._ids), "segment": segment, "feature": feature["id"]}
            self.overrides.append(override)
            self._add_state(feature, override["id"], enabled=enabled)

    def add_segment(self, operator: str, value: str) -> int:
        """Make a segment with one condition, and return its number."""
        condition = {"id": next(self._ids), "operator": operator, "property": None, "value": value}
        rules = [{"type": "ALL", "rules": [{"type": "ANY", "rules": [], "conditions": [condition]}]}]
        id_ = next(self._ids)
        self.segments[id_] = {"id": id_, "name": f"segment {id_}", "project": _PROJECT, "rules": rules}
        return id_

    def set_split(self, segment: int, value: str) -> None:
        """Change a segment's percentage as a person does in the browser."""
        self.segments[segment]["rules"][0]["rules"][0]["conditions"][0]["value"] = value

    def set_enabled(self, name: str, *, segment: int | None, enabled: bool) -> None:
        """Switch a flag as a person does in the browser."""
        feature = self.features[name]["id"]
        self._state(feature, segment)["enabled"] = enabled

    def _add_state(self, feature: _Json, override: int | None, *, enabled: bool) -> None:
        value = {"type": "unicode", "string_value": "blue", "integer_value": None, "boolean_value": None}
        state = {"id": next(self._ids), "feature": feature["id"], "feature_segment": override}
        self.states.append(state | {"enabled": enabled, "feature_state_value": value})

    def _state(self, feature: int, segment: int | None) -> _Json:
        overrides = {one["id"]: one["segment"] for one in self.overrides}
        return next(
            one
            for one in self.states
            if one["feature"] == feature and overrides.get(one["feature_segment"]) == segment
        )

    async def _get_environment(self, request: web.Request) -> web.Response:
        if (refused := self._refusal(request)) is not None:
            return refused
        if request.match_info["key"] != self.environment_key:
            return _detail(404, "Not found.")
        return web.json_response(self.environment)

    async def _list_features(self, request: web.Request) -> web.Response:
        return self._refusal(request) or _page(request, list(self.features.values()))

    async def _list_states(self, request: web.Request) -> web.Response:
        if "environment" not in request.query:
            return web.json_response(["'environment' GET parameter is required."], status=400)
        return self._refusal(request) or _page(request, self._of(self.states, request))

    async def _list_overrides(self, request: web.Request) -> web.Response:
        return self._refusal(request) or _page(request, self._of(self.overrides, request))

    def _of(self, rows: list[_Json], request: web.Request) -> list[_Json]:
        assert request.query["environment"] == str(_ENVIRONMENT)
        return [one for one in rows if str(one["feature"]) == request.query["feature"]]

    async def _patch_state(self, request: web.Request) -> web.Response:
        if (refused := self._refusal(request)) is not None:
            return refused
        if self.environment["use_v2_feature_versioning"]:
            return _detail(400, "This environment uses v2 feature versioning.")
        state = next(one for one in self.states if str(one["id"]) == request.match_info["id"])
        body = json.loads(await request.text())
        assert set(body) == {"enabled"}
        state |= body
        return web.json_response(state)

    async def _get_segment(self, request: web.Request) -> web.Response:
        if (refused := self._refusal(request)) is not None:
            return refused
        segment = self.segments.get(int(request.match_info["id"]))
        return _detail(404, "Not found.") if segment is None else web.json_response(segment)

    async def _put_segment(self, request: web.Request) -> web.Response:
        if (refused := self._refusal(request)) is not None:
            return refused
        body = json.loads(await request.text())
        if not body.get("rules"):
            return web.json_response({"rules": ["This field is required."]}, status=400)
        self.segments[int(request.match_info["id"])] = body
        return web.json_response(body)

    async def _add_version(self, request: web.Request) -> web.Response:
        if (refused := self._refusal(request)) is not None:
            return refused
        if not self.environment["use_v2_feature_versioning"]:
            return web.json_response(
                {"environment": "Environment must use v2 feature versioning."}, status=400
            )
        body = json.loads(await request.text())
        assert body["publish_immediately"] is True
        for update in body["feature_states_to_update"]:
            of = update["feature_segment"]
            state = self._state(int(request.match_info["id"]), of["segment"] if of else None)
            if update["feature_state_value"]["string_value"] != "blue":
                return web.json_response({"feature_state_value": ["required"]}, status=400)
            # Each version has states of its own.
            state |= {"id": next(self._ids), "enabled": update["enabled"]}
        self.versions.append(body.get("description", ""))
        return web.json_response({"uuid": "…"}, status=201)

    def _refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != f"Api-Key {self.token}":
            return _detail(401, "Authentication credentials were not provided.")
        if request.match_info.get("project", str(_PROJECT)) != str(_PROJECT):
            return _detail(404, "Not found.")
        return None


def _page(request: web.Request, rows: list[_Json], size: int = 2) -> web.Response:
    page = int(request.query.get("page", "1"))
    shown = rows[(page - 1) * size : page * size]
    following = f"?page={page + 1}" if page * size < len(rows) else None
    return web.json_response({"count": len(rows), "next": following, "previous": None, "results": shown})


def _detail(status: int, detail: str) -> web.Response:
    return web.json_response({"detail": detail}, status=status)
