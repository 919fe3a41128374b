"""Unleash's form of a flag: pure functions over a feature's JSON, and the calls that make a change."""

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
_FIELDS = ("name", "title", "disabled", "constraints", "parameters", "segments", "variants", "sortOrder")


@dataclass(frozen=True, slots=True)
class Call:
    """One call below a feature's environment."""

    method: str
    path: str
    body: Any = None


def environment_of(feature: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """Return the feature's part for the environment of that name."""
    return next((part for part in feature["environments"] if part["name"] == name), None)


def read_feature(
    feature: Mapping[str, Any], part: Mapping[str, Any], environment: str, url: str | None
) -> FlagState:
    """Return the state of a feature in the environment `part`; `environment` is our name for it."""
    strategies = [_strategy(strategy) for strategy in part.get("strategies", ())]
    configuration = {"enabled": part["enabled"], "strategies": strategies}
    versioned = [configuration, feature.get("dependencies", []), part.get("variants", [])]
    state = FlagState(
        feature["name"],
        environment,
        enabled=part["enabled"],
        rollout=1.0,
        version=hashlib.sha256(json.dumps(versioned, sort_keys=True).encode()).hexdigest()[:16],
        stale=bool(feature.get("stale")),
        url=url,
        configuration=configuration,
    )
    active = [strategy for strategy in strategies if not strategy.get("disabled")]
    if part.get("variants") or any(strategy.get("variants") for strategy in active):
        return replace(state, shape=Shape.MULTIVARIATE, rollout=None)
    if len(active) > 1:
        return replace(state, shape=Shape.TARGETED, rollout=None)
    if state.enabled and strategies and not active:
        # What applications make of a flag all of whose strategies are disabled differs between versions.
        return replace(state, shape=Shape.OPAQUE, rollout=None)
    if feature.get("dependencies") and not active:
        return replace(state, shape=Shape.TARGETED)
    for strategy in active:
        rules = strategy.get("constraints") or strategy.get("segments") or feature.get("dependencies")
        state = replace(state, shape=Shape.TARGETED if rules else Shape.SIMPLE, rollout=_rollout(strategy))
        if state.rollout is None:
            return replace(state, shape=Shape.TARGETED if strategy["name"] != _ROLLOUT else Shape.OPAQUE)
    return state


def calls_for(state: FlagState, change: FlagChange) -> Sequence[Call]:
    """Return the calls that make the change, the strategy before the switch when more will see the flag."""
    match change:
        case TurnOn():
            return [*_with_strategy(state, state.rollout), Call("POST", "/on")]
        case TurnOff() | Kill():
            return [Call("POST", "/off")]
        case SetExposure(share):
            return [*_with_strategy(state, share), Call("POST", "/on")]
        case Restore(recorded):
            return _restore(state, recorded)
        case _:
            assert_never(change)


def _with_strategy(state: FlagState, share: float | None) -> Sequence[Call]:
    """Return the calls after which the flag has an enabled strategy, with this share if it is given."""
    active = [strategy for strategy in _strategies(state) if not strategy.get("disabled")]
    if not active:
        return [Call("POST", "/strategies", _new_strategy(state.flag, 1.0 if share is None else share))]
    if share is None or share == state.rollout:
        return []
    (strategy,) = active
    patch = _patch(strategy, _with_share(strategy, share, state.flag))
    return [Call("PATCH", f"/strategies/{strategy['id']}", patch)]


def _restore(state: FlagState, recorded: FlagState) -> Sequence[Call]:
    current = {strategy["id"]: strategy for strategy in _strategies(state)}
    target = {strategy["id"]: strategy for strategy in _strategies(recorded)}
    changes = [
        *(
            Call("POST", "/strategies", _content(strategy))
            for id_, strategy in target.items()
            if id_ not in current
        ),
        *(
            Call("PATCH", f"/strategies/{id_}", _patch(current[id_], strategy))
            for id_, strategy in target.items()
            if id_ in current and _content(current[id_]) != _content(strategy)
        ),
        *(Call("DELETE", f"/strategies/{id_}") for id_ in current if id_ not in target),
    ]
    if not recorded.enabled:
        return [Call("POST", "/off"), *changes]
    # Unleash itself switches a flag off when its only strategy is deleted: the switch comes last.
    return [*changes, Call("POST", "/on")]


def _patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the operations from one strategy to another; they fail if somebody else changed it first."""
    changed = [name for name in _FIELDS if old.get(name) != new.get(name)]
    tests = [{"op": "test", "path": f"/{name}", "value": old[name]} for name in changed if name in old]
    writes = [
        {"op": "replace" if name in old else "add", "path": f"/{name}", "value": new.get(name)}
        for name in changed
    ]
    return [*tests, *writes]


def _strategy(strategy: Mapping[str, Any]) -> dict[str, Any]:
    return {name: strategy[name] for name in ("id", *_FIELDS) if name in strategy}


def _strategies(state: FlagState) -> Sequence[Mapping[str, Any]]:
    strategies: Sequence[Mapping[str, Any]] = state.configuration.get("strategies", ())
    return strategies


def _content(strategy: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in strategy.items() if name != "id"}


def _new_strategy(flag: str, share: float) -> Mapping[str, Any]:
    return {"name": _ROLLOUT, "constraints": [], "parameters": _parameters(flag, share)}


def _with_share(strategy: Mapping[str, Any], share: float, flag: str) -> Mapping[str, Any]:
    if strategy["name"] == _ROLLOUT:
        return {**strategy, "parameters": {**strategy["parameters"], "rollout": _percents(share)}}
    return {**strategy, "name": _ROLLOUT, "parameters": _parameters(flag, share)}


def _parameters(flag: str, share: float) -> Mapping[str, str]:
    return {"rollout": _percents(share), "stickiness": "default", "groupId": flag}


def _percents(share: float) -> str:
    return str(round(share * 100))


def _rollout(strategy: Mapping[str, Any]) -> float | None:
    """Return the strategy's share, None for other strategies and for values that are not a percentage."""
    if strategy["name"] == "default":
        return 1.0
    raw = str(strategy.get("parameters", {}).get("rollout", ""))
    if strategy["name"] != _ROLLOUT or not (raw.isascii() and raw.isdecimal()) or int(raw) > 100:
        return None
    return int(raw) / 100
