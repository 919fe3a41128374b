"""What `governor convert` leaves in annotations of OpenSLO, so that reading it back loses nothing. Pure.

An annotation counts only where OpenSLO's own fields are still what Governor would write for it: whoever edits
these is believed, and told that the annotation is out of date.
"""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from pydantic import ValidationError

from bot.policy.documents.objectives import SliSpec, SloSpec
from bot.policy.documents.sources.plugin import BUILT_IN_TYPES
from bot.policy.documents.sources.sources import SOURCE_TYPES
from bot.policy.formats.noted_fields import NotedFields, as_number
from bot.policy.formats.openslo.indicator_writing import PROMETHEUS, indicator_of
from bot.policy.formats.openslo.indicators import BudgetingMethod
from bot.policy.formats.openslo.metric_sources import PROMETHEUS as USUAL_TYPE
from bot.policy.formats.openslo.window_writing import window_written
from bot.policy.formats.own_values import written_sli, written_window
from bot.policy.formats.reading import NoteKind

NAME: Final = "governor/slo"
SLI: Final = "governor/sli"
WINDOW: Final = "governor/window"
OWN: Final = (NAME, SLI, WINDOW)
_OBJECTIVE_KEYS: Final = ("op", "value", "timeSliceTarget", "timeSliceWindow")
_STALE: Final = "the annotation `{}` says something else than `{}`, which counts"


def own_sli(
    metadata: NotedFields, sli: NotedFields, objective: NotedFields, method: BudgetingMethod
) -> tuple[dict[str, Any], str] | None:
    """Return the SLI that an annotation holds, with the type of its source.

    None where there is none, or where the indicator is no longer the one that was written for it.
    """
    text = _annotation(metadata, SLI)
    if text is None:
        return None
    metrics = {key: sli.value[key] for key in ("ratioMetric", "thresholdMetric") if key in sli.value}
    found = _parsed_sli(text, metrics)
    if found is not None:
        kind = next(_types(metrics), PROMETHEUS)
        written = indicator_of(found, kind)
        beside = {key: objective.value[key] for key in _OBJECTIVE_KEYS if key in objective.value}
        if written.method is method and _alike(written.spec, metrics) and _alike(written.objective, beside):
            sli.ignore(*metrics)
            objective.ignore(*beside)
            return found, kind.lower() if kind.lower() in BUILT_IN_TYPES else USUAL_TYPE
    metadata.note(NoteKind.WARNING, "annotations", _STALE.format(SLI, "indicator"))
    return None


def own_window(metadata: NotedFields, spec: NotedFields) -> Any:
    """Return the window that an annotation holds, if the time window is still the one written for it."""
    text = _annotation(metadata, WINDOW)
    if text is None:
        return None
    try:
        slo = SloSpec.model_validate({"name": "x", "objective": 50, "window": text, "sli": {"events": {}}})
    except ValidationError:
        slo = None
    window = written_window(slo) if slo is not None else None
    if window is not None and _alike([window_written(window)[0]], spec.value.get("timeWindow")):
        spec.ignore("timeWindow")
        return window
    metadata.note(NoteKind.WARNING, "annotations", _STALE.format(WINDOW, "timeWindow"))
    return None


def own_name(metadata: NotedFields) -> str | None:
    """Return the name of an SLO within its service, where the object had to have another."""
    return _annotation(metadata, NAME)


def _annotation(metadata: NotedFields, key: str) -> str | None:
    annotations = metadata.value.get("annotations")
    text = annotations.get(key) if isinstance(annotations, dict) else None
    return text if isinstance(text, str) and text.strip() else None


def _parsed_sli(text: str, metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
        types = {
            reference: kind.lower()
            for reference, kind in zip(_references(metrics), _types(metrics), strict=False)
        }
        return written_sli(SliSpec.model_validate(value, context={SOURCE_TYPES: types}))
    except (ValueError, RecursionError):
        return None


def _sources(metrics: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(metrics, dict):
        for key, value in metrics.items():
            if key == "metricSource" and isinstance(value, dict):
                yield value
            else:
                yield from _sources(value)


def _types(metrics: object) -> Iterator[str]:
    return (kind for each in _sources(metrics) if isinstance(kind := each.get("type"), str))


def _references(metrics: object) -> Iterator[str]:
    return (name for each in _sources(metrics) if isinstance(name := each.get("metricSourceRef"), str))


def _alike(one: object, other: object) -> bool:
    """Return whether two values say the same: numbers by their value, and however they are written."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    numbers = [each if isinstance(each, Decimal) else as_number(each) for each in (one, other)]
    if None not in numbers and not isinstance(one, str) and not isinstance(other, str):
        return numbers[0] == numbers[1]
    return str(one) == str(other)
