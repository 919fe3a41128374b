"""Flagsmith's form of a flag: pure functions over its JSON."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, assert_never

from bot.flags.change import FlagChange, Kill, Restore, SetExposure, TurnOff, TurnOn
from bot.flags.flag import FlagState, Shape

FINEST_SHARE = 0.0001
_SPLIT = "PERCENTAGE_SPLIT"
_Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TargetState:
    """What is to be on: for all, for each overridden segment, and the split's percentage (None: as it is)."""

    everyone: bool
    segments: Mapping[int, bool]
    percentage: float | None = None


@dataclass(frozen=True, slots=True)
class Feature:
    """A flag with its states in one environment, its segment overrides, and its split segment."""

    feature: _Json
    states: Sequence[_Json]
    overrides: Sequence[_Json]
    split: _Json | None

    @property
    def id(self) -> int:
        """Flagsmith's id of the flag."""
        return int(self.feature["id"])

    @property
    def for_everyone(self) -> _Json:
        """The state for users without an override."""
        for state in self.states:
            if state.get("feature_segment") is None:
                return state
        raise LookupError("there is no state for everybody")

    @property
    def for_segments(self) -> Mapping[int, _Json]:
        """The overriding state of each segment."""
        segments = {override["id"]: int(override["segment"]) for override in self.overrides}
        return {
            segments[state["feature_segment"]]: state
            for state in self.states
            if state.get("feature_segment") in segments
        }

    @property
    def has_split(self) -> bool:
        """Whether the flag has an override for its split segment."""
        return self.split is not None and int(self.split["id"]) in self.for_segments

    def changes(self, target: TargetState) -> Sequence[tuple[_Json, bool]]:
        """Return the states to change with their new value, those of segments first."""
        states = [(state, target.segments.get(id_)) for id_, state in self.for_segments.items()]
        states.append((self.for_everyone, target.everyone))
        return [(state, to) for state, to in states if to is not None and state["enabled"] != to]

    def as_version_update(self, state: _Json, *, enabled: bool) -> _Json:
        """Return a state in the form that a new version of the flag takes: with its value, and by segment."""
        segment_id = {id(state): segment for segment, state in self.for_segments.items()}.get(id(state))
        return {
            "feature_segment": None if segment_id is None else {"segment": segment_id},
            "feature_state_value": state.get("feature_state_value"),
            "enabled": enabled,
        }


def read_feature(feature: Feature, environment: str, url: str | None) -> FlagState:
    """Return the state of a flag."""
    everyone = bool(feature.for_everyone["enabled"])
    segments = {id_: bool(state["enabled"]) for id_, state in feature.for_segments.items()}
    percentage = None if feature.split is None else split_of(feature.split)
    identities = feature.feature.get("num_identity_overrides") or 0
    configuration = {
        "everyone": everyone,
        "segments": {str(id_): enabled for id_, enabled in sorted(segments.items())},
        "percentage": percentage,
    }
    text = json.dumps([configuration, identities], sort_keys=True)
    state = FlagState(
        feature.feature["name"],
        environment,
        enabled=everyone or any(segments.values()) or identities > 0,
        rollout=None,
        version=hashlib.sha256(text.encode()).hexdigest()[:16],
        stale=bool(feature.feature.get("is_archived")),
        url=url,
        configuration=configuration,
    )
    if feature.feature.get("multivariate_options"):
        return replace(state, shape=Shape.MULTIVARIATE)
    own = int(feature.split["id"]) if feature.split is not None else None
    if identities or any(id_ != own for id_ in segments):
        return replace(state, shape=Shape.TARGETED)
    if feature.has_split and percentage is None:
        return replace(state, shape=Shape.OPAQUE)
    if not feature.has_split or percentage is None:
        return replace(state, rollout=1.0)
    if everyone:
        all_on = all(segments.values())
        return replace(state, rollout=1.0) if all_on else replace(state, shape=Shape.OPAQUE)
    return replace(state, rollout=percentage / 100)


def target_for(feature: Feature, state: FlagState, change: FlagChange) -> TargetState:
    """Return what is to be on after the change."""
    segments = {id_: bool(state["enabled"]) for id_, state in feature.for_segments.items()}
    all_off = dict.fromkeys(segments, False)
    match change:
        case TurnOn() if feature.has_split:
            return TargetState(
                everyone=bool(state.configuration["everyone"]), segments=dict.fromkeys(segments, True)
            )
        case TurnOn():
            return TargetState(everyone=True, segments=segments)
        case TurnOff() | Kill():
            return TargetState(everyone=False, segments=all_off)
        case SetExposure(share):
            return TargetState(everyone=False, segments=dict.fromkeys(segments, True), percentage=share * 100)
        case Restore(recorded):
            target = recorded.configuration
            return TargetState(
                everyone=target["everyone"],
                segments={int(id_): enabled for id_, enabled in target["segments"].items()},
                percentage=target["percentage"],
            )
        case _:
            assert_never(change)


def split_of(segment: _Json) -> float | None:
    """Return the percentage of a segment that is a percentage split and nothing else."""
    rules = segment.get("rules", ())
    conditions = list(_conditions(rules))
    if _negates(rules):
        return None
    if len(conditions) != 1 or conditions[0].get("operator") != _SPLIT:
        return None
    try:
        percentage = float(conditions[0]["value"])
    except (TypeError, ValueError):
        return None
    return percentage if 0 <= percentage <= 100 else None


def with_split(segment: _Json, percentage: float) -> _Json:
    """Return the segment with another percentage."""
    changed = deepcopy(dict(segment))
    for condition in _conditions(changed["rules"]):
        condition["value"] = f"{percentage:.6g}"
    return changed


def _negates(rules: Sequence[_Json]) -> bool:
    """Return whether any of the rules chooses those whom its conditions do not."""
    return any(rule.get("type") == "NONE" or _negates(rule.get("rules", ())) for rule in rules)


def _conditions(rules: Sequence[_Json]) -> Sequence[dict[str, Any]]:
    own = [condition for rule in rules for condition in rule.get("conditions", ())]
    return [*own, *(nested for rule in rules for nested in _conditions(rule.get("rules", ())))]
