"""flagd's form of a flag: pure functions over the JSON of one definition.

https://flagd.dev/reference/flag-definitions. A flag is simple if it has one true and one false variant and
either no targeting or one `fractional` between the two. The code's default, which may be true, is served in
state DISABLED and where the default variant is missing or null; and `fractional` returns nothing for a user
without a key, so that the default variant must be the off one below 100%.
"""

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any, assert_never

from bot.flags.backend import UnsupportedError
from bot.flags.change import FlagChange, Kill, Restore, SetExposure, TurnOff, TurnOn
from bot.flags.flag import FlagState, Shape

_Definition = dict[str, Any]

# Weights are whole percents where that is enough, as older readers need them, else out of ten thousand.
_PERCENTS, _FINE = 100, 10_000
FINEST_SHARE = 1 / _FINE
"""Steps of 0.01%."""
_RESTORED = ("state", "defaultVariant", "targeting")


def read_definition(flag: str, environment: str, definition: Mapping[str, Any]) -> FlagState:
    """Return the state of a flag from its definition."""
    text = json.dumps(definition, sort_keys=True)
    is_enabled = definition.get("state") == "ENABLED"
    state = FlagState(
        flag,
        environment,
        enabled=is_enabled,
        rollout=None,
        shape=Shape.OPAQUE,
        version=hashlib.sha256(text.encode()).hexdigest()[:16],
        configuration={name: definition[name] for name in _RESTORED if name in definition},
        share_while_off=0.0 if is_enabled else None,
    )
    variants = definition.get("variants")
    targeting = definition.get("targeting") or {}
    if not isinstance(variants, Mapping) or not isinstance(targeting, Mapping):
        return state
    off, default = _off_name(variants), _default(definition)
    parked = _parked(targeting, off)
    rules = targeting if parked is None else parked
    serves_off = not targeting and off is not None and default == off
    if parked is not None or serves_off:
        state = replace(state, enabled=False)
    names = _on_and_off(variants)
    if names is None:
        return replace(state, shape=Shape.MULTIVARIATE)
    if rules:
        return _read_rules(state, rules, names, default)
    if state.enabled and default not in names:
        return state
    return replace(state, shape=Shape.SIMPLE, rollout=1.0)


def _read_rules(
    state: FlagState, rules: Mapping[str, Any], names: tuple[str, str], default: str
) -> FlagState:
    """Return the state with its share; users without a key, who get the default, must see off below 100%."""
    on, off = names
    weights = _weights(rules, on, off)
    if weights is None:
        return replace(state, shape=Shape.TARGETED)
    share = weights[on] / sum(weights.values())
    if default == off or (default == on and share == 1):
        return replace(state, shape=Shape.SIMPLE, rollout=share)
    return replace(state, shape=Shape.TARGETED, rollout=share or None)


def change_definition(definition: Mapping[str, Any], state: FlagState, change: FlagChange) -> _Definition:
    """Return the definition after the change of `state`, with everything unknown kept.

    Raises `UnsupportedError` where the flag has no variant that means off.
    """
    changed: _Definition = deepcopy(dict(definition))
    match change:
        case Restore(recorded):
            for name in _RESTORED:
                changed.pop(name, None)
            return changed | deepcopy(dict(recorded.configuration))
        case Kill():
            changed.pop("targeting", None)
            return changed | {"state": "ENABLED", "defaultVariant": _off(definition, state)}
        case TurnOff():
            return _turned_off(changed, _off(definition, state))
        case TurnOn():
            return _turned_on(changed, state)
        case SetExposure(share):
            return _exposed(changed, share)
        case _:
            assert_never(change)


def _turned_off(changed: _Definition, off: str) -> _Definition:
    changed["state"] = "ENABLED"
    targeting = changed.get("targeting") or {}
    if not targeting:
        return changed | {"defaultVariant": off}
    if _parked(targeting, off) is None:
        changed["targeting"] = {"if": [False, targeting, off]}
    return changed


def _turned_on(changed: _Definition, state: FlagState) -> _Definition:
    changed["state"] = "ENABLED"
    targeting = changed.get("targeting") or {}
    parked = _parked(targeting, _off_name(changed["variants"]))
    if parked is not None:
        return changed | {"targeting": parked}
    names = _on_and_off(changed["variants"])
    if not targeting and names is not None:
        return changed | {"defaultVariant": names[0]}
    if not targeting and _default(changed) == _off_name(changed["variants"]):
        raise UnsupportedError(
            f"which value of {state.flag} to serve is not known: undo the change that did it"
        )
    return changed


def _exposed(changed: _Definition, share: float) -> _Definition:
    names = _on_and_off(changed["variants"])
    if names is None:
        raise UnsupportedError("the flag has other values than true and false")
    on, off = names
    fine = round(share * _FINE)
    total_weight = _PERCENTS if fine % (_FINE // _PERCENTS) == 0 else _FINE
    weight = fine * total_weight // _FINE
    weights = {on: weight, off: total_weight - weight}
    targeting = changed.get("targeting") or {}
    targeting = _parked(targeting, off) or targeting
    # The order of the variants and the bucketing key stay: who is in at 10% stays in at 25%.
    fractional = list(targeting.get("fractional", []))
    bucketing_key = [part for part in fractional[:1] if not isinstance(part, list)]
    order = [part[0] for part in fractional if isinstance(part, list)]
    order = order if set(order) == {on, off} else [on, off]
    split = [*bucketing_key, *([name, weights[name]] for name in order)]
    default = on if share == 1 else off
    return changed | {"state": "ENABLED", "defaultVariant": default, "targeting": {"fractional": split}}


def _on_and_off(variants: Mapping[str, Any]) -> tuple[str, str] | None:
    on = [name for name, value in variants.items() if value is True]
    off = [name for name, value in variants.items() if value is False]
    return (on[0], off[0]) if len(on) == len(off) == 1 and len(variants) == 2 else None


def _off(definition: Mapping[str, Any], state: FlagState) -> str:
    off = _off_name(definition.get("variants", {}))
    if off is None:
        raise UnsupportedError(
            f"{state.flag} has no variant that means off: none is false, and none is called off"
        )
    return off


def _off_name(variants: Mapping[str, Any]) -> str | None:
    falsy = [name for name, value in variants.items() if value is False]
    if len(falsy) == 1:
        return str(falsy[0])
    return "off" if "off" in variants else None


def _default(definition: Mapping[str, Any]) -> str:
    default = definition.get("defaultVariant")
    return str(default).lower() if isinstance(default, bool) else str(default)


def _parked(targeting: Mapping[str, Any], off: str | None) -> Mapping[str, Any] | None:
    """Return the rules that `TurnOff` put aside: `{"if": [false, RULES, OFF]}` always serves OFF."""
    match targeting:
        case {"if": [False, Mapping() as rules, str() as served]} if len(targeting) == 1 and served == off:
            return rules
    return None


def _weights(targeting: Mapping[str, Any], on: str, off: str) -> dict[str, int] | None:
    """Return the weights of a `fractional` between the two variants, None for other rules."""
    parts = targeting.get("fractional")
    # With fewer than two elements flagd serves the default variant to everybody.
    if len(targeting) != 1 or not isinstance(parts, list) or len(parts) < 2:
        return None
    has_key = isinstance(parts[0], str | Mapping) or parts[0] is None
    weights = {on: 0, off: 0}
    for part in parts[1:] if has_key else parts:
        match part:
            case [str(), bool()]:
                return None
            case [str() as name, int() as weight] if name in weights and weight >= 0:
                weights[name] += weight
            case [str() as name] if name in weights:
                weights[name] += 1
            case _:
                return None
    return weights if sum(weights.values()) > 0 else None
