"""How Unleash spells a flag: pure functions over a feature's JSON, and the calls that a change takes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, assert_never

from bot.flags.change import FlagChange, Kill, Restore, SetExposure, TurnOff, TurnOn
from bot.flags.flag import FlagState, Shape

FINEST_SHARE = 0.01
"""Unleash keeps whole percents."""

_ROLLOUT = "flexibleRollout"
_KEPT = ("name", "title", "disabled", "constraints", "parameters", "segments", "variants", "sortOrder")


@dataclass(frozen=True, slots=True)
class Call:
    """One call below a feature's environment."""

    method: str
    path: str
    body: Any = None


def environment_of(feature: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """Return the feature's part for the environment of that name."""
    return next((one for one in feature["environments"] if one["name"] == name), None)


def read_feature(
    feature: Mapping[str, Any], found: Mapping[str, Any], environment: str, url: str | None
) -> FlagState:
    """Return what a feature means in the environment `found`; `environment` is our name for it."""
    strategies = [_strategy(one) for one in found.get("strategies", ())]
    configuration = {"enabled": found["enabled"], "strategies": strategies}
    seen = [configuration, feature.get("dependencies", []), found.get("variants", [])]
    state = FlagState(
        feature["name"],
        environment,
        enabled=found["enabled"],
        rollout=1.0,
        version=hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:16],
        stale=bool(feature.get("stale")),
        url=url,
        configuration=configuration,
    )
    active = [one for one in strategies if not one.get("disabled")]
    if found.get("variants") or any(one.get("variants") for one in active):
        return replace(state, shape=Shape.MULTIVARIATE, rollout=None)
    if len(active) > 1:
        return replace(state, shape=Shape.TARGETED, rollout=None)
    for one in active:
        rules = one.get("constraints") or one.get("segments") or feature.get("dependencies")
        state = replace(state, shape=Shape.TARGETED if rules else Shape.SIMPLE, rollout=_rollout(one))
        if state.rollout is None:
            return replace(state, shape=Shape.TARGETED if one["name"] != _ROLLOUT else Shape.OPAQUE)
    return state


def calls_for(state: FlagState, change: FlagChange) -> Sequence[Call]:
    """Return the calls that carry the change out, the strategy before the switch when more will see it."""
    match change:
        case TurnOn():
            return [*_with_strategy(state, state.rollout), Call("POST", "/on")]
        case TurnOff() | Kill():
            return [Call("POST", "/off")]
        case SetExposure(share):
            return [*_with_strategy(state, share), Call("POST", "/on")]
        case Restore(recorded):
            return _restoring(state, recorded)
        case _:
            assert_never(change)


def _with_strategy(state: FlagState, share: float | None) -> Sequence[Call]:
    """Return the calls after which an enabled strategy stands, with this share where it is given."""
    active = [one for one in _strategies(state) if not one.get("disabled")]
    if not active:
        return [Call("POST", "/strategies", _new_strategy(state.flag, 1.0 if share is None else share))]
    if share is None or share == state.rollout:
        return []
    (one,) = active
    return [Call("PATCH", f"/strategies/{one['id']}", _patch(one, _with_share(one, share, state.flag)))]


def _restoring(state: FlagState, recorded: FlagState) -> Sequence[Call]:
    now = {one["id"]: one for one in _strategies(state)}
    then = {one["id"]: one for one in _strategies(recorded)}
    changes = [
        *(Call("POST", "/strategies", _content(one)) for id_, one in then.items() if id_ not in now),
        *(
            Call("PATCH", f"/strategies/{id_}", _patch(now[id_], one))
            for id_, one in then.items()
            if id_ in now and _content(now[id_]) != _content(one)
        ),
        *(Call("DELETE", f"/strategies/{id_}") for id_ in now if id_ not in then),
    ]
    if not recorded.enabled:
        return [Call("POST", "/off"), *changes]
    # A flag whose only strategy goes is switched off by Unleash itself: the switch comes last.
    return [*changes, Call("POST", "/on")]


def _patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the operations from one strategy to another that fail if somebody else was faster."""
    changed = [name for name in _KEPT if old.get(name) != new.get(name)]
    tests = [{"op": "test", "path": f"/{name}", "value": old[name]} for name in changed if name in old]
    writes = [
        {"op": "replace" if name in old else "add", "path": f"/{name}", "value": new.get(name)}
        for name in changed
    ]
    return [*tests, *writes]


def _strategy(one: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one[name] for name in ("id", *_KEPT) if name in one}


def _strategies(state: FlagState) -> Sequence[Mapping[str, Any]]:
    strategies: Sequence[Mapping[str, Any]] = state.configuration.get("strategies", ())
    return strategies


def _content(one: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in one.items() if name != "id"}


def _new_strategy(flag: str, share: float) -> Mapping[str, Any]:
    return {"name": _ROLLOUT, "constraints": [], "parameters": _parameters(flag, share)}


def _with_share(one: Mapping[str, Any], share: float, flag: str) -> Mapping[str, Any]:
    if one["name"] == _ROLLOUT:
        return {**one, "parameters": {**one["parameters"], "rollout": _percents(share)}}
    return {**one, "name": _ROLLOUT, "parameters": _parameters(flag, share)}


def _parameters(flag: str, share: float) -> Mapping[str, str]:
    return {"rollout": _percents(share), "stickiness": "default", "groupId": flag}


def _percents(share: float) -> str:
    return str(round(share * 100))


def _rollout(one: Mapping[str, Any]) -> float | None:
    """Return the strategy's share, None for other strategies and for values that are no percentage."""
    if one["name"] == "default":
        return 1.0
    raw = str(one.get("parameters", {}).get("rollout", ""))
    if one["name"] != _ROLLOUT or not raw.isdigit() or int(raw) > 100:
        return None
    return int(raw) / 100
