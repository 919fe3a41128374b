"""LaunchDarkly's form of a flag: pure functions over its JSON, and the instructions that make a change.

A flag that is off serves its `offVariation`, which may be the true one. Without one, and for an
archived flag, applications get the default of their code (https://launchdarkly.com/docs/home/flags/off-variation).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, assert_never

from bot.flags.backend import UnsupportedError
from bot.flags.change import FlagChange, Kill, Restore, SetExposure, TurnOff, TurnOn
from bot.flags.flag import FlagState, Shape

_Instruction = dict[str, Any]

# Rollouts are weights out of this many: steps of 0.001%.
_TOTAL_WEIGHT = 100_000
FINEST_SHARE = 1 / _TOTAL_WEIGHT
_RULES = ("rules", "targets", "contextTargets", "prerequisites")


def read_flag(flag: Mapping[str, Any], environment_key: str, environment: str, url: str) -> FlagState:
    """Return a flag's state in LaunchDarkly's environment `environment_key`; `environment` is our name."""
    part = flag["environments"][environment_key]
    rules = [part.get(name) or [] for name in _RULES]
    configuration = {
        "on": part["on"],
        "offVariation": part.get("offVariation"),
        "fallthrough": part.get("fallthrough", {}),
        "rules": hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:16],
    }
    state = FlagState(
        flag["key"],
        environment,
        enabled=part["on"],
        rollout=None,
        version=str(part["version"]),
        stale=bool(flag.get("deprecated") or flag.get("archived")),
        url=url,
        configuration=configuration,
    )
    values = [variation["value"] for variation in flag["variations"]]
    off = part.get("offVariation")
    if flag.get("archived"):
        return replace(state, shape=Shape.OPAQUE, share_while_off=None)
    if off is None:
        state = replace(state, share_while_off=None)
    if not _is_boolean(values):
        return replace(state, shape=Shape.MULTIVARIATE)
    if not part["on"] and off is not None and values[off] is not False:
        return replace(state, shape=Shape.OPAQUE, enabled=True)
    if any(rules):
        return replace(state, shape=Shape.TARGETED)
    share = _share(part.get("fallthrough", {}), values.index(True))
    return replace(state, rollout=share, shape=Shape.SIMPLE if share is not None else Shape.OPAQUE)


def _is_boolean(values: Sequence[Any]) -> bool:
    """Return whether the variations are true and false themselves, not texts or numbers that equal them."""
    return [type(value) for value in values] == [bool, bool] and values[0] is not values[1]


def instructions_for(flag: Mapping[str, Any], state: FlagState, change: FlagChange) -> Sequence[_Instruction]:
    """Return the semantic patch of the change. Raises `UnsupportedError` if there is none."""
    ids = [variation["_id"] for variation in flag["variations"]]
    values = [variation["value"] for variation in flag["variations"]]
    match change:
        case TurnOn():
            return [_switch(on=True)]
        case TurnOff() | Kill():
            return [_switch(on=False), *_false_when_off(state, ids, values)]
        case SetExposure(share):
            served = _serve_share(state, share, ids, values)
            return [served] if state.configuration["on"] else [served, _switch(on=True)]
        case Restore(recorded):
            return _restore(state, recorded, ids)
        case _:
            assert_never(change)


def _switch(*, on: bool) -> _Instruction:
    return {"kind": "turnFlagOn" if on else "turnFlagOff"}


def _false_when_off(state: FlagState, ids: Sequence[str], values: Sequence[Any]) -> Sequence[_Instruction]:
    off = state.configuration["offVariation"]
    if False not in values or (off is not None and values[off] is False):
        return []
    return [{"kind": "updateOffVariation", "variationId": ids[values.index(False)]}]


def _serve_share(state: FlagState, share: float, ids: Sequence[str], values: Sequence[Any]) -> _Instruction:
    on, off = ids[values.index(True)], ids[values.index(False)]
    kind = "updateFallthroughVariationOrRollout"
    if share in {0, 1}:
        return {"kind": kind, "variationId": on if share else off}
    weight = round(share * _TOTAL_WEIGHT)
    rollout = state.configuration["fallthrough"].get("rollout", {})
    return {"kind": kind, "rolloutWeights": {on: weight, off: _TOTAL_WEIGHT - weight}, **_bucketing(rollout)}


def _restore(state: FlagState, recorded: FlagState, ids: Sequence[str]) -> Sequence[_Instruction]:
    now, then = state.configuration, recorded.configuration
    if now["rules"] != then["rules"]:
        raise UnsupportedError(
            f"the rules of {state.flag} were changed since: they are restored in LaunchDarkly"
        )
    instructions: list[_Instruction] = []
    if now["fallthrough"] != then["fallthrough"]:
        instructions.append(_fallthrough(then["fallthrough"], ids))
    if now["offVariation"] != then["offVariation"] and then["offVariation"] is not None:
        instructions.append({"kind": "updateOffVariation", "variationId": ids[then["offVariation"]]})
    if now["on"] != then["on"]:
        instructions.append(_switch(on=then["on"]))
    return instructions


def _fallthrough(fallthrough: Mapping[str, Any], ids: Sequence[str]) -> _Instruction:
    kind = "updateFallthroughVariationOrRollout"
    if "rollout" not in fallthrough:
        return {"kind": kind, "variationId": ids[fallthrough["variation"]]}
    rollout = fallthrough["rollout"]
    weights = {ids[part["variation"]]: part["weight"] for part in rollout["variations"]}
    return {"kind": kind, "rolloutWeights": weights, **_bucketing(rollout)}


def _bucketing(rollout: Mapping[str, Any]) -> Mapping[str, Any]:
    names = {"bucketBy": "rolloutBucketBy", "contextKind": "rolloutContextKind"}
    return {parameter: rollout[name] for name, parameter in names.items() if rollout.get(name)}


def _share(fallthrough: Mapping[str, Any], on: int) -> float | None:
    """Return the share that the default rule serves the true variation; None where it does not say."""
    rollout = fallthrough.get("rollout")
    if rollout is None:
        variation = fallthrough.get("variation")
        return None if variation not in {0, 1} else float(variation == on)
    parts = rollout.get("variations") or ()
    is_whole = sum(part["weight"] for part in parts) == _TOTAL_WEIGHT
    if rollout.get("experimentAllocation") or not is_whole:
        return None
    weight = sum(part["weight"] for part in parts if part["variation"] == on)
    return float(weight) / _TOTAL_WEIGHT
